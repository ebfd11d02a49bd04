import { crc32 } from 'node:zlib';
import { codeFromHex, FRAME_FLAT, hamming, TURNS } from '@vigil/contracts';
import sharp, { type Sharp } from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { fingerprintImage, fingerprintPixels, type Purpose, probeImage } from './image.ts';
import { DEFAULT_LIMITS, type MediaLimits } from './media-source.ts';

// Real: sharp and the files it writes. HEIC is in heic.test.ts: nothing here can write it.
const vectors = new URL('../../../seeds/vectors/', import.meta.url);
const WIDTH = 480;
const HEIGHT = 320;

/**
 * Raw RGB of discs with hard edges over waves, off balance in every direction. Edges matter: a smooth picture has hardly
 * anything in PDQ's higher frequencies, so that its bits follow the encoder's noise.
 */
function scene(width = WIDTH, height = HEIGHT): Uint8ClampedArray {
  const rgb = new Uint8ClampedArray(width * height * 3);
  for (let y = 0, p = 0; y < height; y++) {
    for (let x = 0; x < width; x++, p += 3) {
      const u = x / width;
      const v = y / height;
      let level = 110 + 40 * Math.sin(13 * u + 5 * v) + 25 * Math.sin(29 * u * v + 3);
      for (let k = 0; k < 24; k++) {
        if (Math.hypot(u - ((k * 0.37) % 1), v - ((k * 0.59 + 0.1) % 1)) < 0.02 + 0.012 * (k % 7))
          level = (k * 53) % 256;
      }
      rgb[p] = level + 25 * Math.sin(9 * u);
      rgb[p + 1] = level;
      rgb[p + 2] = level - 25 * Math.sin(7 * v);
    }
  }
  return rgb;
}

const draw = (width = WIDTH, height = HEIGHT) => sharp(scene(width, height), { raw: { width, height, channels: 3 } });
let jpeg: Buffer;
let code: Uint8Array;

beforeAll(async () => {
  jpeg = await draw().jpeg({ quality: 90 }).toBuffer();
  code = (await codes(jpeg))[0]!.bits;
});

async function accepted(bytes: Uint8Array, purpose?: Purpose, limits: Partial<MediaLimits> = {}) {
  const outcome = await fingerprintImage(bytes, { ...DEFAULT_LIMITS, ...limits }, purpose);
  if (outcome.status !== 'codes') throw new Error(`rejected: ${outcome.reason}, ${outcome.detail}`);
  return outcome.fingerprint;
}

async function codes(bytes: Uint8Array, purpose?: Purpose) {
  const [table] = (await accepted(bytes, purpose)).tables;
  return Array.from({ length: table!.count }, (_, i) => ({
    bits: table!.bits.subarray(32 * i, 32 * i + 32),
    turn: TURNS[table!.turn[i]!]!,
    place: [...table!.place.subarray(4 * i, 4 * i + 4)],
  }));
}

async function refused(bytes: Uint8Array, limits: Partial<MediaLimits> = {}) {
  const outcome = await fingerprintImage(bytes, { ...DEFAULT_LIMITS, ...limits });
  return outcome.status === 'rejected' ? outcome.reason : outcome.status;
}

