import type { Altered, Rejection, Span } from '@vigil/contracts';
import { CARDS, FILMS, type FilmName, PICTURES, type PictureName } from './films.ts';
import { type Film, filmSeconds } from './paint/film.ts';

export type SeedVerdict = 'taken-down' | 'cleared' | 'rejected' | 'in-review';

export interface SeedReference {
  name: string;
  title: string;
  kind: 'image' | 'video';
  /** 0 for an image. */
  seconds: number;
}

/** What Vigil must say of an upload. */
export interface SeedExpectation {
  verdict: SeedVerdict;
  /** Verdicts that are right as well: pages of text may be too little to judge. */
  or?: SeedVerdict[];
  reason?: Rejection;
  /** Name of the reference that is copied. */
  reference?: string;
  /** Which part of the upload shows which part of the reference, in seconds; [0, 0] for images. */
  uploadSpan?: Span;
  referenceSpan?: Span;
  /** As evidence says it. */
  altered?: Altered;
}

export interface SeedUpload {
  name: string;
  kind: 'image' | 'video' | 'other';
  /** How it was made, for people. */
  words: string;
  expect: SeedExpectation;
  make: Recipe;
}

/** Arguments for ffmpeg between the program and the output file; `from` are names of files that are there already. */
export type Recipe =
  | { by: 'ffmpeg'; from: string[]; args(path: (name: string) => string): string[] }
  | { by: 'painting' }
  | { by: 'bytes'; bytes: string };

const film = (name: FilmName, title: string): SeedReference => ({
  name: `${name}.mp4`,
  title,
  kind: 'video',
  seconds: filmSeconds(FILMS[name]),
});
const picture = (name: PictureName, title: string): SeedReference => ({ name, title, kind: 'image', seconds: 0 });

export const REFERENCES: readonly SeedReference[] = [
  film('lantern-valley', 'Lantern Valley'),
  film('paper-machines', 'Paper Machines'),
  picture('picture-morning-ridge.png', 'Morning Ridge'),
  picture('picture-harbour-light.jpg', 'Harbour Light'),
  picture('picture-beech-wood.jpg', 'Beech Wood'),
  picture('picture-patchwork.jpg', 'Patchwork'),
  picture('picture-night-village.png', 'Night Village'),
  picture('picture-shoal.jpg', 'Shoal'),
];

/** The fast preset leaves keyframes at cuts out; other people's films have them. */
export const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-sc_threshold', '40', '-pix_fmt', 'yuv420p'];
export const AAC = ['-c:a', 'aac', '-b:a', '64k'];

interface Cut {
  film?: FilmName;
  start: number;
  end: number;
  picture?: string;
  sound?: string;
  codec?: string[];
  speed?: number;
  altered?: Altered;
}

/** A part of a film, cut at instants that are no frame's, and encoded anew. */
function piece(name: string, words: string, cut: Cut): SeedUpload {
  const from = `${cut.film ?? 'lantern-valley'}.mp4`;
  const length = cut.end - cut.start;
  const round = (v: number) => Math.round(v * 1000) / 1000;
  return {
    name,
    kind: 'video',
    words,
    expect: {
      verdict: 'taken-down',
      reference: from,
      uploadSpan: [0, round(length / (cut.speed ?? 1))],
      referenceSpan: [cut.start, cut.end],
      altered: cut.altered ?? {},
    },
    make: {
      by: 'ffmpeg',
      from: [from],
      args: (path) => [
        ...['-ss', String(cut.start), '-t', String(round(length)), '-i', path(from)],
        ...(cut.picture ? ['-vf', cut.picture] : []),
        ...(cut.sound ? ['-af', cut.sound] : []),
        ...(cut.codec ?? [...X264, '-crf', '26', ...AAC]),
      ],
    },
  };
}

