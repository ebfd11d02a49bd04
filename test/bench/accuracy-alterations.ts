/** What people do to pictures and films, as ffmpeg filter graphs from [in] to [out], with [o0], [o1], [o2] of other works. */

/** Recall at takedown that is aimed at; of `hard` ones only the mean over all counts. */
export const AIMS = { same: 0.98, seen: 0.9, hard: null } as const;

export interface Canvas {
  width: number;
  height: number;
  random: () => number;
}

export interface Alteration {
  name: string;
  aim: keyof typeof AIMS;
  graph: (c: Canvas) => string;
  /** Other works that the graph wants. */
  others?: number;
  /** Options of the encoder, and the file's ending, where they are not the usual ones. */
  encode?: readonly string[];
  ending?: string;
  /** Upload seconds are reference seconds over this. */
  speed?: number;
  /** How a film's upload is put together; `piece` when absent. */
  build?: 'piece' | 'long' | 'inserted' | 'two-works' | 'scattered';
}

const WORDS = ['WATCH', 'LEAKED', 'FULL MOVIE', 'FREE HERE', 'PART TWO', 'NEW 2026', 'SUBSCRIBE', 'LINK IN BIO'];
const SIGNS = ['★', '♥', '☺', '●', '✿', '☀'];
const COLOURS = ['red', 'gold', 'deeppink', 'lime', 'cyan', 'white'];

const even = (v: number): number => 2 * Math.max(1, Math.round(v / 2));
const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)]!;
const chain =
  (filters: string | ((c: Canvas) => string)) =>
  (c: Canvas): string =>
    `[in]${typeof filters === 'string' ? filters : filters(c)}[out]`;

const write = (text: string, size: number, x: string, y: string, colour: string, outline = 0): string =>
  `drawtext=font=Sans:text='${text}':fontsize=${Math.round(size)}:x=${x}:y=${y}:fontcolor=${colour}` +
  (outline > 0 ? `:borderw=${Math.max(1, Math.round(outline))}:bordercolor=black` : '');

/** @param cut share of the area that is lost; the place is drawn */
const crop =
  (cut: number) =>
  ({ width, height, random }: Canvas): string => {
    const [w, h] = [even(width * Math.sqrt(1 - cut)), even(height * Math.sqrt(1 - cut))];
    return `crop=${w}:${h}:${Math.floor(random() * (width - w))}:${Math.floor(random() * (height - h))}`;
  };

const turned = (degrees: number) => (c: Canvas) => {
  const a = `${c.random() < 0.5 ? '-' : ''}${degrees}*PI/180`;
  return degrees > 15 ? `rotate=${a}:ow='rotw(${a})':oh='roth(${a})'` : `rotate=${a}`;
};

const slanted = ({ random }: Canvas): string => {
  const d = () => (0.09 * random()).toFixed(3);
  return `perspective=x0=${d()}*W:y0=${d()}*H:x1=W-${d()}*W:y1=${d()}*H:x2=${d()}*W:y2=H-${d()}*H:x3=W-${d()}*W:y3=H-${d()}*H:sense=destination`;
};

const filmedFromScreen = (c: Canvas): string =>
  `${slanted(c)},eq=brightness=0.05:contrast=0.85:saturation=0.8,gblur=sigma=${(c.width / 600).toFixed(2)},noise=alls=14:allf=t,vignette=PI/5`;

const bigText = ({ width, height, random }: Canvas): string =>
  [0, 1, 2]
    .map((line) => {
      const text = pick(WORDS, random);
      const size = Math.min(height / 4.5, (1.45 * width) / text.length);
      return write(text, size, '(w-tw)/2', `h*${(0.06 + 0.31 * line).toFixed(2)}`, 'white', size / 14);
    })
    .join(',');

const stickers = ({ height, random }: Canvas): string =>
  Array.from({ length: 5 }, () =>
    write(
      pick(SIGNS, random),
      height / 4,
      `(w-tw)*${random().toFixed(2)}`,
      `(h-th)*${random().toFixed(2)}`,
      pick(COLOURS, random),
    ),
  ).join(',');

const captionBand = ({ width, height, random }: Canvas): string => {
  const band = even(0.24 * height);
  const size = Math.min(band / 3, width / 16);
  const above = random() < 0.5;
  const y = above ? 0.2 * band : height + 0.2 * band;
  return (
    `pad=iw:ih+${band}:0:${above ? band : 0}:white,` +
    `${write(`when ${pick(WORDS, random).toLowerCase()} is`, size, 'w/20', y.toFixed(0), 'black')},` +
    write(`not what you think it is`, size, 'w/20', (y + 1.3 * size).toFixed(0), 'black')
  );
};

