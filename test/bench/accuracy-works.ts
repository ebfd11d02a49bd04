import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { mulberry32 } from '../network/deliver-twice.ts';
import { CORPUS } from '../support/corpus.ts';

/** A file of the corpus. Works of one `family` show the same thing: a match among them is right. */
export interface Work {
  name: string;
  file: string;
  kind: 'image' | 'video';
  family: string;
  width: number;
  height: number;
  /** 0 of pictures. */
  seconds: number;
}

/** What is protected, what is copied from it, and what has nothing to do with any of it. */
export interface Draw {
  references: Work[];
  /** Pictures to alter, all of them references. */
  pictures: Work[];
  /** Films to cut pieces from, all of them references. */
  films: Work[];
  /** Clean uploads: pictures and films of no reference's family. */
  clean: Work[];
  /** Of those: pictures that altered ones are set into, and film that pieces are inserted in. */
  others: Work[];
  filler: Work[];
}

/** Families as the corpus's own README names them. */
const FAMILIES: [RegExp, string][] = [
  [/^variant_/, 'bridge'],
  [/^receipt_(030|036|055|056)\./, 'receipt-030'],
  [/^receipt_(053|058)\./, 'receipt-053'],
  [/^webart_(balloons-square|square2|webart_square2)\./, 'balloons'],
  [/^art_starry-night/, 'starry-night'],
  [/^chair_/, 'chair'],
  [/^pattern_/, 'pattern'],
  [/^flower/, 'flower'],
  // One is the other mirrored, on another ground.
  [/^meme_default_(ab662d|8415ed)/, 'penguin'],
  // The banner shows both pictures.
  [/^sci_(imageio-banner|astronaut|chelsea)\./, 'banner'],
  [/^popeye_sinbad_t00/, 'popeye-t00'],
];
/** Pictures that are altered; the rest (charts, flags, receipts, screenshots, logos) are traps on either side. */
const PICTORIAL = /^(photo|camera|kodak|coco|public|art|webart|meme|sci)_/;
const LEAST_FILM_SECONDS = 20;
/** Parts of one series, recorded one after another: some protected, one not. */
const SERIES = /^popeye_sinbad_t0\d\.mkv$/;

export async function readCorpus(): Promise<Work[]> {
  const [head, ...rows] = (await readFile(path.join(CORPUS, 'MANIFEST.tsv'), 'utf8')).trimEnd().split('\n');
  const names = head!.split('\t');
  const works: Work[] = [];
  for (const row of rows) {
    const at = Object.fromEntries(row.split('\t').map((value, i) => [names[i]!, value]));
    const folder = at.path!.split('/')[0];
    if (folder !== 'images' && folder !== 'videos') continue;
    const name = path.basename(at.path!);
    works.push({
      name,
      file: path.join(CORPUS, at.path!),
      kind: folder === 'images' ? 'image' : 'video',
      family: FAMILIES.find(([pattern]) => pattern.test(name))?.[1] ?? name,
      width: Number(at.width),
      height: Number(at.height),
      seconds: folder === 'images' ? 0 : Number(at.duration_s),
    });
  }
  return works.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A generator of its own for each thing that is drawn, so that one more of them moves none of the others. */
export function randomFor(seed: number, ...about: (string | number)[]): () => number {
  let h = 2166136261 ^ seed;
  for (const char of about.join(' ')) h = Math.imul(h ^ char.charCodeAt(0), 16777619);
  return mulberry32(h);
}

export function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

/** Half of the pictures' families are protected, and all long films but one part of the series. */
export function drawWorks(corpus: readonly Work[], seed: number, pictures: number): Draw {
  const images = corpus.filter((w) => w.kind === 'image');
  const families = shuffled([...new Set(images.map((w) => w.family))], randomFor(seed, 'families'));
  const protectedFamilies = new Set(families.slice(0, families.length >> 1));
  const copied = shuffled(
    images.filter(
      (w) => protectedFamilies.has(w.family) && PICTORIAL.test(w.name) && Math.min(w.width, w.height) >= 200,
    ),
    randomFor(seed, 'pictures'),
  );

  const films = corpus.filter((w) => w.kind === 'video');
  const series = films.filter((w) => SERIES.test(w.name));
  const left = series[Math.floor(randomFor(seed, 'series')() * series.length)]!;
  const known = new Set<string>();
  const originals = films.filter((w) => {
    const whole = w.seconds >= LEAST_FILM_SECONDS && w !== left && w.family !== left.family;
    // Of a family, the one that was there first: the others are copies of it.
    if (!whole || /_other_encode|_grey|_logo/.test(w.name) || known.has(w.family)) return false;
    known.add(w.family);
    return true;
  });
  const cleanImages = images.filter((w) => !protectedFamilies.has(w.family));
  const cleanFilms = films.filter((w) => !known.has(w.family));
  return {
    references: [...images.filter((w) => protectedFamilies.has(w.family)), ...originals],
    pictures: copied.slice(0, pictures),
    films: shuffled(originals, randomFor(seed, 'films')),
    clean: [...cleanImages, ...cleanFilms],
    others: shuffled(
      cleanImages.filter((w) => PICTORIAL.test(w.name)),
      randomFor(seed, 'others'),
    ),
    filler: cleanFilms.filter((w) => w.seconds < LEAST_FILM_SECONDS && w.family !== 'pattern'),
  };
}
