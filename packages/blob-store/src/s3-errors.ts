import { BlobStoreError } from './blob-store.ts';

/** The parts of an S3 client's errors that decide. `status` is absent where no answer came. */
interface Answered {
  name?: string;
  Code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
}

const BAD_NAME = new Set(['InvalidBucketName', 'InvalidObjectName', 'InvalidURI', 'KeyTooLongError']);
const NO_OBJECT = new Set(['NoSuchKey', 'NotFound', 'NoSuchVersion']);
/**
 * What is said of us or of the way there, not of the object: our keys, our clock, the bucket's name in our configuration,
 * bytes that were damaged on the way. It must not condemn an upload, so it counts as a store that is out of reach.
 */
const ENVIRONMENT = new Set([
  'AuthorizationHeaderMalformed',
  'BadDigest',
  'ExpiredToken',
  'IncompleteBody',
  'InvalidAccessKeyId',
  'InvalidDigest',
  'InvalidToken',
  'NoSuchBucket',
  'NoSuchUpload',
  'OperationAborted',
  'PermanentRedirect',
  'RequestExpired',
  'RequestTimeTooSkewed',
  'RequestTimeout',
  'SignatureDoesNotMatch',
  'SlowDown',
  'TokenRefreshRequired',
  'XAmzContentSHA256Mismatch',
]);

/** What a failed call means for whoever asked. `what` names the object. */
export function s3Error(error: unknown, what: string): BlobStoreError {
  if (error instanceof BlobStoreError) return error;
  const { name, Code, message, $metadata } = (error ?? {}) as Answered;
  const code = Code ?? name ?? 'Error';
  const status = $metadata?.httpStatusCode;
  const text = `${what}: ${code}${status === undefined ? '' : ` (${status})`}: ${message ?? 'no message'}`;
  return new BlobStoreError(meaning(code, status), text, error);
}

function meaning(code: string, status: number | undefined): BlobStoreError['code'] {
  if (ENVIRONMENT.has(code)) return 'unavailable';
  if (NO_OBJECT.has(code)) return 'missing';
  if (BAD_NAME.has(code)) return 'bad-key';
  if (status === undefined || status < 400 || status >= 500) return 'unavailable';
  if (status === 404) return 'missing';
  if (status === 408 || status === 409 || status === 429) return 'unavailable';
  return 'not-allowed';
}

export const isRangePastEnd = (error: unknown): boolean =>
  (error as Answered | null)?.$metadata?.httpStatusCode === 416;

/** What rejected keys are answered as well: without a body it says nothing of the object. */
export const isRefusal = (error: unknown): boolean => {
  if (!(error instanceof BlobStoreError && error.code === 'not-allowed')) return false;
  const status = (error.cause as Answered | undefined)?.$metadata?.httpStatusCode;
  return status === 400 || status === 403;
};

/** The upload in parts was completed or abandoned, or never was. */
export const isNoSuchUpload = (error: unknown): boolean =>
  error instanceof BlobStoreError && (error.cause as Answered | undefined)?.name === 'NoSuchUpload';
