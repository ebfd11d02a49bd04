import { crc32 } from 'node:zlib';
import { CODE_KINDS, type CodeKind } from '@vigil/contracts';
import { type Index, type IndexOptions, indexOf, kernelOf } from './create-index.ts';
import { type Batch, bury, createHome, type Home, type Known, settle } from './home.ts';
import type { Kernel } from './kernel.ts';
import { keyBitsFor, MAX_SEGMENT_CODES } from './layout.ts';
import { RULES, tablesOf } from './rules.ts';
import { MEDIA, PARAMETERS, SECTIONS, type Section, stretchesOf } from './snapshot-format.ts';

/**
 * The bytes are no snapshot that this code can trust: cut short, altered on the way, or of another format. Reading them
 * again will not help; rebuild the index from the log.
 */
export class SnapshotRefused extends Error {
  override name = 'SnapshotRefused';
  readonly retriable = false;
}

/** Of sections that are read whole. A reference takes some 40 bytes there, a batch 16. */
const MAX_SECTION_BYTES = 2 ** 31;

/**
 * Reads what `Index.snapshot` wrote, straight into the memory that will be searched: nothing is built anew.
 * @throws SnapshotRefused, and whatever reading `pieces` throws
 */
export async function restoreIndex(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: IndexOptions = {},
): Promise<{ index: Index; note: string }> {
  const from = createReader(pieces);
  try {
    return await restoredFrom(from, options);
  } finally {
    await from.close();
  }
}

async function restoredFrom(from: Reader, options: IndexOptions): Promise<{ index: Index; note: string }> {
  const parameters = await from.words(PARAMETERS.length);
  if (PARAMETERS.some((p, i) => p !== parameters[i])) throw new SnapshotRefused('it is of another format');
  const note = new TextDecoder().decode(await from.section('note'));
  const known = referencesIn(await from.section('references'));
  const slices = slicesIn(await from.section('slices'), known);
  const homes: { kind: CodeKind; home: Home }[] = [];
  for (let name = await from.next(); name !== 'end'; name = await from.next()) {
    homes.push(await readHome(from, slices, kernelOf(options), 1 + (options.threads ?? 0)));
  }
  await from.section('end');
  return { index: indexOf({ known, homes }, options), note };
}

type Reader = ReturnType<typeof createReader>;
interface Slice {
  readonly owner: Known;
  readonly slice: number;
}

function referencesIn(data: Uint8Array): Known[] {
  const words = wordsIn(data);
  const count = words.at(0);
  const known: Known[] = [];
  let at = 4 * (1 + 2 * count);
  for (let i = 0; i < count; i++) {
    const end = at + words.at(1 + count + i);
    if (end > data.length) throw new SnapshotRefused('an id is cut short');
    const id = new TextDecoder().decode(data.subarray(at, end));
    known.push({ id, version: words.at(1 + i), first: null, other: null });
    at = end;
  }
  return known;
}

function slicesIn(data: Uint8Array, known: readonly Known[]): Slice[] {
  const words = wordsIn(data);
  const count = words.at(0);
  return Array.from({ length: count }, (_, i) => {
    const owner = known[words.at(1 + i)];
    if (!owner) throw new SnapshotRefused('a slice is of no reference');
    return { owner, slice: words.at(1 + count + i) };
  });
}

async function readHome(
  from: Reader,
  slices: readonly Slice[],
  kernel: Kernel,
  slots: number,
): Promise<{ kind: CodeKind; home: Home }> {
  const words = wordsIn(await from.section('home'));
  const kind = CODE_KINDS[words.at(0)];
  const codes = words.at(1);
  if (!kind || codes > MAX_SEGMENT_CODES || words.at(2) !== keyBitsFor(codes)) {
    throw new SnapshotRefused('a segment is laid out in another way');
  }
  const home = createHome(kernel, codes, tablesOf(RULES[kind]), slots);
  home.count = codes;
  let end = 0;
  for (let i = 0; i < words.at(3); i++) {
    const [slice, start, count, video] = [0, 1, 2, 3].map((k) => words.at(4 + 4 * i + k)) as [
      number,
      number,
      number,
      number,
    ];
    const place = slices[slice];
    const media = MEDIA[video];
    if (!place || !media || start < end || start + count > codes) throw new SnapshotRefused('a batch has no place');
    // What lies between two batches was removed.
    bury(home, end, start - end);
    end = start + count;
    const batch: Batch = {
      owner: place.owner,
      slice: place.slice,
      media,
      kind,
      count,
      home: null,
      start,
      removed: false,
      next: place.owner.first,
    };
    settle(home, batch, start);
    place.owner.first = batch;
  }
  bury(home, end, codes - end);
  for (const [name, at, length] of stretchesOf(home.layout)) {
    await from.into(name, new Uint8Array(home.memory.buffer, at, length));
  }
  return { kind, home };
}

function wordsIn(data: Uint8Array) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    at(i: number): number {
      if (4 * i + 4 > data.length) throw new SnapshotRefused('a section is cut short');
      return view.getUint32(4 * i, true);
    },
  };
}

function createReader(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  const source = Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  let piece = new Uint8Array(0);
  let used = 0;
  let opened: { name: Section; length: number } | null = null;

  const fill = async (target: Uint8Array): Promise<void> => {
    for (let at = 0; at < target.length; ) {
      if (used === piece.length) {
        const next = await source.next();
        if (next.done) throw new SnapshotRefused('it is cut short');
        piece = new Uint8Array(next.value.buffer as ArrayBuffer, next.value.byteOffset, next.value.byteLength);
        used = 0;
        continue;
      }
      const n = Math.min(target.length - at, piece.length - used);
      target.set(piece.subarray(used, used + n), at);
      at += n;
      used += n;
    }
  };

  const words = async (count: number): Promise<number[]> => {
    const bytes = new Uint8Array(4 * count);
    await fill(bytes);
    const all = wordsIn(bytes);
    return Array.from({ length: count }, (_, i) => all.at(i));
  };

  /** Opens the next section, if it is not open already. */
  const open = async (): Promise<{ name: Section; length: number }> => {
    if (opened) return opened;
    const bytes = new Uint8Array(9);
    await fill(bytes);
    const name = SECTIONS[bytes[0]!];
    if (!name) throw new SnapshotRefused('a section has no name');
    opened = { name, length: Number(new DataView(bytes.buffer).getBigUint64(1, true)) };
    return opened;
  };

  const into = async (name: Section, target: Uint8Array): Promise<void> => {
    const found = await open();
    if (found.name !== name || found.length !== target.length) throw new SnapshotRefused(`section ${name} is amiss`);
    opened = null;
    await fill(target);
    const [sum] = await words(1);
    if (sum !== crc32(target)) throw new SnapshotRefused(`section ${name} was altered`);
  };

  return {
    words,
    into,
    next: async (): Promise<Section> => (await open()).name,
    /** Nothing more is read: what the pieces come from, a file say, is let go of, whether or not all of it was read. */
    close: async (): Promise<void> => void (await source.return?.()),
    async section(name: Section): Promise<Uint8Array> {
      const { length } = await open();
      if (length > MAX_SECTION_BYTES) throw new SnapshotRefused(`section ${name} is too long`);
      const data = new Uint8Array(length);
      await into(name, data);
      return data;
    },
  };
}