/** As a telephone shows a post: a bar, a name, the picture, buttons, lines of text. */
const chrome = ({ width, height }: Canvas): string => {
  const u = width / 20;
  const top = even(4 * u);
  const under = top + height;
  return [
    `pad=iw:${even(height + 13 * u)}:0:${top}:white`,
    write('9.41', 0.8 * u, `${u}`, `${0.3 * u}`, 'black'),
    write('●', 2.2 * u, `${u}`, `${1.4 * u}`, 'gray'),
    write('some.account', 0.9 * u, `${3.5 * u}`, `${1.7 * u}`, 'black'),
    write('2 hours ago', 0.6 * u, `${3.5 * u}`, `${2.8 * u}`, 'gray'),
    write('♥   ✉   ★', 1.4 * u, `${u}`, `${under + 0.5 * u}`, 'black'),
    ...[0, 1, 2].map((k) =>
      write('lorem ipsum dolor sit amet consetetur', 0.8 * u, `${u}`, `${under + (3 + 1.5 * k) * u}`, 'black'),
    ),
    `drawbox=0:ih-${Math.round(1.5 * u)}:iw:${Math.round(1.5 * u)}:gainsboro:fill`,
  ].join(',');
};

const blurredBorder = ({ width }: Canvas): string => {
  const w = even(Math.min(480, width));
  const h = even((w * 16) / 9);
  return `[in]split[a][b];[a]scale=${w}:${h}:force_original_aspect_ratio=increase,crop=${w}:${h},boxblur=20:2[g];[b]scale=${w}:${h}:force_original_aspect_ratio=decrease:force_divisible_by=2[f];[g][f]overlay=(W-w)/2:(H-h)/2[out]`;
};

const covering = (input: string, w: number, h: number, output: string): string =>
  `[${input}]scale=${w}:${h}:force_original_aspect_ratio=increase,crop=${w}:${h},setsar=1[${output}]`;

const inset =
  (side: number) =>
  ({ width: w, height: h, random }: Canvas): string => {
    const [fw, fh] = [even(side * w), even(side * h)];
    const [x, y] = [Math.floor(random() * (w - fw)), Math.floor(random() * (h - fh))];
    return `${covering('o0', w, h, 'bg')};[in]scale=${fw}:${fh}[f];[bg][f]overlay=${x}:${y}:shortest=1[out]`;
  };

const beside = ({ width: w, height: h, random }: Canvas): string =>
  `${covering('o0', w, h, 'o')};${random() < 0.5 ? '[in][o]' : '[o][in]'}hstack=shortest=1[out]`;

const fourfold = ({ width, height, random }: Canvas): string => {
  const [w, h] = [even(width / 2), even(height / 2)];
  const own = Math.floor(random() * 4);
  const tiles = [0, 1, 2].map((k) => `t${k}`);
  tiles.splice(own, 0, 'own');
  return `${[0, 1, 2].map((k) => covering(`o${k}`, w, h, `t${k}`)).join(';')};[in]scale=${w}:${h},setsar=1[own];${tiles.map((t) => `[${t}]`).join('')}xstack=inputs=4:layout=0_0|w0_0|0_h0|w0_h0:shortest=1[out]`;
};

const mirrorCrop = (c: Canvas): string => `hflip,${crop(0.2)(c)}`;

/** Done to pictures and films alike. */
const SHARED: Alteration[] = [
  { name: 'half size', aim: 'same', graph: chain('scale=trunc(iw/4)*2:trunc(ih/4)*2') },
  { name: 'brighter', aim: 'same', graph: chain('eq=brightness=0.15') },
  { name: 'darker (gamma)', aim: 'same', graph: chain('eq=gamma=0.6') },
  { name: 'contrast', aim: 'same', graph: chain('eq=contrast=1.4') },
  { name: 'colour', aim: 'same', graph: chain('hue=h=50:s=1.6') },
  { name: 'grey', aim: 'same', graph: chain('hue=s=0') },
  { name: 'inverted', aim: 'same', graph: chain('negate') },
  { name: 'blurred', aim: 'same', graph: chain((c) => `gblur=sigma=${(c.width / 320).toFixed(2)}`) },
  { name: 'noise', aim: 'same', graph: chain('noise=alls=28:allf=t') },
  { name: 'aspect', aim: 'seen', graph: chain('scale=trunc(iw*0.375)*2:ih,setsar=1') },
  { name: 'mirrored', aim: 'seen', graph: chain('hflip') },
  { name: 'turned 3', aim: 'seen', graph: chain(turned(3)) },
  { name: 'turned 10', aim: 'seen', graph: chain(turned(10)) },
  { name: 'turned 30', aim: 'seen', graph: chain(turned(30)) },
  { name: 'turned 90', aim: 'seen', graph: chain((c) => `transpose=${c.random() < 0.5 ? 1 : 2}`) },
  { name: 'letterboxed', aim: 'seen', graph: chain('pad=iw:trunc(ih*0.7)*2:0:(oh-ih)/2') },
  { name: 'framed', aim: 'seen', graph: chain('pad=trunc(iw*0.6)*2:trunc(ih*0.6)*2:(ow-iw)/2:(oh-ih)/2:white') },
  { name: '9:16 blurred border', aim: 'seen', graph: blurredBorder },
  { name: 'crop 10 %', aim: 'seen', graph: chain(crop(0.1)) },
  { name: 'crop 25 %', aim: 'seen', graph: chain(crop(0.25)) },
  { name: 'crop 50 %', aim: 'seen', graph: chain(crop(0.5)) },
  { name: 'crop 75 %', aim: 'hard', graph: chain(crop(0.75)) },
  { name: 'big text', aim: 'hard', graph: chain(bigText) },
  { name: 'stickers', aim: 'hard', graph: chain(stickers) },
  { name: 'caption band', aim: 'seen', graph: chain(captionBand) },
  { name: 'perspective', aim: 'seen', graph: chain(slanted) },
  { name: 'camrip', aim: 'hard', graph: chain(filmedFromScreen) },
  { name: 'inset 60 %', aim: 'hard', graph: inset(0.6), others: 1 },
  { name: 'inset 40 %', aim: 'hard', graph: inset(0.4), others: 1 },
  { name: 'collage of two', aim: 'hard', graph: beside, others: 1 },
  { name: 'collage of four', aim: 'hard', graph: fourfold, others: 3 },
  { name: 'screenshot chrome', aim: 'hard', graph: chain(chrome) },
];

