/** Which of the codes that are stored are worth a closer look: those near a new one. */
import { CODE_BYTES, codesOf, type Envelope, encodedBits } from '@vigil/contracts';
import type { LogRecord } from '@vigil/event-log';
import { createTurns, type Logger } from '@vigil/runtime';
import type { Index } from '@vigil/similarity';
import { cannotBeDone } from '../give-up.ts';

/** Says as `Sieve` does which of a stream of codes are near a new one. */
export interface NearNew {
  readonly codes: number;
  sift(bits: Uint8Array, near: Uint8Array): number | Promise<number>;
}

/** Codes searched between two turns of others in this process: some 10 ms. */
const SEARCHED_AT_ONCE = 512;

/**
 * What a sieve says, by the index: for a film of more codes than a sieve holds (some 1.2 hours; it may last for 48). Slower than one
 * sieve, but not than several, which would take gigabytes.
 */
export function searchedInFull(index: Index, codes: number): NearNew {
  return {
    codes,
    async sift(bits, near) {
      const count = bits.length / CODE_BYTES;
      near.fill(0, 0, count);
      const turns = createTurns();
      for (let from = 0; from < count; from += SEARCHED_AT_ONCE) {
        const part = bits.subarray(from * CODE_BYTES, (from + SEARCHED_AT_ONCE) * CODE_BYTES);
        for (const asked of [part, part.map((b) => b ^ 255)])
          for (const { query } of index.search('picture', asked, 1)) near[from + query] = 1;
        if (turns.due()) await turns.rest();
      }
      let found = 0;
      for (let q = 0; q < count; q++) found += near[q]!;
      return found;
    },
  };
}

/**
 * Of records with fingerprints those of which some picture code, of whatever quality, lies within the radius of a new one, or its
 * complement does; how many codes that were, and how many records could not be read. Nothing else of them is looked at.
 */
export function createSift(
  sieve: NearNew,
  read: (record: LogRecord) => Promise<Envelope>,
  logger: Pick<Logger, 'warn'>,
) {
  let flags = new Uint8Array(4096);
  return async (records: readonly LogRecord[]): Promise<{ near: LogRecord[]; codes: number; unreadable: number }> => {
    const parts: Uint8Array[] = [];
    const ends: number[] = [];
    let [codes, unreadable] = [0, 0];
    for (const record of records) {
      try {
        const data = codesOf(await read(record));
        const bits = data.length > 0 ? encodedBits(data, 'picture') : data;
        parts.push(bits);
        codes += bits.length / CODE_BYTES;
      } catch (error) {
        if (!(error instanceof RangeError) && !cannotBeDone(error)) throw error;
        unreadable++;
        const { topic, partition, offset } = record;
        logger.warn({ topic, partition, offset, error }, 'cannot be read, and is left out');
      }
      ends.push(codes);
    }
    if (flags.length < codes) flags = new Uint8Array(2 * codes);
    if ((await sieve.sift(Buffer.concat(parts), flags)) === 0) return { near: [], codes, unreadable };
    const isNear = (n: number) => flags.subarray(n === 0 ? 0 : ends[n - 1]!, ends[n]!).includes(1);
    return { near: records.filter((_, n) => isNear(n)), codes, unreadable };
  };
}
