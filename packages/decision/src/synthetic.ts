/** Test support: fingerprints of films that never were. Every picture is a random code, every edit so many flipped bits. */
import {
  type Alignment,
  CODE_BYTES,
  ENGINE_VERSION,
  type Evidence,
  emptyTable,
  type Fingerprint,
  hamming,
  RADIUS,
  type ReferenceKey,
  type Segment,
  SLICE_SECONDS,
  TURNS,
  type Turn,
} from '@vigil/contracts';
import type { QueryHit } from './align.ts';
import type { QueryCodes } from './query-codes.ts';

/** mulberry32: small, seeded, good enough. */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const randomCode = (random: () => number): Uint8Array =>
  Uint8Array.from({ length: CODE_BYTES }, () => Math.floor(256 * random()));

/** The code with exactly `bits` of its bits flipped. */
export function flipped(code: Uint8Array, bits: number, random: () => number): Uint8Array {
  const out = code.slice();
  const places = Array.from({ length: 256 }, (_, i) => i);
  for (let k = 0; k < bits; k++) {
    const j = k + Math.floor(random() * (256 - k));
    [places[k], places[j]] = [places[j]!, places[k]!];
    out[places[k]! >> 3]! ^= 1 << (places[k]! & 7);
  }
  return out;
}

/** What a film shows at each time; `shots` change every few seconds, and inside one the picture drifts. */
export interface Film {
  duration: number;
  show(t: number): Uint8Array;
}

const STEP = 0.08;

/** 18 bits change every 0.08 s, all of them every `shot` seconds; a `still` one shows one picture. */
export function film(seed: number, duration: number, { shot = 4, drift = 18, still = false } = {}): Film {
  const random = seeded(seed);
  const codes: Uint8Array[] = [];
  for (let k = 0; k * STEP < duration; k++) {
    const last = codes.at(-1);
    const isCut = Math.floor((k * STEP) / shot) !== Math.floor(((k - 1) * STEP) / shot);
    codes.push(last && (still || !isCut) ? flipped(last, still ? 0 : drift, random) : randomCode(random));
  }
  return { duration, show: (t) => codes[Math.min(codes.length - 1, Math.max(0, Math.floor(t / STEP + 1e-9)))]! };
}

export interface Frame {
  time: number;
  code: Uint8Array;
  trimmed?: Uint8Array;
  quality?: number;
  flags?: number;
}

export const INSET = [0, 8192, 65535, 57343] as const;