describe('fingerprintImage', () => {
  it('gives an upload its whole picture in all turns, and a reference its picture as it is', async () => {
    expect((await codes(jpeg)).map((c) => c.turn)).toEqual([...TURNS]);
    expect((await codes(jpeg, 'confirm')).map((c) => c.turn)).toEqual([...TURNS]);
    expect((await codes(jpeg, 'reference')).map((c) => c.turn)).toEqual(['none']);
    const fingerprint = await accepted(jpeg);
    expect(fingerprint).toMatchObject({ mode: 'exact', sampling: 'still', span: [0, 0], width: WIDTH, height: HEIGHT });
    expect([...fingerprint.frames.time]).toEqual([0]);
    expect(fingerprint.frames.flags[0]! & FRAME_FLAT).toBe(0);
    expect(fingerprint.thumbnails.luma).toHaveLength(4096);
  });

  it('is PDQ as Meta has it, by the golden vector of a JPEG', async () => {
    const { readFileSync } = await import('node:fs');
    const document = JSON.parse(readFileSync(new URL('vectors.json', vectors), 'utf8'));
    const vector = document.vectors.find((v: { file: string }) => v.file === 'pictures/jpeg-640x480-80.jpg');
    const [whole] = await codes(readFileSync(new URL(vector.file, vectors)));
    expect(hamming(whole!.bits, codeFromHex(vector.hash))).toBeLessThanOrEqual(10);
  });

  it.each<[string, (image: Sharp) => Sharp, number]>([
    ['PNG', (image) => image.png(), 4],
    ['WebP', (image) => image.webp({ quality: 80 }), 10],
    ['AVIF', (image) => image.avif({ quality: 60, effort: 1 }), 10],
    ['TIFF', (image) => image.tiff({ compression: 'lzw' }), 4],
    ['GIF', (image) => image.gif(), 12],
    ['PNG with a palette', (image) => image.png({ palette: true, colours: 64 }), 14],
    ['progressive JPEG', (image) => image.jpeg({ progressive: true }), 6],
    ['16-bit PNG', (image) => image.toColourspace('rgb16').png(), 4],
    ['CMYK JPEG', (image) => image.toColourspace('cmyk').jpeg({ quality: 95 }), 16],
  ])('sees the same picture in a %s', async (_, encode, within) => {
    const [whole] = await codes(await encode(draw()).toBuffer());
    expect(hamming(whole!.bits, code)).toBeLessThanOrEqual(within);
  });

  it('applies the EXIF orientation', async () => {
    const lying = await sharp(await draw().rotate(90).png().toBuffer())
      .withMetadata({ orientation: 8 })
      .jpeg({ quality: 90 })
      .toBuffer();
    const fingerprint = await accepted(lying);
    expect(fingerprint).toMatchObject({ width: WIDTH, height: HEIGHT });
    expect(hamming(fingerprint.tables[0]!.bits, code)).toBeLessThanOrEqual(8);
    const probe = await probeImage(lying, DEFAULT_LIMITS);
    expect(probe).toMatchObject({
      status: 'probed',
      probe: { width: WIDTH, height: HEIGHT, notes: ['orientation 8'] },
    });
  });

  it('shows transparent parts on white', async () => {
    const rgba = new Uint8Array(WIDTH * HEIGHT * 4);
    const rgb = scene();
    for (let i = 0; i < WIDTH * HEIGHT; i++) {
      rgba.set(rgb.subarray(3 * i, 3 * i + 3), 4 * i);
      rgba[4 * i + 3] = i % WIDTH < WIDTH / 2 ? 255 : 0;
    }
    const see = sharp(rgba, { raw: { width: WIDTH, height: HEIGHT, channels: 4 } });
    const white = draw().composite([
      {
        input: { create: { width: WIDTH / 2, height: HEIGHT, channels: 3, background: '#fff' } },
        left: WIDTH / 2,
        top: 0,
      },
    ]);
    const [through] = await codes(await see.png().toBuffer());
    expect(through!.bits).toEqual((await codes(await white.png().toBuffer()))[0]!.bits);
    const pixels = { data: rgba, width: WIDTH, height: HEIGHT, channels: 4 };
    const direct = fingerprintPixels({ pixels, width: WIDTH, height: HEIGHT, mode: 'exact' }, 'reference');
    expect(direct.status === 'codes' && direct.fingerprint.tables[0]!.bits.subarray(0, 32)).toEqual(through!.bits);
  });

  it('finds a turned copy among its turns, and an inset copy among its trims', async () => {
    const mirrored = await codes(await draw().flop().jpeg({ quality: 60 }).toBuffer());
    expect(hamming(mirrored.find((c) => c.turn === 'mirror')!.bits, code)).toBeLessThanOrEqual(10);
    const turned = await codes(await draw().rotate(90).jpeg({ quality: 60 }).toBuffer());
    expect(hamming(turned.find((c) => c.turn === 'rot90')!.bits, code)).toBeLessThanOrEqual(10);
    const barred = await codes(await draw().extend({ top: 80, bottom: 80, background: '#000' }).jpeg().toBuffer());
    const inner = barred.find((c) => c.turn === 'none' && c.place[1]! > 0);
    expect(barred).toHaveLength(16);
    expect(hamming(inner!.bits, code)).toBeLessThanOrEqual(10);
  });

  it('judges the first frame of an animation', async () => {
    const frames = Buffer.concat(
      [scene(), new Uint8Array(WIDTH * HEIGHT * 3), scene()].map((rgb) => Buffer.from(rgb.buffer)),
    );
    const raw = { width: WIDTH, height: 3 * HEIGHT, channels: 3 as const, pageHeight: HEIGHT };
    const gif = await sharp(frames, { raw })
      .gif({ delay: [100, 100, 100] })
      .toBuffer();
    expect(hamming((await codes(gif))[0]!.bits, code)).toBeLessThanOrEqual(12);
    expect(await probeImage(gif, DEFAULT_LIMITS)).toMatchObject({
      probe: { height: HEIGHT, notes: ['3 frames or pages, of which the first is judged'] },
    });
  });

  it('shrinks large pictures while decoding, says so, and keeps their code', async () => {
    const data = await draw().resize(2600, 1800, { fit: 'fill' }).raw().toBuffer();
    const large = await sharp(data, { raw: { width: 2600, height: 1800, channels: 3 } })
      .jpeg()
      .toBuffer();
    const fast = await accepted(large);
    expect(fast).toMatchObject({ mode: 'fast', width: 2600, height: 1800 });
    const pixels = { data, width: 2600, height: 1800, channels: 3 };
    const exact = fingerprintPixels({ pixels, width: 2600, height: 1800, mode: 'exact' }, 'upload');
    if (exact.status !== 'codes') throw new Error(exact.detail);
    for (let i = 0; i < 8; i++) {
      const bits = exact.fingerprint.tables[0]!.bits;
      expect(hamming(fast.tables[0]!.bits, bits, 32 * i, 32 * i)).toBeLessThanOrEqual(10);
    }
  });

  it('judges a JPEG that lost its end by what came out, and gives up when hardly anything did', async () => {
    const trimmed = (await codes(jpeg.subarray(0, Math.round(0.7 * jpeg.length)))).find((c) => c.place[3]! < 65535);
    const rows = Math.round((trimmed!.place[3]! / 65535) * HEIGHT);
    expect(rows).toBeGreaterThan(HEIGHT / 2);
    const top = await draw().extract({ left: 0, top: 0, width: WIDTH, height: rows }).png().toBuffer();
    expect(hamming(trimmed!.bits, (await codes(top))[0]!.bits)).toBeLessThanOrEqual(20);
    expect(await refused(jpeg.subarray(0, Math.round(0.15 * jpeg.length)))).toBe('truncated');
    expect(await refused(jpeg.subarray(0, 40))).toBe('truncated');
  });

  it('refuses by name', async () => {
    const svg = Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"><image href="a.png"/></svg>',
    );
    const flat = await draw().resize(200, 200).linear(0, 90).png().toBuffer();
    const tiny = await draw().resize(60, 20, { fit: 'fill' }).png().toBuffer();
    const strip = await draw().resize(3000, 4, { fit: 'fill' }).png().toBuffer();
    const png = await draw().png().toBuffer();
    expect(await refused(new Uint8Array(0))).toBe('empty');
    expect(await refused(svg)).toBe('unsupported-format');
    expect(await refused(Buffer.from('8BPS\0\x01\0\0\0\0\0\0'))).toBe('unsupported-format');
    expect(await refused(Buffer.from('nothing to see'))).toBe('not-media');
    expect(await refused(flat)).toBe('too-little');
    expect(await refused(tiny)).toBe('too-little');
    expect(await refused(strip)).toBe('too-little');
    expect(await refused(jpeg, { maxPixels: WIDTH * HEIGHT - 1 })).toBe('too-large');
    expect(await refused(jpeg, { maxImageBytes: jpeg.length - 1 })).toBe('too-large');
    expect(await refused(png.subarray(0, 30))).toBe('corrupt');
    expect(await probeImage(svg, DEFAULT_LIMITS)).toMatchObject({ status: 'rejected', reason: 'unsupported-format' });
  });

  it('believes no header: a file of 41 bytes that claims 900 megapixels costs nothing', async () => {
    const header = Buffer.from('4948445200007530000075300800000000', 'hex'); // IHDR: 30000 x 30000, grey
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(header));
    const bomb = Buffer.concat([
      Buffer.from('89504e470d0a1a0a0000000d', 'hex'),
      header,
      sum,
      Buffer.from('0000000049444154', 'hex'),
    ]);
    expect(await refused(bomb)).toBe('too-large');
  });

  it('can load nothing but the listed formats, by path or by content', async () => {
    await expect(
      sharp(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')).toBuffer(),
    ).rejects.toThrow();
    await expect(sharp(new URL('pictures/scene-64x64.png', vectors).pathname).toBuffer()).rejects.toThrow();
  });
});
