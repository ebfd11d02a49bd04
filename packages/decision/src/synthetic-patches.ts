/** Test support: hits of patches as a true copy, accidents and repeated places would give them. */
import { CODE_BYTES, type Fingerprint, type ReferenceKey } from '@vigil/contracts';
import type { QueryHit } from './align.ts';
import { type Affine, apply, inverse, sizeOf } from './patch-geometry.ts';
import { patchQueries } from './patch-queries.ts';
import type { QueryCodes } from './query-codes.ts';
import { fingerprintOf, key, randomCode, seeded } from './synthetic.ts';

export interface Planted {
  reference?: ReferenceKey;
  media?: 'image' | 'video';
  /** Fractions of the upload to fractions of the reference; may reflect. */
  affine: Affine;
  /** Upload frames (seconds), places that agree in each, reference time of a frame. */
  times: readonly number[];
  each: number;
  ref?: (t: number) => number;
  /** The same places in every frame, or new ones. */
  repeat?: boolean;
  /** Shape of the reference. */
  aspect?: number;
}

export interface Scene {
  fingerprint: Fingerprint;
  queries: QueryCodes;
  hits: QueryHit[];
}

/** Places jitter by a pixel or two of 640, angles by some degrees, scales by a tenth. `accidents` hit anything anywhere. */
export function sceneOf(
  plants: readonly Planted[],
  {
    seed = 1,
    aspect = 16 / 9,
    accidents = 0,
    references = 40,
    hours = 2,
    sampling = 'keyframes' as Fingerprint['sampling'],
    span = [0, 30] as [number, number],
    codes = 300,
  } = {},
): Scene {
  const random = seeded(seed);
  const gauss = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const times = [...new Set(plants.flatMap((p) => p.times))].sort((a, b) => a - b);
  if (times.length === 0) for (let t = 0; t < span[1]; t += 2) times.push(t);
  const upload = sizeOf(aspect);
  const rows: { frame: number; place: number[]; hit?: Omit<QueryHit, 'query'>; mirrored?: boolean }[] = [];
  const u16 = (v: number) => Math.round(Math.min(1, Math.max(0, v)) * 65535);
  const turn = (a: number) => Math.floor((a / (2 * Math.PI) + 8) * 65536) % 65536;

  for (const p of plants) {
    const shape = sizeOf(p.aspect ?? 16 / 9);
    const back = inverse(p.affine)!;
    const mirrored = p.affine[0] * p.affine[4] - p.affine[1] * p.affine[3] < 0;
    let places: [number, number][] = [];
    for (const t of p.times) {
      if (!p.repeat || places.length === 0) {
        places = [];
        for (let tries = 0; places.length < p.each && tries < 100 * p.each; tries++) {
          const place: [number, number] = [random(), random()];
          const [x, y] = apply(back, ...place);
          if (x > 0 && x < 1 && y > 0 && y < 1) places.push(place);
        }
      }
      for (const [rx, ry] of places) {
        const [x, y] = apply(back, rx, ry);
        const angle = 2 * Math.PI * random();
        const [qx, qy] = [x + (gauss() * 1.2) / 640, y + (gauss() * 1.2) / 360];
        // Where the patch's axis points to in the reference.
        const tip = apply(
          p.affine,
          x + (0.01 * Math.cos(angle)) / upload.width,
          y + (0.01 * Math.sin(angle)) / upload.height,
        );
        const root = apply(p.affine, x, y);
        const [dx, dy] = [(tip[0] - root[0]) * shape.width, (tip[1] - root[1]) * shape.height];
        const size = 31 * 1.25 ** Math.floor(4 * random());
        const grown = (Math.hypot(dx, dy) / 0.01) * (1 + 0.1 * gauss());
        rows.push({
          frame: times.indexOf(t),
          mirrored,
          place: [u16(qx), u16(qy), u16(size / Math.hypot(upload.width, upload.height)), turn(angle)],
          hit: {
            distance: 5 + Math.floor(25 * random()),
            origin: {
              reference: p.reference ?? key('a'),
              media: p.media ?? 'video',
              time: p.media === 'image' ? 0 : Math.round((p.ref ?? ((s) => s))(t) / 2) * 2,
              place: [
                u16(rx),
                u16(ry),
                u16((size * grown) / Math.hypot(shape.width, shape.height)),
                turn(Math.atan2(dy, dx) + 0.12 * gauss()),
              ],
            },
          },
        });
      }
    }
  }
  for (const frame of times.keys())
    for (let i = 0; i < codes; i++)
      rows.push({
        frame,
        place: [u16(random()), u16(random()), u16(0.03 + 0.1 * random()), Math.floor(65536 * random())],
      });

  const fingerprint = fingerprintOf(
    times.map((time) => ({ time, code: randomCode(random) })),
    { span, sampling },
  );
  fingerprint.width = Math.round(1000 * aspect);
  fingerprint.height = 1000;
  fingerprint.tables.push({
    kind: 'patch',
    count: rows.length,
    bits: Uint8Array.from({ length: rows.length * CODE_BYTES }, () => Math.floor(256 * random())),
    frame: Uint16Array.from(rows, (r) => r.frame),
    place: Uint16Array.from(rows.flatMap((r) => r.place)),
    turn: new Uint8Array(rows.length),
    quality: new Uint8Array(rows.length).fill(100),
  });
  const queries = patchQueries(fingerprint);
  const hits: QueryHit[] = rows.flatMap(({ hit, mirrored }, i) =>
    hit ? [{ ...hit, query: mirrored ? rows.length + i : i }] : [],
  );
  for (let k = 0; k < accidents; k++) {
    hits.push({
      query: Math.floor(2 * rows.length * random()),
      distance: 20 + Math.floor(12 * random()),
      origin: {
        reference: key(`r${Math.floor(references * random())}`),
        media: 'video',
        time: 2 * Math.floor(hours * 1800 * random()),
        place: [u16(random()), u16(random()), u16(0.05 * 1.25 ** (8 * random())), Math.floor(65536 * random())],
      },
    });
  }
  return { fingerprint, queries, hits };
}

