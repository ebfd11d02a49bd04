import { existsSync, readFileSync } from 'node:fs';
import { hamming } from '@vigil/contracts';
import { describe, expect, it } from 'vitest';
import { decodeHeic, HeicTooLarge } from './heic.ts';
import { fingerprintImage, probeImage } from './image.ts';
import { DEFAULT_LIMITS } from './media-source.ts';

// Real: libheif and a file of the development corpus; nothing at hand can write HEIC.
const corpus = process.env.VIGIL_CORPUS ?? new URL('../../../../shared/corpus', import.meta.url).pathname;
const required = (process.env.VIGIL_REQUIRE ?? '').split(',').includes('corpus');
const missing = !existsSync(corpus) && !required;
const read = (name: string) => readFileSync(`${corpus}/bad/${name}`);

function box(type: string, ...parts: (Uint8Array | number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}
const u32 = (...values: number[]) => values.flatMap((v) => [v >>> 24, (v >> 16) & 255, (v >> 8) & 255, v & 255]);

/** A picture and its left half as items of one file, the half first; `primary` says which of them is shown. */
function halfAndWhole(file: Uint8Array, primary: 1 | 2): Uint8Array {
  const bytes = Buffer.from(file);
  const boxOf = (type: string) => {
    const at = bytes.indexOf(type, 0, 'latin1') - 4;
    return bytes.subarray(at, at + bytes.readUInt32BE(at));
  };
  const full = [0, 0, 0, 0];
  const pixels = boxOf('mdat').subarray(8);
  const meta = (offset: number) =>
    box(
      'meta',
      full,
      boxOf('hdlr'),
      box('pitm', full, [0, primary]),
      box('iloc', full, [0x44, 0, 0, 2], ...[1, 2].map((id) => [0, id, 0, 0, 0, 1, ...u32(offset, pixels.length)])),
      box('iinf', full, [0, 2], ...[1, 2].map((id) => box('infe', [2, 0, 0, 0, 0, id, 0, 0], Buffer.from('hvc1\0')))),
      box(
        'iprp',
        box('ipco', boxOf('ipco').subarray(8), box('clap', u32(64, 1, 128, 1, -32 >>> 0, 1, 0, 1))),
        box('ipma', full, u32(2), [0, 1, 5, 0x81, 2, 3, 4, 0x85], [0, 2, 4, 0x81, 2, 3, 4]),
      ),
    );
  const type = boxOf('ftyp');
  return Buffer.concat([type, meta(type.length + meta(0).length + 8), box('mdat', pixels)]);
}

describe.skipIf(missing)(`HEIC${missing ? ' (skipped: no corpus)' : ''}`, () => {
  it('decodes to RGBA of the size that the header gives', async () => {
    const limits = { maxPixels: 1e6 };
    const header = await decodeHeic(read('heif_hopper.heif'), { ...limits, headerOnly: true });
    const picture = await decodeHeic(read('heif_hopper.heif'), limits);
    expect(header).toMatchObject({ width: 128, height: 128 });
    expect(picture.data).toHaveLength(128 * 128 * 4);
  });

  it('sees the picture that the AVIF of the same photograph shows', async () => {
    const [heic, avif] = await Promise.all(
      ['heif_hopper.heif', 'avif_8bit.avif'].map((name) => fingerprintImage(read(name), DEFAULT_LIMITS)),
    );
    if (heic?.status !== 'codes' || avif?.status !== 'codes') throw new Error('rejected');
    expect(hamming(heic.fingerprint.tables[0]!.bits, avif.fingerprint.tables[0]!.bits)).toBeLessThanOrEqual(12);
    const probe = await probeImage(read('heif_hopper.heif'), DEFAULT_LIMITS);
    expect(probe).toMatchObject({ status: 'probed', probe: { format: 'heic', width: 128, height: 128 } });
  });

  it('takes the primary picture, as viewers do, and not the first one', async () => {
    const limits = { maxPixels: 1e6 };
    const alone = await decodeHeic(read('heif_hopper.heif'), limits);
    for (const [primary, width] of [
      [1, 64],
      [2, 128],
    ] as const) {
      const both = halfAndWhole(read('heif_hopper.heif'), primary);
      expect(await decodeHeic(both, { ...limits, headerOnly: true })).toMatchObject({ width, height: 128 });
      const { data } = await decodeHeic(both, limits);
      expect(data).toHaveLength(4 * width * 128);
      const row = (n: number) => alone.data.subarray(4 * 128 * n, 4 * (128 * n + width));
      for (const n of [0, 77]) expect(data.subarray(4 * width * n, 4 * width * (n + 1))).toEqual(row(n));
    }
  });

  it('decodes nothing above the limit, and refuses damage by name', async () => {
    await expect(decodeHeic(read('heif_hopper.heif'), { maxPixels: 100 })).rejects.toThrow(HeicTooLarge);
    const small = await fingerprintImage(read('heif_hopper.heif'), { ...DEFAULT_LIMITS, maxPixels: 100 });
    expect(small).toMatchObject({ status: 'rejected', reason: 'too-large' });
    const cut = await fingerprintImage(read('heif_hopper.heif').subarray(0, 600), DEFAULT_LIMITS);
    expect(cut).toMatchObject({ status: 'rejected' });
    expect(cut.status === 'rejected' && ['corrupt', 'truncated']).toContain(cut.status === 'rejected' && cut.reason);
  });
});
