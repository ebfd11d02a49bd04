import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { BlobStoreError } from './blob-store.ts';

/** The calls of one put, as an upload in parts uses them. Each is retried by whoever provides it. */
export interface UploadCalls<Started, Part> {
  whole(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<string>;
  /**
   * Not to be given up half-way, and neither is a part: an upload that was started without our hearing of it could not be
   * removed, and a part that arrives after the removal would stay.
   */
  start(): Promise<Started>;
  part(started: Started, number: number, bytes: Uint8Array): Promise<Part>;
  /** Makes the object appear. Returns its version. */
  complete(started: Started, parts: Part[], signal: AbortSignal | undefined): Promise<string>;
  /** Never throws: what it cannot remove stays invisible. */
  abandon(started: Started): Promise<void>;
}

export interface UploadLimits {
  partBytes: number;
  partsAtOnce: number;
  maxBytes: number;
  /** Hex SHA-256 that the bytes must have. */
  sha256?: string | undefined;
  signal?: AbortSignal | undefined;
  what: string;
}

export interface Uploaded {
  version: string;
  size: number;
}

const CLEANED_MS = 2000;

/**
 * Sends a stream of unknown length: in one call where it fits into one part, else in parts. It becomes an object only by
 * the last call, after the digest was found right; whatever fails before that leaves nothing to be seen. Holds at most
 * `partsAtOnce` + 1 parts in memory. The body's own errors come through as they are.
 */
export async function upload<S, P>(body: Readable, calls: UploadCalls<S, P>, limits: UploadLimits): Promise<Uploaded> {
  const { partBytes, partsAtOnce, maxBytes, what, signal } = limits;
  const hash = createHash('sha256');
  const underWay = new Set<Promise<void>>();
  const parts: P[] = [];
  let starting: Promise<S> | null = null;
  let failure: { error: unknown } | null = null;
  let number = 0;
  let size = 0;
  // Not filled with zeros: of a small object no more memory is touched than it has bytes.
  let buffer: Buffer = Buffer.allocUnsafeSlow(partBytes);
  let filled = 0;
  let reading = true;
  const free: Buffer[] = [];

  /** Starts sending what is buffered, once there is room for it. */
  async function send(): Promise<void> {
    while (underWay.size >= partsAtOnce) await unlessAborted(Promise.race(underWay), signal);
    if (failure) throw failure.error;
    starting ??= calls.start();
    const started = await unlessAborted(starting, signal);
    const n = number++;
    const sent = buffer;
    const sending = calls
      .part(started, n + 1, sent.subarray(0, filled))
      .then(
        (part) => {
          parts[n] = part;
          free.push(sent);
        },
        (error: unknown) => {
          failure ??= { error };
          // Its next bytes may be long in coming.
          if (reading) body.destroy(error as Error);
        },
      )
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
    buffer = free.pop() ?? Buffer.allocUnsafeSlow(partBytes);
    filled = 0;
  }

  try {
    for await (const piece of body) {
      const chunk: Uint8Array = typeof piece === 'string' ? Buffer.from(piece) : piece;
      size += chunk.length;
      if (size > maxBytes) throw new BlobStoreError('not-allowed', `${what} is larger than ${maxBytes} bytes`);
      for (let at = 0; at < chunk.length; ) {
        if (filled === partBytes) await send();
        const taken = Math.min(partBytes - filled, chunk.length - at);
        buffer.set(chunk.subarray(at, at + taken), filled);
        // Of the copy that is sent, whatever its owner may do to the chunk meanwhile.
        hash.update(buffer.subarray(filled, filled + taken));
        filled += taken;
        at += taken;
      }
    }
    reading = false;
    signal?.throwIfAborted();
    checkDigest(hash.digest('hex'), limits.sha256, what);
    if (!starting) return { size, version: await calls.whole(buffer.subarray(0, filled), signal) };
    await send();
    await unlessAborted(Promise.all(underWay), signal);
    if (failure) throw (failure as { error: unknown }).error;
    return { size, version: await calls.complete(await starting, parts, signal) };
  } catch (error) {
    reading = false;
    const cleaned = (starting as Promise<S> | null)?.then(
      (started) => Promise.all(underWay).then(() => calls.abandon(started)),
      () => 'nothing was started',
    );
    // Whoever waits for a store that does not answer has waited enough: the rest goes on by itself.
    if (cleaned) await Promise.race([cleaned, new Promise((resolve) => setTimeout(resolve, CLEANED_MS).unref())]);
    signal?.throwIfAborted();
    throw error;
  }
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** @throws BlobStoreError `digest-mismatch` */
export function checkDigest(found: string, announced: string | undefined, what: string): void {
  if (announced !== undefined && announced.toLowerCase() !== found) {
    throw new BlobStoreError('digest-mismatch', `${what}: SHA-256 is ${found}, announced ${announced}`);
  }
}
