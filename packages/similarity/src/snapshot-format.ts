import { crc32 } from 'node:zlib';
import { CODE_KINDS, type CodeKind, RADIUS } from '@vigil/contracts';
import { type Batch, batchesOf, type Contents, type Home } from './home.ts';
import { CHUNKS, type Layout } from './layout.ts';
import { PERMUTATION_SEED } from './permutation.ts';

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
export const FORMAT = 1;
export const SECTIONS = ['note', 'references', 'slices', 'home', 'codes', 'time', 'place', 'tables', 'end'] as const;
export type Section = (typeof SECTIONS)[number];

/** What the reader's code must agree with; removed codes are left out of the batches, not of the tables. */
export const PARAMETERS = [MAGIC, FORMAT, RADIUS, CHUNKS, PERMUTATION_SEED];

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
  const ids = known.map(({ id }) => Buffer.from(id, 'utf8'));
  const numbers = [known.length, ...known.map(({ version }) => version), ...ids.map((id) => id.length)];
  return Buffer.concat([bytesOf(Uint32Array.from(numbers)), ...ids]);
}

function slicesOf({ known }: Contents, numbers: Map<Batch, number>): Uint8Array {
  const owners: number[] = [];
  const slices: number[] = [];
  known.forEach((entry, owner) => {
    const seen = new Map<number, number>();
    for (const batch of batchesOf(entry)) {
      const number = seen.get(batch.slice) ?? owners.length;
      numbers.set(batch, number);
      if (number < owners.length) continue;
      seen.set(batch.slice, number);
      owners.push(owner);
      slices.push(batch.slice);
    }
  });
  return bytesOf(Uint32Array.from([owners.length, ...owners, ...slices]));
}

function about(kind: CodeKind, home: Home, slices: Map<Batch, number>): Uint8Array {
  const live = home.batches.filter((b) => !b.removed);
  const rows = live.flatMap((b) => [slices.get(b)!, b.start, b.count, MEDIA.indexOf(b.media)]);
  const { codes, keyBits } = home.layout;
  return bytesOf(Uint32Array.from([CODE_KINDS.indexOf(kind), codes, keyBits, live.length, ...rows]));
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
