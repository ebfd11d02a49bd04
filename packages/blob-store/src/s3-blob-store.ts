import { createHash } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { checkBlobName } from './blob-name.ts';
import {
  type BlobRange,
  type BlobStat,
  type BlobStore,
  BlobStoreError,
  MAX_PARTS,
  MIN_PART_BYTES,
  type PartUploads,
  type PutOptions,
} from './blob-store.ts';
import { checkNumber } from './file-parts.ts';
import { statOf, versionOf, whatIsWrong } from './s3-answers.ts';
import { guardedBody } from './s3-body.ts';
import { isNoSuchUpload, isRangePastEnd, isRefusal, s3Error } from './s3-errors.ts';
import { checkDigest, type UploadCalls, upload } from './s3-upload.ts';
import { MAX_EXPIRY_SECONDS } from './signed-url.ts';

export interface S3BlobStoreOptions {
  /** Of a store that is not AWS's. */
  endpoint?: string;
  region: string;
  /** Default: what the AWS client finds by itself (environment, files, roles of the machine). */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** The bucket in the path, not in the host name. Default: where an endpoint is given. */
  forcePathStyle?: boolean;
  /** Where those who get signed addresses reach the store, when that is not `endpoint`. */
  addressEndpoint?: string;
  /** Put before the name of each bucket, so that several installations may share an account. */
  bucketPrefix?: string;
  /** Must be there and reachable when the store is opened. */
  buckets?: readonly string[];
  timeouts?: Partial<S3Timeouts>;
  /** Tries of each call, with back-off between them. Default 3. */
  maxAttempts?: number;
  /** Connections at a time; further calls wait for one. Default 64. */
  maxSockets?: number;
  /**
   * CRC32 of the AWS client on what is sent. Default `when-required`: many stores know no such checksums, and the SHA-256 of
   * every body is signed with the request in any case. Buckets with object lock need `when-supported`.
   */
  requestChecksums?: 'when-required' | 'when-supported';
  /** Whether stored checksums are asked for and compared when a whole object is read. Default `when-required`. */
  responseChecksums?: 'when-required' | 'when-supported';
  /** Default 8 MiB; S3 takes at least 5 MiB. A put holds `partsAtOnce` + 1 (default 2 + 1) of them in memory. */
  partBytes?: number;
  partsAtOnce?: number;
  /** Larger objects are refused. Default: 10,000 parts, at most 64 GiB. */
  maxBytes?: number;
  logger?: S3Logger;
}

export interface S3Logger {
  warn(fields: Record<string, unknown>, message: string): void;
}

export interface S3Timeouts {
  /** For a connection, and for a turn at one. */
  connectMs: number;
  /** From the start of one try until its answer begins, beyond the time that its bytes may take on the way. */
  answerMs: number;
  /** Between bytes of an answer, while somebody waits for them. */
  idleMs: number;
  /** For one call with all its tries and pauses, until its answer begins, beyond the time that its bytes may take. */
  callMs: number;
}

const TIMEOUTS: S3Timeouts = { connectMs: 3000, answerMs: 8000, idleMs: 10_000, callMs: 25_000 };
/** The slowest line on which bytes still count as moving. */
const SLOWEST_BYTES_PER_SECOND = 512 * 1024;
const MAX_BYTES = 64 * 2 ** 30;

