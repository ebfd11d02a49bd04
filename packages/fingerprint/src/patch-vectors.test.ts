import { readFileSync } from 'node:fs';
import { CODE_BYTES, codeToHex, hamming } from '@vigil/contracts';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { type PatchKind, patchCodes, swapHalves } from './patch-codes.ts';

const VECTORS = new URL('../../../seeds/vectors/patch/', import.meta.url);

interface Vector {
  file: string;
  width: number;
  height: number;
  kind: PatchKind;
  count: number;
  codes: { x: number; y: number; diameter: number; angle: number; rank: number; code: string }[];
}

const vectors = JSON.parse(readFileSync(new URL('vectors.json', VECTORS), 'utf8')) as Vector[];

async function found({ file, kind, count }: Pick<Vector, 'file' | 'kind' | 'count'>) {
  const image = sharp(readFileSync(new URL(file, VECTORS)));
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const luma = new Uint8Array(info.width * info.height).map((_, i) => data[i * info.channels]!);
  return { ...patchCodes(luma, info.width, info.height, { kind, count }), width: info.width, height: info.height };
}

describe('golden vectors', () => {
  test.each(vectors)('$kind codes of $file', async (vector) => {
    const codes = await found(vector);
    expect([codes.width, codes.height]).toEqual([vector.width, vector.height]);
    const bits = Array.from({ length: codes.count }, (_, i) => codeToHex(codes.bits, i * CODE_BYTES));
    expect(bits).toEqual(vector.codes.map(({ code }) => code));
    expect([...codes.rank]).toEqual(vector.codes.map(({ rank }) => rank));
    for (const column of ['x', 'y', 'diameter', 'angle'] as const) {
      const off = vector.codes.map((code, i) => Math.abs(code[column] - codes[column][i]!) % 65535);
      expect(Math.max(0, ...off)).toBeLessThanOrEqual(1);
    }
  });

  test('of the mirrored picture are those of the other, halves exchanged', async () => {
    const ask = { kind: 'reference', count: 40 } as const;
    const plain = await found({ file: 'pictures/odd-733x411.png', ...ask });
    const mirrored = await found({ file: 'pictures/mirrored-733x411.png', ...ask });
    const swapped = new Uint8Array(mirrored.bits.length);
    for (let i = 0; i < mirrored.count; i++) swapHalves(mirrored.bits, i, swapped, i);
    let same = 0;
    for (let i = 0; i < plain.count; i++) {
      for (let j = 0; j < mirrored.count; j++) {
        if (hamming(plain.bits, swapped, i * CODE_BYTES, j * CODE_BYTES) > 0) continue;
        if (Math.abs(plain.x[i]! + mirrored.x[j]! - 65535) > 1 || plain.y[i] !== mirrored.y[j]) continue;
        expect((plain.angle[i]! + mirrored.angle[j]! - 32768 + 65538) % 65536).toBeLessThanOrEqual(4);
        same++;
        break;
      }
    }
    expect(same).toBe(plain.count);
  });
});
