import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { TakedownEvent, Verdict } from '@vigil/contracts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Network, openNetwork } from '../network/open-network.ts';
import { EDITS, type Edit, makePieces } from '../support/copies.ts';
import { CACHE, CORPUS, corpusHere } from '../support/corpus.ts';
import { describeWith } from '../support/require.ts';

const video = (name: string) => ({ name, file: path.join(CORPUS, 'videos', name) });
const image = (name: string) => ({ name, file: path.join(CORPUS, 'images', name) });

/**
 * Of all this the short form takes a part, as `npm test` must not last long: a piece a film, one clean picture in six, and of films
 * that must stay those of a minute and less, one part of a series beside those that are protected.
 */
const isFull = process.env.VIGIL_FULL === '1';
const LONGEST = 'agent327_480p.mp4';
const ONLY_IN_FULL = [LONGEST, 'popeye_sinbad_t02.mkv', 'popeye_sinbad_t03.mkv'];
const PHOTOGRAPHS = isFull ? 100 : 20;
/** Those that are not protected are uploaded, as what must stay: parts of one film are each other's nearest like. */
const FILMS = [
  'popeye_sinbad_t00.mkv',
  'tears_of_steel_battle_clip.webm',
  ...(isFull ? ['popeye_sinbad_t01.mkv', ...ONLY_IN_FULL] : []),
];

/** Where pieces begin, in seconds: arbitrary instants in the middle, never whole. */
const STARTS: Record<number, number> = { 10: 27.37, 30: 21.83, 120: 61.19 };
const ALL_EDITS = Object.keys(EDITS) as Edit[];

/** Corpus files that show the same content as a reference above, by the corpus's own README: these must be taken down. */
const DUPLICATES: Record<string, string> = {
  'popeye_sinbad_t00_480p_other_encode.mkv': 'popeye_sinbad_t00.mkv',
};

interface Piece {
  name: string;
  file: string;
  film: string;
  start: number;
  seconds: number;
}

describeWith('corpus', corpusHere, 'pieces of real films among clean media', () => {
  let network: Network;
  let references: Map<string, string>;
  let uploads: Map<string, string>;
  const pieces: Piece[] = [];
  const clean: { name: string; file: string }[] = [];
  let verdicts: Map<string, Verdict>;
  let takedowns: TakedownEvent[];

  beforeAll(async () => {
    const wanted = FILMS.flatMap((film, n) =>
      isFull
        ? [10, 30].map((seconds) => ({ film, seconds, edits: ALL_EDITS }))
        : [{ film, seconds: n % 2 === 0 ? 10 : 30, edits: [ALL_EDITS[n % ALL_EDITS.length]!] }],
    );
    if (isFull) wanted.push({ film: LONGEST, seconds: 120, edits: ['as it is'] });
    for (const { film, seconds, edits } of wanted) {
      const start = STARTS[seconds]!;
      for (const [edit, file] of await makePieces(video(film).file, start, seconds, edits, CACHE)) {
        pieces.push({ name: `${film} ${seconds} s ${edit}`, file, film, start, seconds });
      }
    }
    const images = (await readdir(path.join(CORPUS, 'images'))).sort();
    const photographs = images.filter((name) => name.startsWith('photo_')).slice(0, PHOTOGRAPHS);
    const videos = (await readdir(path.join(CORPUS, 'videos'))).sort();
    const others = images.filter((name) => !photographs.includes(name));
    clean.push(...others.filter((_, n) => isFull || n % 6 === 0).map(image));
    clean.push(
      ...videos.filter((name) => !FILMS.includes(name) && (isFull || !ONLY_IN_FULL.includes(name))).map(video),
    );

    network = await openNetwork();
    references = await network.protect([...FILMS.map(video), ...photographs.map(image)]);
    uploads = await network.upload([...pieces, ...clean]);
    await network.drain(uploads.values(), 900);
    const all = await network.verdicts();
    verdicts = new Map([...uploads].map(([name, id]) => [name, all.find((v) => v.upload === id)!]));
    expect(all.length, 'one verdict an upload').toBe(uploads.size);
    takedowns = await network.takedowns();
  }, 1_200_000);
  afterAll(() => network?.[Symbol.asyncDispose]());

  test('every piece is taken down, with the right reference and within a second of the right place', () => {
    const wrong = pieces.flatMap((piece) => {
      const verdict = verdicts.get(piece.name)!;
      const best = verdict.decisions[0]?.evidence;
      const segment = best?.segments[0];
      const right =
        verdict.verdict === 'taken-down' &&
        best?.reference.id === references.get(piece.film) &&
        segment !== undefined &&
        Math.abs(segment.reference[0] - segment.upload[0] - piece.start) <= 1;
      return right ? [] : [`${piece.name}: ${describeVerdict(verdict)}`];
    });
    expect(wrong).toEqual([]);
    expect(pieces.length).toBe(isFull ? FILMS.length * 2 * ALL_EDITS.length + 1 : FILMS.length);
  });

  test('nothing else is taken down or sent to review, but for true duplicates', () => {
    const wrong = clean.flatMap(({ name }) => {
      const verdict = verdicts.get(name)!;
      const of = DUPLICATES[name];
      const right = of
        ? verdict.verdict === 'taken-down' && verdict.decisions[0]!.evidence.reference.id === references.get(of)
        : verdict.verdict === 'cleared' || verdict.verdict === 'rejected';
      return right ? [] : [`${name}: ${describeVerdict(verdict)}`];
    });
    expect(wrong).toEqual([]);
  });

  test('there is one takedown event for each upload that is down, and for no other', () => {
    const down = [...verdicts.values()].filter((v) => v.verdict === 'taken-down').map((v) => v.upload);
    expect(takedowns.map((t) => t.upload).sort()).toEqual(down.sort());
    expect(new Set(takedowns.map((t) => t.id)).size).toBe(takedowns.length);
  });

  const describeVerdict = (v: Verdict) =>
    `${v.verdict} ${v.reason ?? ''} ${v.decisions
      .map(
        (d) =>
          `${d.action} ${d.rule} ${[...references].find(([, id]) => id === d.evidence.reference.id)?.[0]} ${JSON.stringify(d.evidence.segments[0] ?? d.evidence.altered)}`,
      )
      .join('; ')}`;
});
