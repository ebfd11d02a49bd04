import { describe, expect, test } from 'vitest';
import { actionId, derivedId, placeOf, uploadId } from './ids.ts';

describe('ids', () => {
  test('derive from all parts and where they end', () => {
    expect(derivedId('ev', 'a', 'bc')).not.toBe(derivedId('ev', 'ab', 'c'));
    expect(derivedId('ev', 'a', 1)).toBe(derivedId('ev', 'a', '1'));
    expect(derivedId('ev', 'x')).toMatch(/^ev_[\w-]{22}$/);
  });

  test('of an upload depend on source, bucket, key and version alone', () => {
    const media = { source: 's', bucket: 'b', key: 'k', version: '1' };
    expect(uploadId({ ...media })).toBe(uploadId(media));
    for (const part of ['source', 'bucket', 'key', 'version'] as const) {
      expect(uploadId({ ...media, [part]: 'other' })).not.toBe(uploadId(media));
    }
  });

  test('of a takedown change with the epoch, not with who says it', () => {
    expect(actionId('up', 'v', 'takedown', 0)).toBe(actionId('up', 'v', 'takedown', 0));
    expect(actionId('up', 'v', 'takedown', 0)).not.toBe(actionId('up', 'v', 'takedown', 1));
  });

  test('place keys evenly, and always the same', () => {
    expect(placeOf('up_abc', 8)).toBe(placeOf('up_abc', 8));
    const counts = new Array<number>(8).fill(0);
    for (let i = 0; i < 8000; i++) counts[placeOf(`up_${i}`, 8)]!++;
    for (const n of counts) expect(n).toBeGreaterThan(800);
  });
});
