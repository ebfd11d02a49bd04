import { CODE_BYTES, emptyTable, type Fingerprint } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { alignPatches } from './patch-align.ts';
import { hunches, isHunch, pursue } from './patch-hunch.ts';
import { groupsOf } from './patch-votes.ts';
import { fingerprintOf, flipped, key, randomCode, seeded } from './synthetic.ts';
import { affineOf, farthest, type Scene, sceneOf } from './synthetic-patches.ts';

const TIMES = [0, 4, 8, 12, 16, 20, 24, 28];

/** Hits of a film in which everything has moved: each at a place of its own, near one line in time. */
function moved({ places = 6, offset = 400, sampling = 'keyframes' as Fingerprint['sampling'] } = {}): Scene {
  const random = seeded(3);
  const scene = sceneOf([], { sampling, accidents: 40 });
  const at = [...scene.fingerprint.frames.time];
  for (let i = 0; i < places; i++) {
    const frame = Math.floor(random() * at.length);
    const query = [...scene.queries.frame].findIndex((f, q) => f === frame && scene.queries.turn[q] === 0) + 7 * i;
    const place = [0, 1, 2, 3].map(() => Math.floor(65536 * random())) as unknown as [number, number, number, number];
    const time = at[frame]! + offset + 2 * random() - 1;
    scene.hits.push({ query, distance: 25, origin: { reference: key('film'), media: 'video', time, place } });
  }
  return scene;
}
const hunchesOf = ({ fingerprint, queries, hits }: Scene) =>
  hunches(fingerprint, queries, groupsOf(fingerprint, queries, hits), alignPatches(fingerprint, queries, hits));

describe('a hunch', () => {
  test('is where patches meet one stretch of a film more often than by accident', () => {
    const [hunch, ...others] = hunchesOf(moved());
    expect(others).toEqual([]);
    expect(hunch).toMatchObject({ reference: key('film'), kind: 'patch', referenceMedia: 'video', speed: 1 });
    expect(hunch!.offset).toBeCloseTo(400, -1);
    expect(isHunch(hunch!)).toBe(true);
    expect(hunch!.hits.length).toBeGreaterThanOrEqual(6);
  });

  test('is none of few places, of the same place time and again, of a still, or of what is aligned well already', () => {
    expect(hunchesOf(moved({ places: 3 }))).toEqual([]);
    expect(hunchesOf(moved({ sampling: 'still' }))).toEqual([]);
    const scene = moved();
    const once = scene.hits.at(-1)!;
    expect(hunchesOf({ ...scene, hits: TIMES.map((t) => ({ ...once, origin: { ...once.origin, time: t } })) })).toEqual(
      [],
    );
    const copy = sceneOf([{ reference: key('film'), affine: affineOf({ scale: 0.8 }), times: TIMES, each: 10 }]);
    expect(alignPatches(copy.fingerprint, copy.queries, copy.hits)[0]!.inliers).toBeGreaterThan(8);
    expect(hunchesOf(copy)).toEqual([]);
  });

  test.each([
    [1, 3, 0],
    [1, 4, 1],
    [2, 4, 0],
    [2, 5, 1],
    [3, 6, 0],
  ])('stands out: beside %i places in another film, %i make %i', (elsewhere, places, hunched) => {
    const scene = moved({ places: 2 * places });
    const other = moved({ places: 2 * elsewhere, offset: 90 });
    const mine = scene.hits.slice(-2 * places).filter((_, i) => i % 2 === 0);
    const theirs = other.hits.slice(-2 * elsewhere).filter((_, i) => i % 2 === 1);
    const hits = [...mine, ...theirs.map((hit) => ({ ...hit, origin: { ...hit.origin, reference: key('another') } }))];
    expect(hunchesOf({ ...scene, hits })).toHaveLength(hunched);
  });

  test('is of two films where both are met by the same places: the library holds it twice', () => {
    const scene = moved({ places: 13 });
    const mine = scene.hits.slice(-13);
    const theirs = mine.map((hit) => ({ ...hit, origin: { ...hit.origin, reference: key('twin') } }));
    const found = hunchesOf({ ...scene, hits: [...mine, ...theirs] });
    expect(found.map((hunch) => hunch.reference.id).sort()).toEqual(['film', 'twin']);
  });

  /** The slice read closely, and the reference whose patches it shows, `bits` apart, under a geometry. */
  function copied(affine: ReturnType<typeof affineOf>, bits: number) {
    const random = seeded(5);
    const scene = sceneOf([{ reference: key('film'), affine, times: TIMES, each: 12, ref: (t) => t + 400 }], {
      sampling: 'dense',
      codes: 60,
    });
    const table = { ...emptyTable('patch'), count: scene.hits.length };
    const times = [...new Set(scene.hits.map((h) => h.origin.time))].sort((a, b) => a - b);
    table.bits = new Uint8Array(table.count * CODE_BYTES);
    table.frame = Uint16Array.from(scene.hits, (h) => times.indexOf(h.origin.time));
    table.place = Uint16Array.from(scene.hits.flatMap((h) => [...h.origin.place]));
    table.turn = new Uint8Array(table.count);
    table.quality = new Uint8Array(table.count).fill(100);
    scene.hits.forEach(({ query }, i) => {
      const code = scene.queries.bits.slice(query * CODE_BYTES, (query + 1) * CODE_BYTES);
      table.bits.set(flipped(code, bits, random), i * CODE_BYTES);
    });
    const shown = times.map((time) => ({ time, code: randomCode(random) }));
    const reference = fingerprintOf(shown, { span: [390, 440] });
    return { upload: scene.fingerprint, reference: { ...reference, tables: [...reference.tables, table] } };
  }
  const hunch = () => hunchesOf(moved())[0]!;

  test('comes to the geometry, by codes that lie further apart than the index finds', () => {
    const affine = affineOf({ scale: 0.75, centre: [0.45, 0.55] });
    const { upload, reference } = copied(affine, 40);
    const [found] = pursue(upload, { ...hunch(), offset: 401 }, [reference]);
    expect(found!.inliers).toBeGreaterThan(20);
    expect(found!.offset).toBeCloseTo(400, 0);
    expect(farthest(found!.altered.affine as typeof affine, affine)).toBeLessThan(0.02);
  });

  test('comes to nothing at another time, by the mirror image, or by codes that are not alike', () => {
    const { upload, reference } = copied(affineOf({}), 40);
    expect(pursue(upload, { ...hunch(), offset: 430 }, [reference])).toEqual([]);
    expect(pursue(upload, { ...hunch(), offset: 400, altered: { turn: 'mirror' } }, [reference])).toEqual([]);
    const other = copied(affineOf({}), 90);
    expect(pursue(other.upload, { ...hunch(), offset: 400 }, [other.reference])).toEqual([]);
  });
});
