import sharp from 'sharp';
import { expect, test, vi } from 'vitest';
import { decodeFrame, fingerprintImage, imagePicture } from './image.ts';
import { DEFAULT_LIMITS } from './media-source.ts';

/** Real: sharp. Faked: coding, which finds no memory. */
vi.mock('./frame-codes.ts', async (original) => ({
  ...(await original<object>()),
  frameCodes: () => {
    throw new RangeError('Array buffer allocation failed');
  },
}));

test('what goes wrong with a picture after it was decoded is thrown, and no verdict on it', async () => {
  const picture = sharp({ create: { width: 64, height: 48, channels: 3, background: '#446688' } });
  const bytes = new Uint8Array(await picture.png().toBuffer());
  const frame = { width: 64, height: 48 };
  await expect(fingerprintImage(bytes, DEFAULT_LIMITS)).rejects.toThrow('allocation failed');
  await expect(decodeFrame(bytes, DEFAULT_LIMITS, { width: 0, height: 48 }, frame)).rejects.toThrow('width');
  // Wider than a JPEG may be.
  await expect(imagePicture(bytes, DEFAULT_LIMITS, { width: 70_000, height: 2 })).rejects.toThrow(
    'too large for the JPEG format',
  );
  const cut = bytes.subarray(0, 40);
  expect(await fingerprintImage(cut, DEFAULT_LIMITS)).toMatchObject({ status: 'rejected' });
  expect(await decodeFrame(cut, DEFAULT_LIMITS, frame, null)).toMatchObject({ status: 'rejected' });
  expect(await imagePicture(cut, DEFAULT_LIMITS, frame)).toMatchObject({ status: 'rejected' });
});
