import { crc32 } from 'node:zlib';
import { CODE_KINDS, type CodeKind, RADIUS } from '@vigil/contracts';
import type { Batch, Contents, Home } from './home.ts';
import { CHUNKS, type Layout } from './layout.ts';
import { BIT_ORDER } from './permutation.ts';

/**
 * A snapshot, little-endian: MAGIC, FORMAT, the parameters that the codes were laid out by, and sections. A section is its
 * name (u8), its length in bytes (u64), the bytes, and their CRC-32. In this order:
 *
 * note        text of the caller's
 * references  u32 count; version u32 each; bytes of the id u32 each; the ids, UTF-8
 * slices      u32 count; reference u32 each; slice u32 each: those that brought codes
 * home        kind, codes, keyBits, batches u32; then slice, start, codes, media (1 is video) u32 for each batch; followed by
 *   codes, time, place, tables   as layout.ts has them
 * end         nothing
 */
export const MAGIC = 0x31585656; // "VVX1"
export const FORMAT = 2;
export const SECTIONS = ['note', 'references', 'slices', 'home', 'codes', 'time', 'place', 'tables', 'end'] as const;
export type Section = (typeof SECTIONS)[number];

/** What the reader's code must agree with; removed codes are left out of the batches, not of the tables. */
export const PARAMETERS = [MAGIC, FORMAT, RADIUS, CHUNKS, crc32(BIT_ORDER)];

export const MEDIA = ['image', 'video'] as const;

const PIECE = 1 << 20;

/** The stretches of a home's memory that a snapshot keeps. */
export function stretchesOf(layout: Layout): [Section, number, number][] {
  const { codes, codesAt, timeAt, placeAt, tablesAt, tableBytes, tables } = layout;
  return [
    ['codes', codesAt, 32 * codes],
    ['time', timeAt, 4 * codes],
    ['place', placeAt, 8 * codes],
    ['tables', tablesAt, tables * tableBytes],
  ];
}

/** What is small is copied at the call; segments do not change, and are read as the pieces are taken. */
export function writeSnapshot(contents: Contents, note: string): Iterable<Uint8Array> {
  const slices = new Map<Batch, number>();
  const head = [
    section('note', new TextEncoder().encode(note)),
    section('references', referencesOf(contents)),
    section('slices', slicesOf(contents, slices)),
  ];
  const homes = contents.homes.map(({ kind, home }) => ({ home, about: section('home', about(kind, home, slices)) }));

  function* pieces() {
    yield bytesOf(Uint32Array.from(PARAMETERS));
    yield* head;
    for (const { home, about } of homes) {
      yield about;
      for (const [name, at, length] of stretchesOf(home.layout)) yield* stretch(name, home, at, length);
    }
    yield section('end', new Uint8Array(0));
  }
  return pieces();
}

function referencesOf({ known }: Contents): Uint8Array {
  const count = known.length;
  const numbers = new Uint32Array(1 + 2 * count);
  const ids = new Array<string>(count);
  numbers[0] = count;
  for (let i = 0; i < count; i++) {
    const { id, version } = known[i]!;
    ids[i] = id;
    numbers[1 + i] = version;
    numbers[1 + count + i] = Buffer.byteLength(id);
  }
  return Buffer.concat([bytesOf(numbers), Buffer.from(ids.join(''))]);
}

function slicesOf({ known }: Contents, numbers: Map<Batch, number>): Uint8Array {
  const owners: number[] = [];
  const slices: number[] = [];
  for (let owner = 0; owner < known.length; owner++) {
    const begin = slices.length;
    // Slices arrive in their order, and lie here from the last on: what is looked for is mostly what was put there last.
    for (let batch = known[owner]!.first; batch; batch = batch.next) {
      let number = slices.length - 1;
      while (number >= begin && slices[number] !== batch.slice) number--;
      if (number < begin) {
        number = slices.push(batch.slice) - 1;
        owners.push(owner);
      }
      numbers.set(batch, number);
    }
  }
  const words = new Uint32Array(1 + 2 * slices.length);
  words[0] = slices.length;
  words.set(owners, 1);
  words.set(slices, 1 + owners.length);
  return bytesOf(words);
}

function about(kind: CodeKind, home: Home, slices: Map<Batch, number>): Uint8Array {
  const words = new Uint32Array(4 + 4 * home.batches.length);
  let at = 4;
  for (const batch of home.batches) {
    if (batch.removed) continue;
    words[at++] = slices.get(batch)!;
    words[at++] = batch.start;
    words[at++] = batch.count;
    words[at++] = MEDIA.indexOf(batch.media);
  }
  const { codes, keyBits } = home.layout;
  words.set([CODE_KINDS.indexOf(kind), codes, keyBits, (at - 4) / 4]);
  return bytesOf(words.subarray(0, at));
}

function section(name: Section, data: Uint8Array): Uint8Array {
  return Buffer.concat([opening(name, data.length), data, bytesOf(Uint32Array.of(crc32(data)))]);
}

function* stretch(name: Section, home: Home, at: number, length: number) {
  yield opening(name, length);
  let sum = 0;
  for (let i = 0; i < length; i += PIECE) {
    // A copy: most of what writes bytes refuses shared memory.
    const piece = new Uint8Array(home.memory.buffer, at + i, Math.min(PIECE, length - i)).slice();
    sum = crc32(piece, sum);
    yield piece;
  }
  yield bytesOf(Uint32Array.of(sum));
}

function opening(name: Section, length: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = SECTIONS.indexOf(name);
  new DataView(bytes.buffer).setBigUint64(1, BigInt(length), true);
  return bytes;
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
