import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { createPatchCoder } from '../src/patch-codes.ts';

const CODES = 200;
const FEWEST_PIXELS = 200 * 150;

/** Reference codes of the corpus's pictures, 8 words each, at most 200 of a picture; those that are too small or cannot be read are left out. */
export async function corpusPatches(corpus: string): Promise<Uint32Array[]> {
  const folder = join(corpus, 'images');
  const coder = createPatchCoder();
  const pictures: Uint32Array[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const image = sharp(join(folder, name), { failOn: 'none' }).resize(1200, 1200, {
      fit: 'inside',
      withoutEnlargement: true,
    });
    const flat = image.flatten({ background: 'white' }).greyscale().raw({ depth: 'uchar' });
    const read = await flat.toBuffer({ resolveWithObject: true }).catch(() => null);
    if (!read || read.info.width * read.info.height < FEWEST_PIXELS) continue;
    const { data, info } = read;
    const codes = coder.code(data, info.width, info.height, { count: CODES, kind: 'reference' });
    pictures.push(new Uint32Array(codes.bits.buffer, 0, codes.count * 8));
  }
  return pictures;
}
