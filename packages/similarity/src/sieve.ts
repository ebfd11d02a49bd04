import { setImmediate } from 'node:timers/promises';
import { CODE_BYTES, RADIUS } from '@vigil/contracts';

/** Says which of a stream of codes may be near one of a few. */
export interface Sieve {
  /** Codes that it holds, their complements not counted. */
  readonly codes: number;
  /** Sets `near[i]` to 1 where code i of `bits`, or its complement, lies within the radius of a code that is held; returns how many. */
  sift(bits: Uint8Array, near: Uint8Array): number;
}

/** The widest radius at which a chunk of a near code differs in two bits at most. */
export const MAX_SIEVE_RADIUS = 47;

const CHUNKS = 16;
const VALUES = 1 << 16;
/** Ids are 16 bits wide, and each code stands twice in it: as it is, and as its complement. */
export const MOST_SIEVE_CODES = 32_767;

const POPCOUNT = new Uint8Array(VALUES);
for (let i = 1; i < VALUES; i++) POPCOUNT[i] = POPCOUNT[i >> 1]! + (i & 1);

/** Codes asked for at once: what a table of them touches stays in the cache. */
const AT_ONCE = 512;

/**
 * The index turned round: few codes are held, millions pass by. Each code that is held stands in the buckets of all chunks that differ
 * from its own in so few bits that nothing near is missed, so that what passes by looks into one bucket a table, 16 in all. The ring
 * filter (rules.ts) then leaves few to be compared in full. Exact: it says `near` of what lies within the radius, and of nothing else.
 * Takes 3.4 kB a code at RADIUS. Made a table at a time, between which others in this process have their turn.
 * @param bits 32 bytes a code, at most MOST_SIEVE_CODES
 * @throws RangeError
 */
export async function createSieve(bits: Uint8Array, radius: number = RADIUS): Promise<Sieve> {
  const codes = bits.length / CODE_BYTES;
  if (!Number.isInteger(codes)) throw new RangeError('bits are not whole codes');
  if (codes > MOST_SIEVE_CODES) throw new RangeError(`a sieve holds at most ${MOST_SIEVE_CODES} codes`);
  if (!Number.isInteger(radius) || radius < 0 || radius > MAX_SIEVE_RADIUS)
    throw new RangeError(`radius is 0 to ${MAX_SIEVE_RADIUS}`);
  const n = 2 * codes;
  const own = Math.floor(radius / CHUNKS);
  const two = Math.floor((2 * radius) / CHUNKS);
  const three = Math.floor((3 * radius) / CHUNKS);
  /** Chunk by chunk, so that what is compared next lies close together. */
  const held = Array.from({ length: CHUNKS }, () => new Uint16Array(n));
  for (let i = 0; i < codes; i++) {
    for (let c = 0; c < CHUNKS; c++) {
      const chunk = bits[i * CODE_BYTES + 2 * c]! | (bits[i * CODE_BYTES + 2 * c + 1]! << 8);
      held[c]![i] = chunk;
      held[c]![codes + i] = chunk ^ 0xffff;
    }
  }
  const flips = flipsOf(own);
  const tables: ReturnType<typeof tableOf>[] = [];
  for (let c = 0; c < CHUNKS; c++) {
    await setImmediate();
    tables.push(tableOf(held[c]!, held[(c + 1) % CHUNKS]!, held[(c + 2) % CHUNKS]!, flips));
  }

  const begins = new Uint32Array(AT_ONCE);
  const heads = new Int32Array(AT_ONCE);

  /** Distance of code `q` of `asked` and the one that is held as `id`. */
  function apart(asked: Uint16Array, q: number, id: number): number {
    let d = 0;
    for (let c = 0; c < CHUNKS; c++) d += POPCOUNT[asked[q * CHUNKS + c]! ^ held[c]![id]!]!;
    return d;
  }

  function siftPart(asked: Uint16Array, near: Uint8Array, from: number, to: number): void {
    for (let c = 0; c < CHUNKS; c++) {
      const { starts, ids, following } = tables[c]!;
      const [next, afterNext] = [(c + 1) % CHUNKS, (c + 2) % CHUNKS];
      // First all buckets are touched, so that the walk need not wait for memory at each of them.
      for (let q = from; q < to; q++) begins[q - from] = starts[asked[q * CHUNKS + c]!]!;
      for (let i = 0; i < to - from; i++) heads[i] = following[begins[i]!]!;
      for (let q = from; q < to; q++) {
        const at = q * CHUNKS;
        const end = starts[asked[at + c]! + 1]!;
        const own = asked[at + next]! | (asked[at + afterNext]! << 16);
        for (let e = begins[q - from]!; e < end; e++) {
          // The bits of both chunks that differ, summed up in two halves.
          let x = own ^ following[e]!;
          x -= (x >>> 1) & 0x55555555;
          x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
          x = (x + (x >>> 4)) & 0x0f0f0f0f;
          x += x >>> 8;
          if ((x & 0x1f) + ((x >>> 16) & 0x1f) > three || (x & 0x1f) > two) continue;
          if (near[q] === 0 && apart(asked, q, ids[e]!) <= radius) near[q] = 1;
        }
      }
    }
  }

  return {
    codes,
    sift(stream, near) {
      const count = stream.length / CODE_BYTES;
      if (!Number.isInteger(count)) throw new RangeError('bits are not whole codes');
      if (near.length < count) throw new RangeError('there is no room for the answer');
      near.fill(0, 0, count);
      if (n === 0) return 0;
      const whole = stream.byteOffset % 2 === 0 ? stream : stream.slice();
      const asked = new Uint16Array(whole.buffer, whole.byteOffset, count * CHUNKS);
      for (let from = 0; from < count; from += AT_ONCE) siftPart(asked, near, from, Math.min(count, from + AT_ONCE));
      let found = 0;
      for (let q = 0; q < count; q++) found += near[q]!;
      return found;
    },
  };
}

/** All masks of at most so many of 16 bits. */
function flipsOf(most: number): number[] {
  return Array.from({ length: VALUES }, (_, mask) => mask).filter((mask) => POPCOUNT[mask]! <= most);
}

/** By the value of a chunk: who has one like it, and the two chunks that follow there. */
function tableOf(chunks: Uint16Array, second: Uint16Array, third: Uint16Array, flips: readonly number[]) {
  const starts = new Uint32Array(VALUES + 1);
  for (const chunk of chunks) for (const flip of flips) starts[(chunk ^ flip) + 1]!++;
  for (let v = 0; v < VALUES; v++) starts[v + 1]! += starts[v]!;
  const ids = new Uint16Array(chunks.length * flips.length);
  const following = new Int32Array(ids.length);
  const at = starts.slice(0, VALUES);
  for (let id = 0; id < chunks.length; id++) {
    for (const flip of flips) {
      const e = at[chunks[id]! ^ flip]!++;
      ids[e] = id;
      following[e] = second[id]! | (third[id]! << 16);
    }
  }
  return { starts, ids, following };
}