/** @throws BlobStoreError when one of `buckets` cannot be reached */
export async function openS3BlobStore(options: S3BlobStoreOptions): Promise<BlobStore> {
  const timeouts: S3Timeouts = { ...TIMEOUTS, ...options.timeouts };
  const { partBytes = 8 * 2 ** 20, partsAtOnce = 2, bucketPrefix = '', maxAttempts = 3 } = options;
  const maxBytes = Math.min(options.maxBytes ?? MAX_BYTES, MAX_PARTS * partBytes);
  if (partBytes < MIN_PART_BYTES) throw new RangeError(`S3 takes parts of at least ${MIN_PART_BYTES} bytes`);
  const config = clientConfig(options, timeouts, maxAttempts);
  const client = new S3Client(config);
  // Addresses must not promise a checksum of bytes that nobody knows yet.
  const addressEndpoint = options.addressEndpoint ?? options.endpoint;
  const signer = new S3Client({
    ...config,
    ...(addressEndpoint === undefined ? {} : { endpoint: addressEndpoint }),
    requestChecksumCalculation: 'WHEN_REQUIRED',
  });
  const knownBuckets = new Set<string>();
  const at = (bucket: string, key: string) => ({ Bucket: bucketPrefix + bucket, Key: key });

  /** One call within its time; `bytes` go out with it. Every error is one of ours, but the reason of the caller's signal. */
  async function call<T>(
    what: string,
    signal: AbortSignal | undefined,
    bytes: number,
    send: (options: { abortSignal: AbortSignal; requestTimeout: number }) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const sending = (bytes / SLOWEST_BYTES_PER_SECOND) * 1000;
    const limit = timeouts.callMs + sending * maxAttempts;
    const stop = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    // The client does not hear a signal while it pauses between tries.
    const stopped = new Promise<never>((_, reject) => {
      stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
      timer = setTimeout(
        () => stop.abort(new BlobStoreError('unavailable', `${what}: no answer in ${limit} ms`)),
        limit,
      );
    });
    try {
      const answer = send({ abortSignal: stop.signal, requestTimeout: timeouts.answerMs + sending });
      answer.catch(() => 'it may fail after it was given up');
      return await Promise.race([answer, stopped]);
    } catch (error) {
      signal?.throwIfAborted();
      throw s3Error(error, what);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function checkBucket(bucket: string): Promise<void> {
    const what = `bucket ${bucketPrefix}${bucket}`;
    try {
      await call(what, undefined, 0, (o) => client.send(new HeadBucketCommand({ Bucket: bucketPrefix + bucket }), o));
    } catch (error) {
      // A wrong name in a configuration is no reason to call an upload missing.
      const missing = error instanceof BlobStoreError && error.code === 'missing';
      throw missing ? new BlobStoreError('unavailable', `${what} does not exist`, error) : error;
    }
    knownBuckets.add(bucket);
  }

  async function stat(bucket: string, key: string): Promise<BlobStat | null> {
    checkBlobName(bucket, key);
    try {
      const what = `${bucket}/${key}`;
      const head = await call(what, undefined, 0, (o) => client.send(new HeadObjectCommand(at(bucket, key)), o));
      return statOf(head, head.ContentLength ?? 0);
    } catch (error) {
      // The answer to HEAD has no body that would say whether the object or the whole bucket is missing, or that our keys are refused.
      const why = isRefusal(error) ? await saidToGet(bucket, key, error) : error;
      if (!(why instanceof BlobStoreError && why.code === 'missing')) throw why;
      if (why === error && !knownBuckets.has(bucket)) await checkBucket(bucket);
      return null;
    }
  }

  /** Why a byte of the object is refused, where HEAD was. */
  async function saidToGet(bucket: string, key: string, refusal: unknown): Promise<unknown> {
    return get(bucket, key, { start: 0, end: 1 }).then(
      (byte) =>
        byte.destroy() && new BlobStoreError('unavailable', `${bucket}/${key}: HEAD is refused, GET not`, refusal),
      (error: unknown) => error,
    );
  }

  async function get(bucket: string, key: string, range?: BlobRange, signal?: AbortSignal): Promise<Readable> {
    checkBlobName(bucket, key);
    const what = `${bucket}/${key}`;
    const start = Math.max(0, range?.start ?? 0);
    if (range && start >= range.end) {
      if (!(await stat(bucket, key))) throw new BlobStoreError('missing', `${what} does not exist`);
      return Readable.from([]);
    }
    const Range = range ? `bytes=${start}-${range.end - 1}` : undefined;
    const command = new GetObjectCommand({ ...at(bucket, key), ...(Range === undefined ? {} : { Range }) });
    try {
      const answer = await call(what, signal, 0, (o) => client.send(command, o));
      const body = answer.Body as Readable;
      const refusal = whatIsWrong(answer, range);
      if (refusal) {
        body.on('error', () => 'it is not read').destroy();
        throw new BlobStoreError(refusal.code, `${what} ${refusal.text}`);
      }
      return guardedBody(body, { length: answer.ContentLength ?? 0, idleMs: timeouts.idleMs, what, signal });
    } catch (error) {
      if (range && error instanceof BlobStoreError && isRangePastEnd(error.cause)) return Readable.from([]);
      throw error;
    }
  }

  async function put(bucket: string, key: string, body: Uint8Array | Readable, o: PutOptions = {}): Promise<BlobStat> {
    checkBlobName(bucket, key);
    o.signal?.throwIfAborted();
    const what = `${bucket}/${key}`;
    const target = at(bucket, key);
    const type = o.contentType === undefined ? {} : { ContentType: o.contentType };
    const version = (answer: { ETag?: string | undefined; VersionId?: string | undefined }) => versionOf(answer, what);
    const calls: UploadCalls<string, CompletedPart> = {
      async whole(bytes, signal) {
        const command = new PutObjectCommand({ ...target, ...type, Body: bytes, ContentLength: bytes.length });
        return version(await call(what, signal, bytes.length, (o) => client.send(command, o)));
      },
      async start() {
        const checksum = options.requestChecksums === 'when-supported' ? { ChecksumAlgorithm: 'CRC32' as const } : {};
        const command = new CreateMultipartUploadCommand({ ...target, ...type, ...checksum });
        return (await call(what, undefined, 0, (o) => client.send(command, o))).UploadId!;
      },
      async part(UploadId, PartNumber, bytes) {
        const input = { ...target, UploadId, PartNumber, Body: bytes, ContentLength: bytes.length };
        const answer = await call(what, undefined, bytes.length, (o) => client.send(new UploadPartCommand(input), o));
        const { ETag, ChecksumCRC32 } = answer;
        return { ETag, PartNumber, ...(ChecksumCRC32 === undefined ? {} : { ChecksumCRC32 }) };
      },
      async complete(UploadId, Parts, signal) {
        const command = new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } });
        return version(await call(what, signal, 0, (o) => client.send(command, o)));
      },
      async abandon(UploadId) {
        const command = new AbortMultipartUploadCommand({ ...target, UploadId });
        try {
          await call(what, undefined, 0, (o) => client.send(command, o));
        } catch (error) {
          options.logger?.warn({ error, bucket, key }, 'parts of an upload that failed stay behind');
        }
      },
    };
    const stat = (size: number, version: string): BlobStat => {
      return { size, version, modifiedAt: Date.now(), contentType: o.contentType ?? null };
    };
    if (body instanceof Uint8Array) {
      if (body.length > maxBytes) throw new BlobStoreError('not-allowed', `${what} is larger than ${maxBytes} bytes`);
      if (o.sha256 !== undefined) checkDigest(createHash('sha256').update(body).digest('hex'), o.sha256, what);
      if (body.length <= partBytes) return stat(body.length, await calls.whole(body, o.signal));
    }
    const stream = body instanceof Uint8Array ? Readable.from([body]) : body;
    if (o.signal) addAbortSignal(o.signal, stream);
    const limits = { partBytes, partsAtOnce, maxBytes, sha256: o.sha256, signal: o.signal, what };
    const done = await upload(stream, calls, limits);
    return stat(done.size, done.version);
  }

  async function listParts(bucket: string, key: string, UploadId: string) {
    const what = `parts of ${bucket}/${key}`;
    const parts: CompletedPart[] = [];
    const sizes: { number: number; size: number }[] = [];
    for (let marker: string | undefined; ; ) {
      const input = { ...at(bucket, key), UploadId, ...(marker === undefined ? {} : { PartNumberMarker: marker }) };
      const answer = await call(what, undefined, 0, (o) => client.send(new ListPartsCommand(input), o)).catch(
        (error) => {
          throw isNoSuchUpload(error) ? new BlobStoreError('missing', `${what}: no such upload`, error) : error;
        },
      );
      for (const { PartNumber, ETag, Size } of answer.Parts ?? []) {
        parts.push({ PartNumber, ETag });
        sizes.push({ number: PartNumber!, size: Size! });
      }
      if (!answer.IsTruncated) return { parts, sizes };
      marker = answer.NextPartNumberMarker;
    }
  }

  const parts: PartUploads = {
    async start(bucket, key) {
      checkBlobName(bucket, key);
      const command = new CreateMultipartUploadCommand(at(bucket, key));
      return (await call(`${bucket}/${key}`, undefined, 0, (o) => client.send(command, o))).UploadId!;
    },
    async presign(bucket, key, UploadId, PartNumber, expiresInSeconds) {
      checkBlobName(bucket, key);
      checkNumber(PartNumber);
      const command = new UploadPartCommand({ ...at(bucket, key), UploadId, PartNumber });
      return signed((expiresIn) => getSignedUrl(signer, command, { expiresIn }), `${bucket}/${key}`, expiresInSeconds);
    },
    list: async (bucket, key, id) => (await listParts(bucket, key, id)).sizes,
    async complete(bucket, key, UploadId) {
      const { parts: Parts, sizes } = await listParts(bucket, key, UploadId);
      const what = `${bucket}/${key}`;
      if (Parts.length === 0) throw new BlobStoreError('missing', `${what}: no part has arrived`);
      const command = new CompleteMultipartUploadCommand({ ...at(bucket, key), UploadId, MultipartUpload: { Parts } });
      const answer = await call(what, undefined, 0, (o) => client.send(command, o));
      const size = sizes.reduce((n, part) => n + part.size, 0);
      return { size, version: versionOf(answer, what), modifiedAt: Date.now(), contentType: null };
    },
    async abandon(bucket, key, UploadId) {
      try {
        const command = new AbortMultipartUploadCommand({ ...at(bucket, key), UploadId });
        await call(`${bucket}/${key}`, undefined, 0, (o) => client.send(command, o));
      } catch (error) {
        if (!isNoSuchUpload(error)) throw error;
      }
    },
  };

  async function signed(sign: (expiresIn: number) => Promise<string>, what: string, seconds: number): Promise<URL> {
    if (!(seconds > 0 && seconds <= MAX_EXPIRY_SECONDS)) {
      throw new BlobStoreError('not-allowed', `an address lasts more than 0 and at most ${MAX_EXPIRY_SECONDS} s`);
    }
    try {
      return new URL(await sign(Math.ceil(seconds)));
    } catch (error) {
      throw s3Error(error, what);
    }
  }

  for (const bucket of options.buckets ?? []) await checkBucket(bucket);
  return {
    parts,
    put,
    get,
    stat,
    async delete(bucket, key) {
      checkBlobName(bucket, key);
      try {
        const command = new DeleteObjectCommand(at(bucket, key));
        await call(`${bucket}/${key}`, undefined, 0, (o) => client.send(command, o));
      } catch (error) {
        if (!(error instanceof BlobStoreError && error.code === 'missing')) throw error;
      }
    },
    async presign(verb, bucket, key, expiresInSeconds) {
      checkBlobName(bucket, key);
      const command = verb === 'GET' ? new GetObjectCommand(at(bucket, key)) : new PutObjectCommand(at(bucket, key));
      return signed((expiresIn) => getSignedUrl(signer, command, { expiresIn }), `${bucket}/${key}`, expiresInSeconds);
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      signer.destroy();
    },
  };
}