/** A picture, altered. */
function still(
  name: string,
  words: string,
  from: PictureName,
  filter: string,
  quality: number,
  altered: Altered,
): SeedUpload {
  return {
    name,
    kind: 'image',
    words,
    expect: { verdict: 'taken-down', reference: from, uploadSpan: [0, 0], referenceSpan: [0, 0], altered },
    make: {
      by: 'ffmpeg',
      from: [from],
      args: (path) => ['-i', path(from), '-vf', filter, ...imageCodec(name, quality)],
    },
  };
}

export const imageCodec = (name: string, quality: number): string[] => [
  ...['-frames:v', '1', '-f', 'image2', '-update', '1'],
  ...(name.endsWith('.png')
    ? ['-c:v', 'png', '-pix_fmt', 'rgb24']
    : ['-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-q:v', String(quality)]),
];

const cleared = (
  name: string,
  kind: SeedUpload['kind'],
  words: string,
  make: Recipe,
  or?: SeedVerdict[],
): SeedUpload => ({
  name,
  kind,
  words,
  expect: { verdict: 'cleared', ...(or ? { or } : {}) },
  make,
});
const rejected = (name: string, words: string, reason: Rejection, make: Recipe): SeedUpload => ({
  name,
  kind: 'other',
  words,
  expect: { verdict: 'rejected', reason },
  make,
});

const INSERTED = { before: 8, start: 33.28, end: 45.08, after: 6 };

