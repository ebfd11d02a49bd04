import { randomUUID } from 'node:crypto';
import { type BlobStat, type BlobStore, BlobStoreError } from './blob-store.ts';

export interface BlobSource {
  size: number;
  /**
   * Bytes [start, end), cut short at the end, in the pieces in which they came from the store: nothing is copied. Others may be handed
   * the same memory: not to be changed, nor given away.
   */
  read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array[]>;
}

export interface BlobSourceOptions {
  blockBytes?: number;
  /** Most blocks kept; the least recently used one goes first. */
  blocks?: number;
  /** Most blocks asked for at once: of an object with no more of them, and where reading goes on where it left off. */
  ahead?: number;
  /** Shared with other sources, in place of one of its own. Objects are told apart by version. */
  cache?: BlockCache;
}

interface Block {
  pieces: Promise<Uint8Array[]>;
  request: Request;
  /** The source that asked for it, until another one needs it as well. */
  owner: symbol | 'several';
}

/** One request to the store, for one or more blocks; it is given up when whoever waits for a block is called off, and nobody else waits. */
interface Request {
  abort: AbortController;
  waiting: number;
  settled: boolean;
  /** Of its blocks in the cache. */
  names: string[];
}

/** Blocks of objects, in memory that is bounded for all of them together. */
export interface BlockCache {
  get(name: string, reader: symbol): Block | undefined;
  has(name: string): boolean;
  set(name: string, block: Block): void;
  /** Only if it is still this request's. */
  drop(name: string, request: Request): void;
}

/**
 * The least recently used block goes first, and what only one source has read goes before what several have: of a video
 * that is read slice by slice, each time by a source of its own, the index stays and the pictures go (the idea of segmented
 * LRU: Karedla, Love and Wherry, "Caching strategies to improve disk system performance", IEEE Computer 27(3), 1994).
 * `blocks` of 256 KiB: 256 of them are 64 MiB.
 */
