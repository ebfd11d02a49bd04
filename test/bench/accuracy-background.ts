import {
  CODE_BYTES,
  type CodeTable,
  ENGINE_VERSION,
  emptyTable,
  type Fingerprint,
  hamming,
  RADIUS,
  tableOf,
} from '@vigil/contracts';
import { createIndex, type SimilarityIndex } from '@vigil/similarity';
import { randomFor } from './accuracy-works.ts';

/** Codes of one made slice, and slices of one made film. */
const SLICE = 900;
const SLICES = 64;
/** Lookups, and made codes, that a rate is measured with. */
const LOOKUPS = 1000;
const TRIED = 40_000;
/** A relative of a real code: so many of its bits differ. */
const RELATIVE_BITS = [12, 40] as const;

/** How alike codes are to each other: what makes a search slow, and votes wrong. */
interface Likeness {
  codes: number;
  /** How often two codes have a chunk (bits c, c + 16, ...) in common, over how often two random ones would. */
  chunkSkew: number;
  /** Share of codes that lie within the radius of the one before. */
  neighbours: number;
  /** Codes of other works within the radius of a lookup, in a million. */
  accidents: number;
}

export interface BackgroundFit {
  made: 'made by a generator fitted to the references, not real';
  kinds: Record<string, { real: Likeness; made: Likeness; relatives: number }>;
}

interface Pool {
  kind: 'picture' | 'patch';
  bits: Uint8Array;
  place: Uint16Array;
  /** Bits from each code to the next of the same slice. */
  steps: number[];
}

/**
 * Adds `count` made codes of pictures and as many of patches. Each is put together from chunks of real codes, so that chunks are as
 * uneven as theirs; runs of pictures differ from one to the next as a film's do; a share of them are relatives of real codes,
 * as many as it takes for lookups to meet as many accidents as real codes of other works would make.
 */
export function addBackground({
  index,
  learned,
  familyOf,
  count,
  seed,
  say,
}: {
  index: SimilarityIndex;
  learned: readonly Fingerprint[];
  familyOf: (reference: string) => string;
  count: number;
  seed: number;
  say: (text: string) => void;
}): BackgroundFit | null {
  if (count === 0) return null;
  const fit: BackgroundFit = { made: 'made by a generator fitted to the references, not real', kinds: {} };
  const tables = new Map<Pool['kind'], CodeTable>();
  for (const kind of ['picture', 'patch'] as const) {
    const random = randomFor(seed, 'background', kind);
    const pool = poolOf(kind, learned);
    const lookups = sampleOf(pool.bits, LOOKUPS, random);
    const real = likeness(pool.bits, pool.steps, accidentsAmong(index, kind, lookups, familyOf));
    const rate = (relatives: number) => {
      const made = makeCodes(pool, TRIED, relatives, random);
      const alone = createIndex();
      addSlices(alone, tableFrom(pool, made, random));
      return accidentsAmong(alone, kind, lookups);
    };
    const [none, half] = [rate(0), rate(0.5)];
    const relatives = half > none ? Math.min(1, Math.max(0, (0.5 * (real.accidents - none)) / (half - none))) : 0;
    const bits = makeCodes(pool, count, relatives, random);
    const table = tableFrom(pool, bits, random);
    tables.set(kind, table);
    fit.kinds[kind] = { real, made: likeness(bits, stepsOf(bits), rate(relatives)), relatives };
  }
  for (const table of tables.values()) addSlices(index, table);
  say(`background (made): ${JSON.stringify(fit.kinds)}`);
  return fit;
}

function poolOf(kind: Pool['kind'], learned: readonly Fingerprint[]): Pool {
  const tables = learned.map((f) => tableOf(f, kind)).filter((t) => t.count > 0);
  const count = tables.reduce((n, t) => n + t.count, 0);
  const pool: Pool = { kind, bits: new Uint8Array(count * CODE_BYTES), place: new Uint16Array(4 * count), steps: [] };
  let at = 0;
  for (const t of tables) {
    pool.bits.set(t.bits, at * CODE_BYTES);
    pool.place.set(t.place, 4 * at);
    if (t.count > 1) pool.steps.push(...stepsOf(t.bits));
    at += t.count;
  }
  return pool;
}

const stepsOf = (bits: Uint8Array): number[] =>
  Array.from({ length: bits.length / CODE_BYTES - 1 }, (_, i) =>
    hamming(bits, bits, i * CODE_BYTES, (i + 1) * CODE_BYTES),
  );

function makeCodes(pool: Pool, count: number, relatives: number, random: () => number): Uint8Array {
  const real = pool.bits.length / CODE_BYTES;
  const bits = new Uint8Array(count * CODE_BYTES);
  const copy = (i: number, from: Uint8Array, at: number) =>
    bits.set(from.subarray(at * CODE_BYTES, (at + 1) * CODE_BYTES), i * CODE_BYTES);
  for (let i = 0; i < count; i++) {
    const step = pool.kind === 'picture' && i % SLICE > 0 ? pool.steps[Math.floor(random() * pool.steps.length)]! : 256;
    if (random() < relatives) {
      copy(i, pool.bits, Math.floor(random() * real));
      flip(bits, i, Math.floor(RELATIVE_BITS[0] + random() * (RELATIVE_BITS[1] - RELATIVE_BITS[0])), random);
    } else if (step < 64) {
      copy(i, bits, i - 1);
      flip(bits, i, step, random);
    } else {
      for (let chunk = 0; chunk < 16; chunk++) {
        const from = Math.floor(random() * real) * CODE_BYTES + (chunk >> 3);
        const to = i * CODE_BYTES + (chunk >> 3);
        const bit = 1 << (chunk & 7);
        for (let k = 0; k < CODE_BYTES; k += 2) bits[to + k]! |= pool.bits[from + k]! & bit;
      }
    }
  }
  return bits;
}

