/**
 * Messages as they arrive on the topic of uploads, for tests and for the AsyncAPI document. Shapes are those of the Amazon S3 user
 * guide and of MinIO's `internal/event`; names and values are made up.
 */
import type { UploadEvent } from './events.ts';

export const cloudEvent = {
  action: 'created',
  media: { source: 'platform', bucket: 'uploads', key: 'acc-17/film.mp4', version: '3' },
  account: 'acc-17',
  visibility: 'public',
  territory: 'DE',
  receivedAt: 1_772_366_400_000,
} satisfies UploadEvent;

const awsRecord = {
  eventVersion: '2.1',
  eventSource: 'aws:s3',
  awsRegion: 'eu-central-1',
  eventTime: '2026-03-01T12:00:00.123Z',
  eventName: 'ObjectCreated:Put',
  userIdentity: { principalId: 'AWS:AIDAEXAMPLE' },
  requestParameters: { sourceIPAddress: '192.0.2.17' },
  responseElements: {
    'x-amz-request-id': 'C3D13FE58DE4C810',
    'x-amz-id-2': 'FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7',
  },
  s3: {
    s3SchemaVersion: '1.0',
    configurationId: 'to-vigil',
    bucket: {
      name: 'platform-uploads',
      ownerIdentity: { principalId: 'A3NL1KOZZKExample' },
      arn: 'arn:aws:s3:::platform-uploads',
    },
    object: {
      key: 'acc-17/public/my+holiday%2Bfilm+%281%29.mp4',
      size: 1024,
      eTag: 'd41d8cd98f00b204e9800998ecf8427e',
      versionId: '096fKKXTRTtl3on89fVO.nfljtsv6qko',
      sequencer: '0055AED6DCD90281E5',
    },
  },
};

export const awsPut = { Records: [awsRecord] };

export const awsMultipart = {
  Records: [
    {
      ...awsRecord,
      eventName: 'ObjectCreated:CompleteMultipartUpload',
      s3: {
        ...awsRecord.s3,
        object: {
          key: 'acc-18/private/film.mp4',
          size: 198_524_144,
          eTag: '4af981f98d22a0b9979da24b259e5e42-12',
          sequencer: '0064D3901D00059242',
        },
      },
    },
  ],
};

export const awsDeleteMarker = {
  Records: [
    {
      ...awsRecord,
      eventName: 'ObjectRemoved:DeleteMarkerCreated',
      eventTime: '2026-03-01T13:00:00.000Z',
      s3: {
        ...awsRecord.s3,
        object: {
          key: 'acc-17/public/my+holiday%2Bfilm+%281%29.mp4',
          eTag: 'd41d8cd98f00b204e9800998ecf8427e',
          versionId: '3rL4kqtJlcpXroDTDmJ_rmSpXd3dIbrHY',
          sequencer: '0055AED6DCD90281F0',
        },
      },
    },
  ],
};

export const awsTestMessage = {
  Service: 'Amazon S3',
  Event: 's3:TestEvent',
  Time: '2026-03-01T11:57:02.089Z',
  Bucket: 'platform-uploads',
  RequestId: '5582815E1AEA5ADF',
  HostId: '8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR',
};

const eventBridge = {
  version: '0',
  id: '17793124-05d4-b198-2fde-7ededc63b103',
  source: 'aws.s3',
  account: '111122223333',
  region: 'eu-central-1',
  resources: ['arn:aws:s3:::platform-uploads'],
};

export const eventBridgeCreated = {
  ...eventBridge,
  'detail-type': 'Object Created',
  time: '2026-03-01T12:00:00Z',
  detail: {
    version: '0',
    bucket: { name: 'platform-uploads' },
    object: {
      key: 'acc-17/public/my holiday+film (1).mp4',
      size: 1024,
      etag: 'd41d8cd98f00b204e9800998ecf8427e',
      'version-id': '096fKKXTRTtl3on89fVO.nfljtsv6qko',
      sequencer: '617f08299329d189',
    },
    'request-id': 'N4N7GDK58NMKJ12R',
    requester: '123456789012',
    'source-ip-address': '192.0.2.17',
    reason: 'PutObject',
  },
};

export const eventBridgeDeleted = {
  ...eventBridge,
  'detail-type': 'Object Deleted',
  time: '2026-03-01T13:00:00Z',
  detail: {
    version: '0',
    bucket: { name: 'platform-uploads' },
    object: {
      key: 'acc-17/public/my holiday+film (1).mp4',
      etag: 'd41d8cd98f00b204e9800998ecf8427e',
      'version-id': '1QW9g1Z99LUNbvaaYVpW9xDlOLU.qxgF',
      sequencer: '617f0837b476e463',
    },
    'request-id': '0BH729840619AG5K',
    requester: '123456789012',
    'source-ip-address': '192.0.2.17',
    reason: 'DeleteObject',
    'deletion-type': 'Delete Marker Created',
  },
};

const minioRecord = {
  eventVersion: '2.0',
  eventSource: 'minio:s3',
  awsRegion: '',
  eventTime: '2026-03-01T12:00:01.500Z',
  eventName: 's3:ObjectCreated:Put',
  userIdentity: { principalId: 'platform' },
  requestParameters: { principalId: 'platform', region: '', sourceIPAddress: '192.0.2.18' },
  responseElements: {
    'content-length': '0',
    'x-amz-request-id': '1754D58029FE3874',
    'x-minio-deployment-id': 'b8f18e35-1f04-48d4-b94b-f9704a69453f',
    'x-minio-origin-endpoint': 'http://192.0.2.1:9000',
  },
  s3: {
    s3SchemaVersion: '1.0',
    configurationId: 'Config',
    bucket: { name: 'uploads', ownerIdentity: { principalId: 'platform' }, arn: 'arn:aws:s3:::uploads' },
    object: {
      key: 'a%2Fb%2Ffilm+%26+ton.mp4',
      size: 200_436,
      eTag: 'a3410f4f8788b510d6f19c5067e60a90',
      contentType: 'video/mp4',
      userMetadata: {
        'content-type': 'video/mp4',
        'X-Amz-Meta-Account': 'acc_42',
        'X-Amz-Meta-Visibility': 'unlisted',
        'X-Amz-Meta-Territory': 'DE',
      },
      sequencer: '1754D5802CCFEDA0',
    },
  },
  source: { host: '192.0.2.18', port: '', userAgent: 'MinIO (linux; amd64) minio-go/v7.0.49' },
};

export const minioPut = {
  EventName: 's3:ObjectCreated:Put',
  Key: 'uploads/a/b/film & ton.mp4',
  Records: [minioRecord],
};

export const minioDelete = {
  EventName: 's3:ObjectRemoved:Delete',
  Key: 'uploads/a/b/film & ton.mp4',
  Records: [
    {
      ...minioRecord,
      eventTime: '2026-03-01T12:30:00.000Z',
      eventName: 's3:ObjectRemoved:Delete',
      s3: { ...minioRecord.s3, object: { key: 'a%2Fb%2Ffilm+%26+ton.mp4', sequencer: '1754D5802CCFEDA0' } },
    },
  ],
};
