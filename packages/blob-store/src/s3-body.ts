import { Readable } from 'node:stream';
import { BlobStoreError } from './blob-store.ts';
import { s3Error } from './s3-errors.ts';

export interface BodyLimits {
  /** Bytes that the answer announced. */
  length: number;
  /** Longest wait for the next bytes. The time in which nobody asks for any does not count. */
  idleMs: number;
  what: string;
  signal?: AbortSignal | undefined;
}

/**
 * The body of an answer, passed on with its promises kept: as many bytes as announced or an error, no stall longer than
 * allowed, every error one of ours, and the connection free again as soon as the stream has ended or is destroyed.
 */
export function guardedBody(body: Readable, { length, idleMs, what, signal }: BodyLimits): Readable {
  let received = 0;
  let wanted = false;
  const timer = setTimeout(() => {
    if (wanted) fail(new BlobStoreError('unavailable', `${what}: no bytes for ${idleMs} ms`));
  }, idleMs);
  const onAbort = () => out.destroy(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
  const fail = (error: BlobStoreError) => out.destroy(error);

  const out = new Readable({
    highWaterMark: 256 * 1024,
    read() {
      wanted = true;
      timer.refresh();
      body.resume();
    },
    destroy(error, done) {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      body.destroy();
      done(error);
    },
  });
  // Whoever reads later finds the error there; until then it must not end the process.
  out.on('error', () => 'kept for its reader');
  body.pause();
  body.on('data', (chunk: Uint8Array) => {
    received += chunk.length;
    if (out.push(chunk)) timer.refresh();
    else {
      wanted = false;
      body.pause();
    }
  });
  body.on('end', () => {
    if (received === length) out.push(null);
    else fail(new BlobStoreError('unavailable', `${what}: ${received} of ${length} bytes came`));
  });
  body.on('error', (error) => fail(s3Error(error, what)));
  body.on('close', () => {
    if (!body.readableEnded) fail(new BlobStoreError('unavailable', `${what}: the connection was closed`));
  });
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  return out;
}