export function fingerprintOf(
  frames: readonly Frame[],
  about: {
    span: [number, number];
    sampling?: Fingerprint['sampling'];
    turn?: Turn;
    thumbnails?: Fingerprint['thumbnails'];
  },
): Fingerprint {
  const rows = frames.flatMap((f, i) => [
    { frame: i, code: f.code, place: [0, 0, 65535, 65535], quality: f.quality ?? 100 },
    ...(f.trimmed ? [{ frame: i, code: f.trimmed, place: [...INSET], quality: f.quality ?? 100 }] : []),
  ]);
  const turn = TURNS.indexOf(about.turn ?? 'none');
  return {
    engine: ENGINE_VERSION,
    mode: 'exact',
    sampling: about.sampling ?? 'dense',
    span: about.span,
    width: 640,
    height: 360,
    frames: {
      time: Float64Array.from(frames, (f) => f.time),
      quality: Uint8Array.from(frames, (f) => f.quality ?? 100),
      flags: Uint8Array.from(frames, (f) => f.flags ?? 0),
    },
    tables: [
      {
        ...emptyTable('picture'),
        count: rows.length,
        bits: Uint8Array.from(rows.flatMap((r) => [...r.code])),
        frame: Uint16Array.from(rows, (r) => r.frame),
        place: Uint16Array.from(rows.flatMap((r) => r.place)),
        turn: new Uint8Array(rows.length).fill(turn),
        quality: Uint8Array.from(rows, (r) => r.quality),
      },
    ],
    thumbnails: about.thumbnails ?? { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

/** A reference's slices: every 0.08 s, kept where more than 20 bits differ from the last kept one, and every 2 s. */
export function referenceOf(source: Film): Fingerprint[] {
  const slices: Fingerprint[] = [];
  for (let start = 0; start < source.duration; start += SLICE_SECONDS) {
    const end = Math.min(source.duration, start + SLICE_SECONDS);
    const kept: Frame[] = [];
    for (let k = 0; start + k * STEP < end - 1e-9; k++) {
      const code = source.show(start + k * STEP);
      const last = kept.at(-1);
      const time = start + k * STEP;
      if (!last || hamming(last.code, code) > 20 || time - last.time >= 2) kept.push({ time, code });
    }
    slices.push(fingerprintOf(kept, { span: [start, end], sampling: 'every-frame' }));
  }
  return slices;
}

/** A slice of an upload at 2 frames a second; `shows` says what is seen at a time, null for something foreign. */
export function sliceOf(
  shows: (t: number) => Uint8Array | null,
  span: [number, number],
  { noise = 12, seed = 1, fps = 2, turn = 'none' as Turn } = {},
): Fingerprint {
  const random = seeded(seed);
  const frames: Frame[] = [];
  for (let t = span[0]; t < span[1] - 1e-9; t += 1 / fps) {
    const code = shows(t);
    frames.push({
      time: t,
      code: code ? flipped(code, Math.round(noise * (0.5 + random())), random) : randomCode(random),
    });
  }
  return fingerprintOf(frames, { span, turn });
}

/** Two frames a second that agree along a line from `offset` on. */
export function segmentAt(from: number, to: number, offset: number, more: Partial<Segment> = {}): Segment {
  const speed = more.speed ?? 1;
  const frames = Math.max(1, Math.round(2 * (to - from)));
  return {
    upload: [from, to],
    reference: [offset + speed * from, offset + speed * to],
    offset,
    speed,
    frames: { matched: frames, eligible: frames },
    distance: { mean: 16, worst: 30 },
    distinct: 5,
    timed: true,
    ...more,
  };
}

/** Of whole pictures, all of upload and reference, unless said otherwise. */
export function evidenceWith(segments: Segment[], more: Partial<Evidence> = {}): Evidence {
  const seconds = segments.map((s) => s.upload[1] - s.upload[0]);
  return {
    reference: key('a'),
    referenceMedia: 'video',
    kind: 'picture',
    altered: {},
    segments,
    longest: Math.max(...seconds),
    total: seconds.reduce((a, b) => a + b, 0),
    share: { upload: 1, reference: 1 },
    confidence: 0.5,
    ...more,
  };
}

export const key = (id: string): ReferenceKey => ({ id, version: 1 });

export interface Entry {
  reference: ReferenceKey;
  media: 'image' | 'video';
  slices: readonly Fingerprint[];
}

/** Brute force: what an exact index would say. */
export function search(queries: QueryCodes, library: readonly Entry[]): QueryHit[] {
  const hits: QueryHit[] = [];
  for (let q = 0; q < queries.frame.length; q++) {
    for (const { reference, media, slices } of library) {
      for (const slice of slices) {
        const table = slice.tables[0]!;
        for (let i = 0; i < table.count; i++) {
          const distance = hamming(queries.bits, table.bits, q * CODE_BYTES, i * CODE_BYTES);
          if (distance > RADIUS) continue;
          const place = [...table.place.subarray(4 * i, 4 * i + 4)] as [number, number, number, number];
          hits.push({
            query: q,
            distance,
            origin: { reference, media, time: slice.frames.time[table.frame[i]!]!, place },
          });
        }
      }
    }
  }
  return hits;
}

/** A line of speed 1 through one hit. */
export const alignmentThrough = (at: number, ref: number, more: Partial<Alignment> = {}): Alignment => ({
  reference: key('r'),
  kind: 'picture',
  referenceMedia: 'video',
  altered: {},
  offset: ref - at,
  speed: 1,
  frames: 1,
  hits: [{ at, ref, distance: 10, quality: 100, code: '0'.repeat(64) }],
  ...more,
});
