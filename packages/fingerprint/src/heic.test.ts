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

  it('decodes nothing above the limit, and refuses damage by name', async () => {
    await expect(decodeHeic(read('heif_hopper.heif'), { maxPixels: 100 })).rejects.toThrow(HeicTooLarge);
    const small = await fingerprintImage(read('heif_hopper.heif'), { ...DEFAULT_LIMITS, maxPixels: 100 });
    expect(small).toMatchObject({ status: 'rejected', reason: 'too-large' });
    const cut = await fingerprintImage(read('heif_hopper.heif').subarray(0, 600), DEFAULT_LIMITS);
    expect(cut).toMatchObject({ status: 'rejected' });
    expect(cut.status === 'rejected' && ['corrupt', 'truncated']).toContain(cut.status === 'rejected' && cut.reason);
  });
});
