/**
 * What the patch codes are worth, on photographs that the pattern was not learned from.
 *
 *   node packages/fingerprint/tools/measure-patch-codes.ts CORPUS_FOLDER [--pictures 60]
 *
 * Prints one JSON line: the share of a reference's codes that an altered copy has within the radius, hits by accident
 * between unrelated pictures per 1e9 pairs of codes, balance and correlation of the bits, milliseconds of CPU a frame.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { RADIUS } from '@vigil/contracts';
import sharp, { type Sharp } from 'sharp';
import { createPatchCoder, type PatchCodes, swapHalves } from '../src/patch-codes.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pictures: { type: 'string', default: '60' },
    reference: { type: 'string', default: '60' },
    upload: { type: 'string', default: '300' },
    speed: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const KINDS = /^(photo|coco|kodak|camera|public|art)_/;
const folder = join(positionals[0]!, 'images');
const all = (await readdir(folder)).filter((name) => KINDS.test(name)).sort();
const names = all.filter((_, i) => i % 2 === 1);
// Neighbours in the alphabet are of one series: take them from all over.
const spread = names.map((_, i) => names[(i * 37) % names.length]!);
const count = Number(values.pictures);

interface Picture {
  data: Uint8Array;
  width: number;
  height: number;
}

async function pixels(image: Sharp): Promise<Picture> {
  const { data, info } = await image.greyscale().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { data: new Uint8Array(data), width: info.width, height: info.height };
}

const again = ({ data, width, height }: Picture) => sharp(data, { raw: { width, height, channels: 1 } });
const load = (name: string) =>
  pixels(
    sharp(join(folder, name), { failOn: 'none' }).flatten({ background: 'white' }).resize(640, 640, { fit: 'inside' }),
  );

const EDITS: Record<string, (p: Picture) => Promise<Picture>> = {
  same: async (p) => p,
  jpeg20: async (p) => pixels(sharp(await again(p).jpeg({ quality: 20 }).toBuffer())),
  half: (p) => pixels(again(p).resize(p.width >> 1, p.height >> 1, { fit: 'fill' })),
  'half, jpeg30': async (p) =>
    pixels(
      sharp(
        await again(p)
          .resize(p.width >> 1, p.height >> 1, { fit: 'fill' })
          .jpeg({ quality: 30 })
          .toBuffer(),
      ),
    ),
  rotate10: async (p) => {
    const turned = await pixels(again(p).rotate(10, { background: '#000' }));
    const [left, top] = [(turned.width - p.width) >> 1, (turned.height - p.height) >> 1];
    return pixels(again(turned).extract({ left, top, width: p.width, height: p.height }));
  },
  crop40: (p) =>
    pixels(
      again(p).extract({
        left: Math.floor(p.width * 0.1),
        top: Math.floor(p.height * 0.1),
        width: Math.floor(p.width * 0.775),
        height: Math.floor(p.height * 0.775),
      }),
    ),
  mirror: (p) => pixels(again(p).flop()),
  caption: async (p) => {
    const data = p.data.slice();
    const size = Math.max(4, Math.round(p.height * 0.06));
    for (const top of [0.78, 0.87]) glyphs({ ...p, data }, Math.round(p.height * top), size);
    return pixels(
      sharp(
        await again({ ...p, data })
          .jpeg({ quality: 70 })
          .toBuffer(),
      ),
    );
  },
  'inset 60 %': async (p) => {
    const base = pictures[(pictures.indexOf(p) + 7) % pictures.length]!;
    const small = await pixels(again(p).resize(Math.round(p.width * 0.6), Math.round(p.height * 0.6), { fit: 'fill' }));
    const under = await pixels(again(base).resize(p.width, p.height, { fit: 'fill' }));
    const [left, top] = [Math.round(p.width * 0.37), Math.round(p.height * 0.36)];
    for (let y = 0; y < small.height; y++) {
      under.data.set(small.data.subarray(y * small.width, (y + 1) * small.width), (top + y) * p.width + left);
    }
    return under;
  },
};

/** A line of letter-like strokes, white with a black rim. */
function glyphs({ data, width, height }: Picture, top: number, size: number): void {
  let seed = 7;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const stroke = Math.max(1, Math.round(size / 7));
  const fill = (x: number, y: number, w: number, h: number, level: number) => {
    for (let v = Math.max(0, y); v < Math.min(height, y + h); v++) {
      data.fill(level, v * width + Math.max(0, x), v * width + Math.min(width, x + w));
    }
  };
  for (let x = Math.round(width * 0.08); x < width * 0.92; x += Math.round(size * 0.75)) {
    if (random() < 0.17) continue;
    const bars: [number, number, number, number][] = [];
    for (const u of [0, 0.45]) if (random() < 0.7) bars.push([x + Math.round(u * size), top, stroke, size]);
    for (const v of [0, 0.43, 0.86]) {
      if (random() < 0.6) bars.push([x, top + Math.round(v * size), Math.round(size * 0.58), stroke]);
    }
    for (const [a, b, c, d] of bars) fill(a - 1, b - 1, c + 2, d + 2, 10);
    for (const [a, b, c, d] of bars) fill(a, b, c, d, 240);
  }
}