/** Fractions to fractions: the middle of the upload shows `centre` of the reference, `scale` times its width of it, turned. */
export function affineOf({
  centre = [0.5, 0.5],
  scale = 1,
  degrees = 0,
  mirror = false,
  from = 16 / 9,
  to = 16 / 9,
}: {
  centre?: [number, number];
  scale?: number;
  degrees?: number;
  mirror?: boolean;
  from?: number;
  to?: number;
}): [number, number, number, number, number, number] {
  const u = sizeOf(from);
  const r = sizeOf(to);
  const [c, s] = [scale * Math.cos((degrees * Math.PI) / 180), scale * Math.sin((degrees * Math.PI) / 180)];
  const m = mirror ? -1 : 1;
  const [a, b, d, e] = [
    (m * c * u.width) / r.width,
    (-s * u.height) / r.width,
    (m * s * u.width) / r.height,
    (c * u.height) / r.height,
  ];
  return [a, b, centre[0] - (a + b) / 2, d, e, centre[1] - (d + e) / 2];
}

/** Largest distance, in fractions, between where two maps take the corners and the middle of what both show. */
export function farthest(a: Affine, b: Affine): number {
  const points = [0.1, 0.5, 0.9].flatMap((x) => [0.1, 0.5, 0.9].map((y) => [x, y] as const));
  return Math.max(
    ...points.map(([x, y]) => {
      const [p, q] = [apply(a, x, y), apply(b, x, y)];
      return Math.hypot(p[0] - q[0], p[1] - q[1]);
    }),
  );
}

/** Level 0..255 of a moving picture at a place (fractions) and a time. */
export type Texture = (x: number, y: number, t: number) => number;

/** Waves that drift, others after every `shot` seconds; with `still` one picture for ever. */
export function textureOf(seed: number, { shot = 4, still = false } = {}): Texture {
  const shots = new Map<number, number[][]>();
  const waves = (n: number) => {
    const known = shots.get(n);
    if (known) return known;
    const random = seeded(seed * 1000 + n);
    const made = Array.from({ length: 10 }, () => {
      const [f, a] = [1 + 5 * random(), 2 * Math.PI * random()];
      return [2 * Math.PI * f * Math.cos(a), 2 * Math.PI * f * Math.sin(a), 2 * Math.PI * random(), 3 * random() - 1.5];
    });
    shots.set(n, made);
    return made;
  };
  return (x, y, t) => {
    const time = still ? 0 : t;
    let sum = 0;
    for (const [kx, ky, phase, drift] of waves(Math.floor(time / shot)))
      sum += Math.sin(kx! * x + ky! * y + phase! + drift! * time);
    return Math.min(255, Math.max(0, 128 + 28 * sum));
  };
}

/** 64 x 64 levels, each the mean of 2 x 2 samples. */
export function thumbnailFrom(show: (x: number, y: number) => number): Uint8Array {
  const out = new Uint8Array(64 * 64);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (const dy of [0.25, 0.75])
      for (const dx of [0.25, 0.75]) sum += show(((i % 64) + dx) / 64, (Math.floor(i / 64) + dy) / 64);
    out[i] = sum / 4;
  }
  return out;
}

/** The fingerprint with a thumbnail at each time. */
export function withThumbnails(f: Fingerprint, times: readonly number[], show: Texture): Fingerprint {
  const luma = new Uint8Array(times.length * 4096);
  times.forEach((t, k) => {
    luma.set(
      thumbnailFrom((x, y) => show(x, y, t)),
      4096 * k,
    );
  });
  return { ...f, thumbnails: { time: Float64Array.from(times), luma } };
}