/** Every upload. `hasEncoder` says what this ffmpeg can write: the piece in VP9 is left out without its encoder. */
export function uploads(hasEncoder: (name: string) => boolean): SeedUpload[] {
  const painted: Recipe = { by: 'painting' };
  const vp9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '400k', '-an', '-f', 'webm'];
  return [
    piece('piece-as-it-is.mp4', 'a piece, encoded anew', { start: 12.37, end: 27.81 }),
    piece('piece-240p.mp4', 'shrunk to 240p at a low bitrate', {
      start: 31.23,
      end: 55.91,
      picture: 'scale=426:240',
      codec: [...X264, '-crf', '36', '-c:a', 'aac', '-b:a', '32k'],
    }),
    piece('piece-mirrored.mp4', 'mirrored', {
      start: 41.63,
      end: 60.17,
      picture: 'hflip',
      altered: { turn: 'mirror' },
    }),
    piece('piece-letterboxed.mp4', 'letterboxed to 4:3', {
      start: 20.45,
      end: 38.92,
      picture: 'pad=640:480:0:60:black',
      altered: { inset: [0, 0.125, 1, 0.875] },
    }),
    piece('piece-faster.mp4', 'sped up by 6 %', {
      start: 47.77,
      end: 69.31,
      picture: 'setpts=PTS/1.06,fps=12',
      sound: 'atempo=1.06',
      speed: 1.06,
      altered: { speed: 1.06 },
    }),
    piece('piece-inverted.mp4', 'colours inverted', {
      start: 5.21,
      end: 21.38,
      picture: 'negate',
      altered: { inverted: true },
    }),
    {
      name: 'piece-inserted.mp4',
      kind: 'video',
      words: 'a piece set into other footage',
      expect: {
        verdict: 'taken-down',
        reference: 'lantern-valley.mp4',
        uploadSpan: [INSERTED.before, INSERTED.before + INSERTED.end - INSERTED.start],
        referenceSpan: [INSERTED.start, INSERTED.end],
        altered: {},
      },
      make: {
        by: 'ffmpeg',
        from: ['lantern-valley.mp4', 'other-valley.mp4'],
        args: (path) => [
          ...['-t', String(INSERTED.before), '-i', path('other-valley.mp4')],
          ...[
            '-ss',
            String(INSERTED.start),
            '-t',
            String(INSERTED.end - INSERTED.start),
            '-i',
            path('lantern-valley.mp4'),
          ],
          ...['-ss', String(INSERTED.before), '-t', String(INSERTED.after), '-i', path('other-valley.mp4')],
          ...[
            '-filter_complex',
            '[0:v][0:a][1:v][1:a][2:v][2:a]concat=n=3:v=1:a=1[v][a]',
            '-map',
            '[v]',
            '-map',
            '[a]',
          ],
          ...[...X264, '-crf', '26', ...AAC],
        ],
      },
    },
    ...(hasEncoder('libvpx-vp9')
      ? [
          piece('piece-vp9.webm', 'in VP9 and WebM, without sound', {
            film: 'paper-machines',
            start: 5.43,
            end: 18.66,
            codec: vp9,
          }),
        ]
      : []),
    piece('piece-mpeg4.mkv', 'in MPEG-4 part 2 and Matroska', {
      film: 'paper-machines',
      start: 16.19,
      end: 33.74,
      codec: ['-c:v', 'mpeg4', '-q:v', '6', '-g', '24', ...AAC, '-f', 'matroska'],
    }),
    still('copy-small.jpg', 'shrunk and pressed hard', 'picture-morning-ridge.png', 'scale=320:240', 14, {}),
    still('copy-mirrored.jpg', 'mirrored', 'picture-harbour-light.jpg', 'hflip', 4, { turn: 'mirror' }),
    still('copy-bordered.png', 'with a wide border', 'picture-patchwork.jpg', 'pad=1000:840:100:120:0x305068', 2, {
      inset: [0.1, 0.1429, 0.9, 0.8571],
    }),
    still('copy-turned.jpg', 'turned by 90 degrees', 'picture-night-village.png', 'transpose=clock', 4, {
      turn: 'rot90',
    }),
    still('copy-inverted.png', 'colours inverted', 'picture-shoal.jpg', 'negate', 2, { inverted: true }),
    cleared('other-valley.mp4', 'video', 'another film in the same manner', painted),
    cleared('glass-works.mp4', 'video', 'another film in another manner', painted),
    cleared('clean-picture-window.jpg', 'image', 'another picture', painted),
    cleared('clean-picture-ridge.jpg', 'image', 'another picture of the same kind as a work', painted),
    cleared('clean-ridge-bordered.jpg', 'image', 'the same, mirrored and with a wide border', {
      by: 'ffmpeg',
      from: ['clean-picture-ridge.jpg'],
      args: (path) => [
        ...['-i', path('clean-picture-ridge.jpg'), '-vf', 'hflip,pad=1000:840:100:120:0x305068'],
        ...imageCodec('clean-ridge-bordered.jpg', 4),
      ],
    }),
    cleared('clean-credits.png', 'image', 'a page of end titles', painted, ['rejected']),
    cleared('clean-credits-roll.mp4', 'video', 'end titles, rolling', painted, ['rejected']),
    cleared('clean-test-card.mp4', 'video', 'a test card', painted),
    rejected('black.mp4', 'black', 'too-little', {
      by: 'ffmpeg',
      from: [],
      args: () => ['-f', 'lavfi', '-i', 'color=black:s=640x360:r=12:d=8', ...X264],
    }),
    rejected('silence.m4a', 'only sound, and that silent', 'no-picture', {
      by: 'ffmpeg',
      from: [],
      args: () => ['-f', 'lavfi', '-t', '5', '-i', 'anullsrc=r=22050:cl=mono', ...AAC, '-f', 'ipod'],
    }),
    rejected('empty.mp4', 'no bytes at all', 'empty', { by: 'bytes', bytes: '' }),
    rejected('letter.jpg', 'a letter that calls itself a picture', 'not-media', {
      by: 'bytes',
      bytes: 'Dear reader,\n\nthis is not a picture, whatever my name says.\n',
    }),
  ];
}

/** What is painted, by file name. */
export const PAINTED: Record<string, Film> = {
  ...Object.fromEntries(Object.entries(FILMS).map(([name, f]) => [`${name}.mp4`, f])),
  ...CARDS,
  ...PICTURES,
};