function flip(bits: Uint8Array, code: number, count: number, random: () => number): void {
  const seen = new Set<number>();
  while (seen.size < count) seen.add(Math.floor(random() * 256));
  for (const bit of seen) bits[code * CODE_BYTES + (bit >> 3)]! ^= 1 << (bit & 7);
}

function sampleOf(bits: Uint8Array, count: number, random: () => number): Uint8Array {
  const out = new Uint8Array(count * CODE_BYTES);
  for (let i = 0; i < count; i++) {
    const from = Math.floor((random() * bits.length) / CODE_BYTES) * CODE_BYTES;
    out.set(bits.subarray(from, from + CODE_BYTES), i * CODE_BYTES);
  }
  return out;
}

/** Hits a lookup in a million codes; where the lookups are codes of the index, without those of the lookup's own family. */
function accidentsAmong(
  index: SimilarityIndex,
  kind: Pool['kind'],
  lookups: Uint8Array,
  familyOf?: (reference: string) => string,
): number {
  const codes = index.stats().find((s) => s.kind === kind)?.codes ?? 0;
  const hits = index.search(kind, lookups, 4096);
  const home = new Map<number, string>();
  for (const h of hits) if (familyOf && h.distance === 0) home.set(h.query, familyOf(h.origin.reference.id));
  const foreign = hits.filter((h) => !familyOf || familyOf(h.origin.reference.id) !== home.get(h.query)).length;
  return codes > 0 ? (foreign / (lookups.length / CODE_BYTES) / codes) * 1e6 : 0;
}

function likeness(bits: Uint8Array, steps: readonly number[], accidents: number): Likeness {
  const codes = bits.length / CODE_BYTES;
  let skew = 0;
  for (let chunk = 0; chunk < 16; chunk++) {
    const counts = new Uint32Array(65536);
    for (let i = 0; i < codes; i++) {
      let value = 0;
      for (let k = 0; k < 16; k++) {
        const bit = chunk + 16 * k;
        value |= ((bits[i * CODE_BYTES + (bit >> 3)]! >> (bit & 7)) & 1) << k;
      }
      counts[value]!++;
    }
    let pairs = 0;
    for (const c of counts) pairs += c * (c - 1);
    skew += (65536 * pairs) / (codes * (codes - 1)) / 16;
  }
  const near = steps.filter((s) => s <= RADIUS).length / Math.max(1, steps.length);
  return { codes, chunkSkew: round(skew), neighbours: round(near), accidents: round(accidents) };
}

const round = (x: number): number => Math.round(1000 * x) / 1000;

function tableFrom(pool: Pool, bits: Uint8Array, random: () => number): CodeTable {
  const count = bits.length / CODE_BYTES;
  const place = new Uint16Array(4 * count);
  for (let i = 0; i < count; i++) {
    const from = 4 * Math.floor((random() * pool.place.length) / 4);
    place.set(pool.place.subarray(from, from + 4), 4 * i);
  }
  const whole = {
    frame: new Uint16Array(count),
    turn: new Uint8Array(count),
    quality: new Uint8Array(count).fill(100),
  };
  return { ...emptyTable(pool.kind), count, bits, place, ...whole };
}

/** Films of half a minute a slice. */
function addSlices(index: SimilarityIndex, table: CodeTable): void {
  for (let from = 0, n = 0; from < table.count; from += SLICE, n++) {
    const to = Math.min(table.count, from + SLICE);
    const slice = n % SLICES;
    const frames = 15;
    const fingerprint: Fingerprint = {
      engine: ENGINE_VERSION,
      mode: 'fast',
      sampling: 'every-frame',
      span: [30 * slice, 30 * slice + 30],
      width: 640,
      height: 360,
      frames: {
        time: Float64Array.from({ length: frames }, (_, f) => 30 * slice + 2 * f),
        quality: new Uint8Array(frames).fill(100),
        flags: new Uint8Array(frames),
      },
      tables: [
        {
          ...table,
          count: to - from,
          bits: table.bits.slice(from * CODE_BYTES, to * CODE_BYTES),
          place: table.place.slice(4 * from, 4 * to),
          frame: Uint16Array.from({ length: to - from }, (_, i) => Math.floor((i * frames) / (to - from))),
          turn: new Uint8Array(to - from),
          quality: table.quality.slice(from, to),
        },
      ],
      thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
    };
    index.add({ id: `made-${table.kind}-${Math.floor(n / SLICES)}`, version: 1 }, slice, 'video', fingerprint);
  }
}