const coder = createPatchCoder();
const reference = (p: Picture) =>
  coder.code(p.data, p.width, p.height, { count: Number(values.reference), kind: 'reference' });
const upload = (p: Picture) => coder.code(p.data, p.width, p.height, { count: Number(values.upload), kind: 'upload' });

const wordsOf = (codes: PatchCodes) => new Uint32Array(codes.bits.buffer, 0, codes.count * 8);

function popcount(v: number): number {
  v -= (v >>> 1) & 0x55555555;
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Nearest of `b` for each of `a`, or 257 where none is within `radius`; and how many pairs are. */
function nearest(a: Uint32Array, b: Uint32Array, radius: number): { least: number[]; pairs: number } {
  const least: number[] = [];
  let pairs = 0;
  for (let i = 0; i < a.length; i += 8) {
    let best = 257;
    for (let j = 0; j < b.length; j += 8) {
      let d = 0;
      for (let w = 0; w < 8 && d <= radius; w++) d += popcount(a[i + w]! ^ b[j + w]!);
      if (d > radius) continue;
      pairs++;
      if (d < best) best = d;
    }
    least.push(best);
  }
  return { least, pairs };
}

const swapped = (codes: PatchCodes): Uint32Array => {
  const out = new Uint8Array(codes.bits.length);
  for (let i = 0; i < codes.count; i++) swapHalves(codes.bits, i, out, i);
  return new Uint32Array(out.buffer);
};

const pictures: Picture[] = [];
for (const name of spread.slice(0, count)) pictures.push(await load(name));
const references = pictures.map(reference);
const found: Record<string, number> = {};
const enough: Record<string, number> = {};
for (const [edit, act] of Object.entries(EDITS)) {
  const shares: number[] = [];
  let eight = 0;
  for (const [i, picture] of pictures.entries()) {
    const copy = upload(await act(picture));
    const bits = edit === 'mirror' ? swapped(copy) : wordsOf(copy);
    const { least } = nearest(wordsOf(references[i]!), bits, RADIUS);
    if (least.filter((d) => d <= RADIUS).length >= 8) eight++;
    if (least.length > 0) shares.push(least.filter((d) => d <= RADIUS).length / least.length);
  }
  enough[edit] = Number((eight / pictures.length).toFixed(3));
  found[edit] = Number((shares.reduce((a, b) => a + b, 0) / shares.length).toFixed(3));
}

const others: PatchCodes[] = [];
for (const name of spread.slice(count, 2 * count)) others.push(upload(await load(name)));
const [ours, theirs] = [references, others].map((sets) => {
  const out = new Uint32Array(sets.reduce((n, s) => n + s.count * 8, 0));
  let at = 0;
  for (const set of sets) {
    out.set(wordsOf(set), at);
    at += set.count * 8;
  }
  return out;
}) as [Uint32Array, Uint32Array];
const comparisons = (ours.length / 8) * (theirs.length / 8);
const accidents = nearest(ours, theirs, RADIUS).pairs;

const codes = ours.length / 8;
const signs = new Float32Array(256 * codes);
const means = Array.from({ length: 256 }, (_, b) => {
  let ones = 0;
  for (let i = 0; i < codes; i++) ones += (ours[8 * i + (b >> 5)]! >>> (b & 31)) & 1;
  const p = ones / codes;
  const deviation = Math.sqrt(p * (1 - p)) || 1;
  for (let i = 0; i < codes; i++) signs[b * codes + i] = (((ours[8 * i + (b >> 5)]! >>> (b & 31)) & 1) - p) / deviation;
  return p;
});
let correlations = 0;
for (let a = 0; a < 256; a++) {
  for (let b = 0; b < a; b++) {
    let sum = 0;
    for (let i = 0; i < codes; i++) sum += signs[a * codes + i]! * signs[b * codes + i]!;
    correlations += Math.abs(sum / codes);
  }
}

const speed: Record<string, number> = {};
if (values.speed) {
  for (const [kind, size] of [
    ['upload', [512, 288]],
    ['reference', [400, 225]],
  ] as const) {
    const frames: Picture[] = [];
    for (const p of pictures.slice(0, 30))
      frames.push(await pixels(again(p).resize(size[0], size[1], { fit: 'fill' })));
    const times: number[] = [];
    for (let round = 0; round < 6; round++) {
      const start = process.cpuUsage();
      for (const f of frames) coder.code(f.data, f.width, f.height, { count: kind === 'upload' ? 300 : 60, kind });
      const { user, system } = process.cpuUsage(start);
      times.push((user + system) / 1000 / frames.length);
    }
    speed[kind] = Number(Math.min(...times).toFixed(2));
  }
}

process.stdout.write(
  `${JSON.stringify({
    pictures: count,
    codes: { reference: Number(values.reference), upload: Number(values.upload) },
    found,
    atLeastEight: enough,
    accidentsPer1e9: Math.round((accidents / comparisons) * 1e9),
    pairs: comparisons,
    bias: Number((means.reduce((s, p) => s + Math.abs(p - 0.5), 0) / 256).toFixed(3)),
    correlation: Number((correlations / (128 * 255)).toFixed(3)),
    cpuMsPerFrame: speed,
  })}\n`,
);