export const PICTURE_ALTERATIONS: Alteration[] = [
  { name: 'as it is', aim: 'same', graph: chain('null') },
  { name: 'JPEG 20', aim: 'same', graph: chain('null'), encode: ['-q:v', '18'] },
  { name: 'WebP', aim: 'same', graph: chain('null'), encode: ['-c:v', 'libwebp', '-quality', '40'], ending: 'webp' },
  { name: 'quarter size', aim: 'same', graph: chain('scale=trunc(iw/8)*2:trunc(ih/8)*2') },
  { name: 'turned 180', aim: 'seen', graph: chain('hflip,vflip') },
  ...SHARED,
  { name: 'mirror + crop 20 %', aim: 'hard', graph: chain(mirrorCrop) },
  {
    name: 'turn + crop + colour',
    aim: 'hard',
    graph: chain((c) => `${turned(5)(c)},${crop(0.25)(c)},hue=h=30,eq=contrast=1.2`),
  },
  { name: 'mirror + caption band', aim: 'hard', graph: chain((c) => `hflip,${captionBand(c)}`) },
];

const x264 = (crf: number, ...more: string[]): string[] => [
  '-c:v',
  'libx264',
  '-preset',
  'veryfast',
  '-crf',
  String(crf),
  '-pix_fmt',
  'yuv420p',
  ...more,
];

export const FILM_ENCODER = x264(25);

export const FILM_ALTERATIONS: Alteration[] = [
  { name: 'as it is', aim: 'same', graph: chain('null') },
  { name: '240p, CRF 35', aim: 'same', graph: chain('scale=-2:240'), encode: x264(35) },
  {
    name: 'HEVC',
    aim: 'same',
    graph: chain('null'),
    encode: ['-c:v', 'libx265', '-preset', 'ultrafast', '-x265-params', 'log-level=error', '-pix_fmt', 'yuv420p'],
  },
  {
    name: 'VP9, WebM',
    aim: 'same',
    graph: chain('null'),
    encode: [
      '-c:v',
      'libvpx-vp9',
      '-deadline',
      'realtime',
      '-cpu-used',
      '8',
      '-crf',
      '40',
      '-b:v',
      '0',
      '-pix_fmt',
      'yuv420p',
    ],
    ending: 'webm',
  },
  { name: 'MPEG-4, AVI', aim: 'same', graph: chain('null'), encode: ['-c:v', 'mpeg4', '-q:v', '7'], ending: 'avi' },
  { name: 'transport stream', aim: 'same', graph: chain('null'), encode: x264(28), ending: 'ts' },
  { name: '12 fps', aim: 'same', graph: chain('fps=12') },
  { name: '60 fps', aim: 'same', graph: chain('fps=60') },
  { name: 'speed 0.8', aim: 'same', graph: chain('setpts=PTS/0.8'), speed: 0.8 },
  { name: 'speed 1.06', aim: 'same', graph: chain('setpts=PTS/1.06'), speed: 1.06 },
  { name: 'speed 1.25', aim: 'same', graph: chain('setpts=PTS/1.25'), speed: 1.25 },
  { name: 'one keyframe', aim: 'same', graph: chain('null'), encode: x264(25, '-g', '9999', '-sc_threshold', '0') },
  { name: 'slide show', aim: 'hard', graph: chain('fps=1:round=up,fps=25') },
  { name: 'two minutes', aim: 'same', graph: chain('scale=-2:360'), build: 'long' },
  { name: 'inserted', aim: 'seen', graph: chain('null'), build: 'inserted' },
  { name: 'two works', aim: 'seen', graph: chain('null'), build: 'two-works' },
  { name: 'four shots', aim: 'seen', graph: chain('null'), build: 'scattered' },
  ...SHARED.filter((a) => !['half size', 'darker (gamma)', 'crop 10 %', 'turned 30'].includes(a.name)),
  { name: 'mirror + crop + speed', aim: 'hard', graph: chain((c) => `${mirrorCrop(c)},setpts=PTS/1.06`), speed: 1.06 },
  {
    name: 'caption + 240p + colour',
    aim: 'hard',
    graph: chain((c) => `${captionBand(c)},hue=h=30,scale=-2:240`),
    encode: x264(33),
  },
];