function clientConfig(o: S3BlobStoreOptions, timeouts: S3Timeouts, maxAttempts: number): S3ClientConfig {
  const agent = { keepAlive: true, maxSockets: o.maxSockets ?? 64 };
  const quiet = () => undefined;
  const checksums = { 'when-required': 'WHEN_REQUIRED', 'when-supported': 'WHEN_SUPPORTED' } as const;
  return {
    region: o.region,
    ...(o.endpoint === undefined ? {} : { endpoint: o.endpoint }),
    ...(o.credentials === undefined ? {} : { credentials: o.credentials }),
    forcePathStyle: o.forcePathStyle ?? o.endpoint !== undefined,
    maxAttempts,
    retryMode: 'standard',
    requestChecksumCalculation: checksums[o.requestChecksums ?? 'when-required'],
    responseChecksumValidation: checksums[o.responseChecksums ?? 'when-required'],
    // It would open a connection of its own for every put and wait there for six seconds and more.
    expectContinueHeader: false,
    logger: { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
    requestHandler: {
      connectionTimeout: timeouts.connectMs,
      requestTimeout: timeouts.answerMs,
      throwOnRequestTimeout: true,
      // It would also count the time in which a reader is busy with what it has.
      socketTimeout: 0,
      httpAgent: agent,
      httpsAgent: agent,
      logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    },
  };
}
