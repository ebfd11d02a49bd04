/**
 * Draws the pictures of seeds/vectors/patch (when missing) and writes its vectors.json: the patch codes that this package
 * finds in them. The pictures are committed, so the file may change only where the format does.
 *
 *   node packages/fingerprint/tools/make-patch-vectors.ts
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { crc32, deflateSync } from 'node:zlib';
import { CODE_BYTES, codeToHex } from '@vigil/contracts';
import sharp from 'sharp';
import { type PatchKind, patchCodes } from '../src/patch-codes.ts';

const OUT = new URL('../../../seeds/vectors/patch/', import.meta.url);

interface Scene {
  name: string;
  width: number;
  height: number;
  seed: number;
  /** Levels from the middle grey to the lightest and darkest. */
  contrast: number;
  shapes: number;
  mirrored?: boolean;
}

const SCENES: Scene[] = [
  { name: 'working-400x225', width: 400, height: 225, seed: 1, contrast: 110, shapes: 150 },
  { name: 'shrunk-960x540', width: 960, height: 540, seed: 2, contrast: 110, shapes: 170 },
  { name: 'odd-733x411', width: 733, height: 411, seed: 3, contrast: 90, shapes: 130 },
  { name: 'mirrored-733x411', width: 733, height: 411, seed: 3, contrast: 90, shapes: 130, mirrored: true },
  { name: 'enlarged-251x187', width: 251, height: 187, seed: 4, contrast: 100, shapes: 90 },
  { name: 'tall-300x700', width: 300, height: 700, seed: 5, contrast: 100, shapes: 120 },
  { name: 'strip-1000x120', width: 1000, height: 120, seed: 6, contrast: 100, shapes: 110 },
  { name: 'faint-400x300', width: 400, height: 300, seed: 7, contrast: 9, shapes: 60 },
  { name: 'few-320x240', width: 320, height: 240, seed: 8, contrast: 80, shapes: 3 },
  { name: 'grey-320x240', width: 320, height: 240, seed: 9, contrast: 0, shapes: 0 },
  { name: 'small-20x14', width: 20, height: 14, seed: 10, contrast: 100, shapes: 10 },
];
const ASKED: { kind: PatchKind; count: number }[] = [
  { kind: 'reference', count: 40 },
  { kind: 'upload', count: 80 },
];

await mkdir(new URL('pictures/', OUT), { recursive: true });
const vectors: unknown[] = [];
for (const scene of SCENES) {
  const file = `pictures/${scene.name}.png`;
  const path = new URL(file, OUT);
  if (!existsSync(path)) await writeFile(path, png(draw(scene), scene.width, scene.height));
  const { data, info } = await sharp(path.pathname).raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const luma = new Uint8Array(width * height).map((_, i) => data[i * channels]!);
  for (const { kind, count } of ASKED) {
    const found = patchCodes(luma, width, height, { kind, count });
    const codes = Array.from({ length: found.count }, (_, i) => ({
      x: found.x[i],
      y: found.y[i],
      diameter: found.diameter[i],
      angle: found.angle[i],
      rank: found.rank[i],
      code: codeToHex(found.bits, i * CODE_BYTES),
    }));
    vectors.push({ file, width, height, kind, count, codes });
  }
}
const lines = vectors.map((vector) => {
  const { codes, ...rest } = vector as { codes: unknown[] };
  const rows = codes.map((code) => `    ${JSON.stringify(code)}`).join(',\n');
  return `  { ${JSON.stringify(rest).slice(1, -1)}, "codes": [${rows ? `\n${rows}\n  ` : ''}] }`;
});
await writeFile(new URL('vectors.json', OUT), `[\n${lines.join(',\n')}\n]\n`);

/** Discs, bars and boxes in shades over slow waves, with a grain that fades to one side. */
function draw({ width, height, seed, contrast, shapes, mirrored }: Scene): Uint8Array {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const luma = new Uint8Array(width * height);
  const shade = (v: number) => Math.max(0, Math.min(255, Math.round(128 + contrast * v)));
  const [a, b] = [1 + 3 * random(), 1 + 3 * random()];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      luma[y * width + x] = shade(0.4 * Math.sin((a * 6.3 * x) / width) * Math.cos((b * 6.3 * y) / height));
    }
  }
  const side = Math.sqrt(width * height);
  for (let n = 0; n < shapes; n++) {
    const [cx, cy, r] = [random() * width, random() * height, side * (0.01 + 0.12 * random() ** 2)];
    const [turn, flat, round, level] = [
      random() * (31_416 / 10_000),
      0.3 + 0.7 * random(),
      random() < 0.4,
      2 * random() - 1,
    ];
    const [c, s] = [Math.cos(turn), Math.sin(turn)];
    for (let y = Math.max(0, Math.floor(cy - 1.5 * r)); y < Math.min(height, cy + 1.5 * r); y++) {
      for (let x = Math.max(0, Math.floor(cx - 1.5 * r)); x < Math.min(width, cx + 1.5 * r); x++) {
        const [u, v] = [(c * (x - cx) + s * (y - cy)) / r, (c * (y - cy) - s * (x - cx)) / (r * flat)];
        if (round ? u * u + v * v < 1 : Math.abs(u) < 1 && Math.abs(v) < 1) luma[y * width + x] = shade(level);
      }
    }
  }
  for (let i = 0; i < luma.length; i++) {
    if (random() < (0.2 * (i % width)) / width) luma[i] = Math.min(255, luma[i]! + contrast / 16);
  }
  if (!mirrored) return luma;
  return luma.map((_, i) => luma[i - (i % width) + width - 1 - (i % width)]!);
}

/** 8-bit grey, every row unfiltered. */
function png(luma: Uint8Array, width: number, height: number): Uint8Array {
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) rows.set(luma.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    out.set(body, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 0, 0, 0, 0], 8);
  const signature = Buffer.from('89504e470d0a1a0a', 'hex');
  const data = deflateSync(rows, { level: 9 });
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}
