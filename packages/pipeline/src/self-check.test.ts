/** Real: the index, with its kernel. Faked: how it may be broken, by a stand-in between. */
import { createIndex, type IndexHit, type SimilarityIndex } from '@vigil/similarity';
import { describe, expect, test } from 'vitest';
import { checkIndex, isPlanted } from './self-check.ts';

describe('the self-check of an index', () => {
  const broken = (search: (hits: IndexHit[], bits: Uint8Array) => IndexHit[]): SimilarityIndex => {
    const real = createIndex();
    return {
      ...real,
      searchAsync: async (kind, bits, limit) => search(await real.searchAsync(kind, bits, limit), bits),
    };
  };

  test('a sound one passes, and holds nothing of the check afterwards', async () => {
    const index = createIndex({ threads: 1 });
    for (let i = 0; i < 3; i++) expect(await checkIndex(index, null)).toMatchObject({ sound: true, wrong: false });
    expect(index.references()).toEqual([]);
    expect(index.stats().reduce((n, s) => n + s.codes, 0)).toBe(0);
    index[Symbol.dispose]();
  });

  test('one that acknowledges and finds nothing is unsound, and not wrong', async () => {
    const finding = await checkIndex(
      broken(() => []),
      null,
    );
    expect(finding).toMatchObject({ sound: false, wrong: false });
    expect(finding.message).toContain('8 of 8 picture codes that were planted are not found');
    expect(finding.message).toContain('8 of 8 patch codes');
  });

  test('one that matches everything is wrong', async () => {
    const origin = { reference: { id: 'any', version: 1 }, media: 'image', time: 0, place: [0, 0, 1, 1] } as const;
    const everything = broken((hits, bits) => [
      ...hits,
      ...Array.from({ length: bits.length / 32 }, (_, query) => ({ query, distance: 9, origin })),
    ]);
    const finding = await checkIndex(everything, null);
    expect(finding).toMatchObject({ sound: false, wrong: true });
    expect(finding.message).toContain('wrong: 8 of 8 picture codes of chance have hits');
  });

  test('one that keeps what was taken away is wrong', async () => {
    const index = createIndex();
    const kept: SimilarityIndex = { ...index, remove: () => undefined };
    expect(await checkIndex(kept, null)).toMatchObject({
      ...{ sound: false, wrong: true },
      message: expect.stringContaining('are found after they were taken away'),
    });
  });

  test('one that has lost what it says to hold is unsound', async () => {
    const index = createIndex();
    const bits = new Uint8Array(32).fill(0x5a);
    const table = { kind: 'picture', count: 1, bits, frame: Uint16Array.of(0), turn: Uint8Array.of(0) } as const;
    const codes = {
      ...{ engine: '1', mode: 'exact', sampling: 'still', span: [0, 0] as [number, number], width: 1, height: 1 },
      frames: { time: Float64Array.of(0), quality: Uint8Array.of(100), flags: Uint8Array.of(0) },
      tables: [{ ...table, place: Uint16Array.of(0, 0, 65535, 65535), quality: Uint8Array.of(100) }],
      thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
    } as const;
    const stored = { slice: async () => codes } as never;
    index.add({ id: 'ref', version: 1 }, 0, 'image', codes as never);
    expect(await checkIndex(index, stored)).toMatchObject({ sound: true });
    const forgetful: SimilarityIndex = {
      ...index,
      searchAsync: async (...given) => (await index.searchAsync(...given)).filter((h) => isPlanted(h.origin.reference)),
    };
    expect(await checkIndex(forgetful, stored)).toMatchObject({
      ...{ sound: false, wrong: false },
      message: expect.stringContaining('1 of 1 codes of reference ref are not found'),
    });
  });
});
