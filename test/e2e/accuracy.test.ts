import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Exam, examine } from '../bench/accuracy-exam.ts';
import { openExamParts } from '../bench/accuracy-judge.ts';
import { filmSamples, pictureSamples } from '../bench/accuracy-media.ts';
import { type Row, sum } from '../bench/accuracy-score.ts';
import { drawWorks, readCorpus } from '../bench/accuracy-works.ts';
import { corpusHere } from '../support/corpus.ts';
import { describeWith } from '../support/require.ts';

/** A small draw, always the same; `npm run bench -- accuracy` is the examination itself. */
const SEED = 9;
const PICTURES = 1;
const CLEAN = 25;
const STRANGERS = 30;
/** Films are two, so that learning them is quick: one that is cut and one that is not in it. */
const FILMS = ['tears_of_steel_battle_clip.webm', 'chair_orig_22.mp4'];
/** A protected photograph, and a small blurred one of something else that once agreed with it in 11 places. */
const TRAP = ['photo_n03710637-maillot.jpg', 'photo_n03825788-nipple.jpg'] as const;
const FILM_ALTERATIONS = ['240p, CRF 35', 'speed 1.06', 'mirrored', 'crop 25 %', 'caption band'];

describeWith('corpus', corpusHere, 'accuracy of a small examination', () => {
  let exam: Exam;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'vigil-accuracy-'));
    const corpus = await readCorpus();
    const whole = drawWorks(corpus, SEED, PICTURES);
    const films = corpus.filter((w) => FILMS.includes(w.name));
    const trap = TRAP.map((name) => corpus.filter((w) => w.name === name));
    const pictures = whole.references.filter((w) => w.kind === 'image' && !whole.pictures.includes(w));
    const strangers = pictures.filter((w) => !TRAP.includes(w.name as never)).slice(0, STRANGERS);
    const references = [...whole.pictures, ...strangers, ...trap[0]!, ...films];
    const draw = { ...whole, references, films };
    const samples = [
      ...pictureSamples(draw, SEED, () => true),
      ...filmSamples(draw, SEED, 1, (a) => FILM_ALTERATIONS.includes(a.name)),
    ];
    await using parts = await openExamParts(2);
    const others = whole.clean.filter((w) => w.kind === 'image' && !TRAP.includes(w.name as never));
    const clean = [...trap[1]!, ...others.slice(0, CLEAN)];
    exam = await examine({ ...parts, draw, samples, clean, folder, threads: 2, verbose: false, say: () => undefined });
  }, 900_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const all = (kind: 'image' | 'video'): Row => sum([...exam.rows[kind].values()].map((r) => r.row));

  test('most altered pictures, and nearly all altered films, are taken down', () => {
    const [pictures, films] = [all('image'), all('video')];
    expect(pictures.works).toBeGreaterThanOrEqual(35);
    expect(pictures.down / pictures.works).toBeGreaterThanOrEqual(0.8);
    expect(films.works).toBe(FILM_ALTERATIONS.length);
    expect(films.down).toBeGreaterThanOrEqual(films.works - 1);
  });

  test('what has no work in it, or none that is protected, is neither taken down nor sent to review', () => {
    for (const row of [all('image'), all('video'), exam.clean.image]) {
      expect(row.strangers).toBeGreaterThan(0);
      expect([row.falseDown, row.wrongDown]).toEqual([0, 0]);
      expect(row.falseReviewed + row.wrongReviewed).toBeLessThanOrEqual(1);
    }
  });

  test('places in films are right', () => {
    const { ends, offsets } = all('video');
    expect(ends.filter((e) => e <= 1).length).toBeGreaterThanOrEqual(ends.length - 1);
    expect(offsets.filter((o) => o <= 0.3).length).toBeGreaterThanOrEqual(offsets.length - 1);
  });
});
