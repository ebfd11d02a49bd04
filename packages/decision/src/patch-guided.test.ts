import { CODE_BYTES, emptyTable, type Fingerprint } from '@vigil/contracts';
import { expect, test } from 'vitest';
import { isDrawn, levelsOf, PHOTOGRAPHIC_LEVELS } from './drawn.ts';
import { type Affine, apply, inverse, polar } from './patch-geometry.ts';
import { guided, guidedFilm } from './patch-guided.ts';
import { fingerprintOf, flipped, randomCode, seeded } from './synthetic.ts';

interface Planted {
  frame: number;
  x: number;
  y: number;
  code: Uint8Array;
  angle: number;
}

const MIDDLE = 0.5;
const DIAMETER = 0.06;
/** A crop to 70 % of the sides, all of it seen. */
const CROP: Affine = [0.7, 0, 0.2, 0, 0.7, 0.1];

function withPatches(base: Fingerprint, patches: readonly Planted[], scale = 1): Fingerprint {
  const count = patches.length;
  const table = { ...emptyTable('patch'), count, bits: new Uint8Array(count * CODE_BYTES) };
  table.frame = Uint16Array.from(patches, (p) => p.frame);
  table.turn = new Uint8Array(count);
  table.quality = new Uint8Array(count);
  table.place = new Uint16Array(4 * count);
  patches.forEach((p, i) => {
    table.bits.set(p.code, i * CODE_BYTES);
    const size = DIAMETER * scale * 65535;
    table.place.set([p.x * 65535, p.y * 65535, size, (p.angle * 65536) / (2 * Math.PI)].map(Math.round), 4 * i);
  });
  return { ...base, tables: [...base.tables, table] };
}

/** References with 100 patches a frame, and what an upload under the map shows of them, `bits` apart. */
function pictures(map: Affine, { bits = 50, frames = 1, seed = 1 } = {}) {
  const random = seeded(seed);
  const back = inverse(map)!;
  const theirs: Planted[] = [];
  const mine: Planted[] = [];
  for (let frame = 0; frame < frames; frame++) {
    for (let i = 0; i < 100; i++) {
      const p = { frame, x: random(), y: random(), code: randomCode(random), angle: 6 * random() };
      theirs.push(p);
      const [x, y] = apply(back, p.x, p.y);
      if (x < 0 || y < 0 || x > 1 || y > 1) continue;
      mine.push({ ...p, x, y, code: flipped(p.code, bits, random) });
    }
  }
  const code = randomCode(random);
  const at = Array.from({ length: frames }, (_, k) => ({ time: 2 * k, code }));
  const base = fingerprintOf(at, { span: [0, Math.max(1, 2 * frames)] });
  const scale = 1 / polar(map, MIDDLE, MIDDLE).scale;
  return { upload: withPatches(base, mine, scale), reference: withPatches(base, theirs), seen: mine.length };
}

test('codes too far apart for the index agree where the geometry says they should be', () => {
  const { upload, reference, seen } = pictures(CROP);
  const found = guided(upload, reference, CROP)!;
  expect(found.inliers).toBeGreaterThan(0.8 * seen);
  expect(found.visible).toBe(seen);
  expect(found.agreeing).toBe(0);
  const near = pictures(CROP, { bits: 20 });
  expect(guided(near.upload, near.reference, CROP)!.agreeing).toBe(near.seen);
  for (const [k, v] of CROP.entries()) expect(found.map[k]).toBeCloseTo(v!, 1);
});

test('another picture under the same geometry does not', () => {
  const { reference } = pictures(CROP);
  for (let seed = 2; seed < 8; seed++)
    expect(guided(pictures(CROP, { seed }).upload, reference, CROP)!.inliers).toBeLessThanOrEqual(1);
});

test('nor does the right picture under another geometry', () => {
  const { upload, reference } = pictures(CROP);
  expect(guided(upload, reference, [1, 0, 0, 0, 1, 0])!.inliers).toBeLessThanOrEqual(2);
});

test('of a film, frames are held against those that the line says', () => {
  const { upload, reference, seen } = pictures(CROP, { frames: 5 });
  const line = { offset: 0, speed: 1 };
  expect(guidedFilm(upload, [reference], CROP, line)!.inliers).toBeGreaterThan(0.5 * seen);
  expect(guidedFilm(upload, [reference], CROP, { offset: 2, speed: 1 })!.inliers).toBeLessThanOrEqual(3);
  expect(guidedFilm(upload, [reference], CROP, { offset: 100, speed: 1 })).toBeNull();
});

test('without patches nothing is said', () => {
  const { upload, reference } = pictures(CROP);
  const bare = { ...upload, tables: upload.tables.filter((t) => t.kind !== 'patch') };
  expect(guided(bare, reference, CROP)).toBeNull();
  expect(guided(upload, bare, CROP)).toBeNull();
});

test('a picture is drawn when hardly any levels lie beside its ground', () => {
  const random = seeded(3);
  const chart = Uint8Array.from({ length: 4096 }, (_, i) => (i % 3 ? 250 : [10, 60, 120][(i % 5) % 3]!));
  const onWhite = Uint8Array.from({ length: 4096 }, (_, i) => (i % 3 ? 250 : 256 * random()));
  const photograph = Uint8Array.from({ length: 4096 }, () => 256 * random());
  expect([chart, onWhite, photograph].map(isDrawn)).toEqual([true, false, false]);
  expect(levelsOf(chart)).toBeLessThan(4);
  expect(levelsOf(onWhite)).toBeGreaterThan(PHOTOGRAPHIC_LEVELS);
});
