import { type BlobStat, type BlobStore, BlobStoreError } from './blob-store.ts';

export interface BlobSource {
  size: number;
  /** Bytes [start, end), cut short at the end. */
  read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array>;
}

export interface BlobSourceOptions {
  blockBytes?: number;
  /** Most blocks kept; the least recently used one goes first. */
  blocks?: number;
  /** Blocks asked for at once where reading goes on where it left off. */
  ahead?: number;
}

interface Block {
  bytes: Promise<Uint8Array>;
  request: Request;
}

/** One request to the store, for one or more blocks; it is given up when nobody waits for it any more. */
interface Request {
  abort: AbortController;
  waiting: number;
  settled: boolean;
}

/**
 * An object as a run of bytes that can be read anywhere. A demuxer reads in many small pieces: these come out of a
 * bounded cache of blocks, so that not each of them is a request. Reads of the same block share one request. The object
 * must stay the one that `stat` was taken of: bytes that are no longer there are an error, never a short read.
 */
export function blobSource(
  store: Pick<BlobStore, 'get'>,
  bucket: string,
  key: string,
  stat: Pick<BlobStat, 'size'>,
  options: BlobSourceOptions = {},
): BlobSource {
  const { blockBytes = 256 * 1024, blocks: maxBlocks = 32, ahead = 4 } = options;
  const { size } = stat;
  const cache = new Map<number, Block>();
  const lastBlock = Math.floor(Math.max(0, size - 1) / blockBytes);
  let expected = -1;

  async function fetch(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    const out = new Uint8Array(end - start);
    let at = 0;
    for await (const chunk of await store.get(bucket, key, { start, end }, signal)) {
      if (at + chunk.length > out.length) throw changed();
      out.set(chunk as Uint8Array, at);
      at += chunk.length;
    }
    if (at < out.length) throw changed();
    return out;
  }

  const changed = () => new BlobStoreError('missing', `${bucket}/${key} is no longer the object of ${size} bytes`);

  function touch(n: number): Block {
    const block = cache.get(n)!;
    cache.delete(n);
    cache.set(n, block);
    return block;
  }

  /** Starts one request for the blocks from..to, which are not in the cache. */
  function request(from: number, to: number): void {
    const request: Request = { abort: new AbortController(), waiting: 0, settled: false };
    const end = Math.min(size, (to + 1) * blockBytes);
    const all = fetch(from * blockBytes, end, request.abort.signal);
    const settle = () => {
      request.settled = true;
    };
    all.then(settle, () => {
      settle();
      for (let n = from; n <= to; n++) if (cache.get(n)?.request === request) cache.delete(n);
    });
    for (let n = from; n <= to; n++) {
      // A copy, so that a block that stays does not hold on to its neighbours.
      const bytes = all.then((run) => run.slice((n - from) * blockBytes, (n - from + 1) * blockBytes));
      bytes.catch(() => 'whoever waits for the block hears of it');
      cache.set(n, { bytes, request });
    }
    for (const [n, block] of cache) {
      if (cache.size <= maxBlocks) break;
      if (block.request.settled) cache.delete(n);
    }
  }

  async function wait(block: Block, signal?: AbortSignal): Promise<Uint8Array> {
    const { request } = block;
    request.waiting++;
    let onAbort: (() => void) | undefined;
    try {
      if (!signal) return await block.bytes;
      signal.throwIfAborted();
      const aborted = new Promise<never>((_, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
      });
      return await Promise.race([block.bytes, aborted]);
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      request.waiting--;
      if (signal?.aborted && request.waiting === 0 && !request.settled) {
        // Nobody may join it from here on: its blocks leave the cache before it fails.
        for (const [n, other] of cache) if (other.request === request) cache.delete(n);
        request.abort.abort(signal.reason);
      }
    }
  }

  return {
    size,
    async read(start, end, signal) {
      signal?.throwIfAborted();
      const [from, to] = [Math.max(0, start), Math.min(size, end)];
      if (from >= to) return new Uint8Array(0);
      const [first, last] = [Math.floor(from / blockBytes), Math.floor((to - 1) / blockBytes)];
      // A read that would sweep out most of the cache is a copy of a large part: it is passed through.
      if (last - first + 1 > maxBlocks / 2) return fetch(from, to, signal);
      const reach = first === expected ? Math.min(lastBlock, Math.max(last, first + ahead - 1)) : last;
      const needed: Promise<Uint8Array>[] = [];
      for (let n = first; n <= last; n++) {
        if (!cache.has(n)) {
          let to = n;
          while (to < reach && !cache.has(to + 1)) to++;
          request(n, to);
          expected = to + 1;
        }
        needed.push(wait(touch(n), signal));
      }
      const parts = await Promise.all(needed);
      const out = new Uint8Array(to - from);
      parts.forEach((part, i) => {
        const at = (first + i) * blockBytes;
        const piece = part.subarray(Math.max(0, from - at), Math.max(0, to - at));
        out.set(piece, Math.max(0, at - from));
      });
      return out;
    },
  };
}