export function createBlockCache(blocks = 256): BlockCache {
  const held = new Map<string, Block>();
  /** At most half for what several have read, so that it cannot push out everything else. */
  const most = Math.floor(blocks / 2);

  function trim(): void {
    while (held.size > blocks) {
      let often = 0;
      const oldest: { once?: string; often?: string } = {};
      held.forEach(({ owner, request }, name) => {
        if (!request.settled) return;
        if (owner === 'several') {
          often++;
          oldest.often ??= name;
        } else oldest.once ??= name;
      });
      const victim = often > most ? oldest.often : (oldest.once ?? oldest.often);
      if (victim === undefined) return;
      held.delete(victim);
    }
  }

  return {
    get(name, reader) {
      const block = held.get(name);
      if (!block) return undefined;
      held.delete(name);
      held.set(name, block);
      if (block.owner !== reader) block.owner = 'several';
      return block;
    },
    has: (name) => held.has(name),
    set(name, block) {
      held.set(name, block);
      trim();
    },
    drop(name, request) {
      if (held.get(name)?.request === request) held.delete(name);
    },
  };
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
  stat: Pick<BlobStat, 'size'> & Partial<Pick<BlobStat, 'version'>>,
  options: BlobSourceOptions = {},
): BlobSource {
  const { blockBytes = 256 * 1024, blocks: maxBlocks = 32, ahead = 8 } = options;
  const { size, version } = stat;
  const cache = options.cache ?? createBlockCache(maxBlocks);
  const me = Symbol(key);
  const object = JSON.stringify([bucket, key, version ?? randomUUID(), size, blockBytes]);
  const nameOf = (n: number) => `${n} ${object}`;
  const lastBlock = Math.floor(Math.max(0, size - 1) / blockBytes);
  /** Where reading would go on, and how many blocks were asked for before that: twice as many next time. */
  let expected = -1;
  let run = 1;

  /** Bytes [start, end) as runs of so many bytes, each as soon as it is whole. */
  async function* runsOf(
    start: number,
    end: number,
    runBytes: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array[]> {
    let pieces: Uint8Array[] = [];
    let left = end - start;
    let room = Math.min(runBytes, left);
    for await (const chunk of await store.get(bucket, key, range(start, end), signal)) {
      let rest = chunk as Uint8Array;
      left -= rest.length;
      if (left < 0) throw changed();
      while (rest.length > 0) {
        const piece = rest.subarray(0, room);
        pieces.push(piece);
        room -= piece.length;
        rest = rest.subarray(piece.length);
        if (room > 0) break;
        yield pieces;
        pieces = [];
        room = Math.min(runBytes, left + rest.length);
      }
    }
    if (left > 0) throw changed();
  }

  const range = (start: number, end: number) => ({ start, end, ...(version === undefined ? {} : { version }) });
  const changed = () => new BlobStoreError('missing', `${bucket}/${key} is no longer the object of ${size} bytes`);

  /** Starts one request for the blocks from..to, which are not in the cache. Each of them is there as soon as its own bytes are. */
  function request(from: number, to: number): void {
    const names = Array.from({ length: to - from + 1 }, (_, i) => nameOf(from + i));
    const request: Request = { abort: new AbortController(), waiting: 0, settled: false, names };
    const blocks = names.map((name) => {
      const block = Promise.withResolvers<Uint8Array[]>();
      block.promise.catch(() => 'whoever waits for the block hears of it');
      cache.set(name, { pieces: block.promise, request, owner: me });
      return block;
    });
    const fill = async () => {
      let n = 0;
      const end = Math.min(size, (to + 1) * blockBytes);
      for await (const pieces of runsOf(from * blockBytes, end, blockBytes, request.abort.signal))
        blocks[n++]!.resolve(pieces);
    };
    const fail = (error: unknown) => {
      // Blocks that were handed over already are good.
      for (const block of blocks) block.reject(error);
      for (const name of names) cache.drop(name, request);
    };
    void fill()
      .catch(fail)
      .finally(() => {
        request.settled = true;
      });
  }

  async function wait(block: Block, signal?: AbortSignal): Promise<Uint8Array[]> {
    const { request } = block;
    request.waiting++;
    let onAbort: (() => void) | undefined;
    try {
      if (!signal) return await block.pieces;
      signal.throwIfAborted();
      const aborted = new Promise<never>((_, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
      });
      return await Promise.race([block.pieces, aborted]);
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      request.waiting--;
      if (signal?.aborted && request.waiting === 0 && !request.settled) {
        // Nobody may join it from here on: its blocks leave the cache before it fails.
        for (const name of request.names) cache.drop(name, request);
        request.abort.abort(signal.reason);
      }
    }
  }

  return {
    size,
    async read(start, end, signal) {
      signal?.throwIfAborted();
      const [from, to] = [Math.max(0, start), Math.min(size, end)];
      if (from >= to) return [];
      const [first, last] = [Math.floor(from / blockBytes), Math.floor((to - 1) / blockBytes)];
      // A read that would sweep out most of the cache is a copy of a large part: it is passed through.
      if (last - first + 1 > maxBlocks / 2) {
        const whole: Uint8Array[] = [];
        for await (const pieces of runsOf(from, to, to - from, signal)) whole.push(...pieces);
        return whole;
      }
      const needed: Promise<Uint8Array[]>[] = [];
      for (let n = first; n <= last; n++) {
        if (!cache.has(nameOf(n))) {
          const wanted = lastBlock < ahead ? lastBlock : n === expected ? n + Math.min(ahead, 2 * run) - 1 : last;
          const reach = Math.min(lastBlock, Math.max(last, wanted));
          let to = n;
          while (to < reach && !cache.has(nameOf(to + 1))) to++;
          request(n, to);
          expected = to + 1;
          run = to - n + 1;
        }
        needed.push(wait(cache.get(nameOf(n), me)!, signal));
      }
      const pieces = (await Promise.all(needed)).flat();
      return between(pieces, from - first * blockBytes, to - first * blockBytes);
    },
  };
}

/** Bytes [start, end) of what lies in pieces. */
function between(pieces: readonly Uint8Array[], start: number, end: number): Uint8Array[] {
  let at = 0;
  const cut = pieces.map((piece) => {
    const part = piece.subarray(Math.max(0, start - at), Math.max(0, end - at));
    at += piece.length;
    return part;
  });
  return cut.filter((part) => part.length > 0);
}
