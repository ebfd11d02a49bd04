import { readFileSync } from 'node:fs';
import { CODE_BYTES } from '@vigil/contracts';
import { expect, test } from 'vitest';
import type { PatchCodes } from './patch-codes.ts';
import { COMMON_RADIUS, withoutCommon } from './patch-common.ts';

function codesOf(bits: Uint8Array): PatchCodes {
  const count = bits.length / CODE_BYTES;
  const column = () => Uint16Array.from({ length: count }, (_, i) => i);
  return { count, bits, x: column(), y: column(), diameter: column(), angle: column(), rank: new Uint8Array(count) };
}

/** So many of its bits flipped, from the first on. */
function flipped(code: Uint8Array, bits: number): Uint8Array {
  const out = code.slice();
  for (let b = 0; b < bits; b++) out[(b * 5) % CODE_BYTES]! ^= 1 << (((b * 5) / CODE_BYTES) % 8);
  return out;
}

test('codes within the radius of a common one are dropped, with all their columns; those beyond it stay', () => {
  const common = new Uint8Array(2 * CODE_BYTES).map((_, i) => (i * 89) & 255);
  const second = common.subarray(CODE_BYTES);
  const bits = new Uint8Array(4 * CODE_BYTES);
  [COMMON_RADIUS + 1, COMMON_RADIUS, 0, COMMON_RADIUS + 2].forEach((distance, i) => {
    bits.set(flipped(second, distance), i * CODE_BYTES);
  });
  const kept = withoutCommon(codesOf(bits), 4, new Uint32Array(common.buffer));
  expect([...withoutCommon(codesOf(bits), 1, new Uint32Array(common.buffer)).x]).toEqual([0]);
  expect([...kept.x]).toEqual([0, 3]);
  expect(kept.bits).toEqual(Uint8Array.of(...bits.subarray(0, CODE_BYTES), ...bits.subarray(3 * CODE_BYTES)));
  for (const column of ['y', 'diameter', 'angle', 'rank'] as const) expect(kept[column]).toHaveLength(2);
});

test('the list that is shipped is read, and drops its own codes', () => {
  const random = new Uint8Array(CODE_BYTES).map((_, i) => (i * 151 + 43) & 255);
  const shipped = readFileSync(new URL('./patch-common.bin', import.meta.url)).subarray(0, 10 * CODE_BYTES);
  const bits = Uint8Array.of(...random, ...shipped);
  expect([...withoutCommon(codesOf(bits)).x]).toEqual([0]);
});
