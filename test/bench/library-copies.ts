import { stat } from 'node:fs/promises';
import path from 'node:path';
import { CACHE } from '../support/corpus.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';

/** What is done to a piece of a film: an ffmpeg filter, and the encoder's constant rate factor. */
export const EDITS: Readonly<Record<string, { filter: string; crf: number }>> = {
  '240p': { filter: 'scale=-2:240', crf: 34 },
  mirror: { filter: 'hflip', crf: 26 },
  'crop 40 %': { filter: 'crop=iw*0.775:ih*0.775', crf: 26 },
  'turn 5': { filter: 'rotate=5*PI/180', crf: 26 },
  'caption band': { filter: 'drawbox=y=ih*0.7:h=ih*0.3:color=white:t=fill', crf: 26 },
  'mirror, crop, speed': { filter: 'hflip,crop=iw*0.85:ih*0.85,setpts=PTS/1.06', crf: 28 },
};

const RECIPE = 1;

/** `seconds` of a film from `start`, edited; made once. */
export async function makeCopy(film: string, start: number, seconds: number, edit: string): Promise<string> {
  const { ffmpeg, version } = await ffmpegHere();
  const { filter, crf } = EDITS[edit]!;
  const recipe = [RECIPE, path.basename(film), (await stat(film)).size, start, seconds, filter, crf, version];
  const even = `${filter},scale=trunc(iw/2)*2:trunc(ih/2)*2,setsar=1`;
  const cut = ['-nostdin', '-y', '-v', 'error', '-ss', String(start), '-t', String(seconds), '-i', film];
  const coder = [
    '-an',
    '-vf',
    even,
    '-c:v',
    'libx264',
    '-preset',
    'veryfast',
    '-crf',
    String(crf),
    '-pix_fmt',
    'yuv420p',
  ];
  return madeOnce(CACHE, recipe, '.mp4', (file) => run(ffmpeg, [...cut, '-map', '0:v:0', ...coder, file]));
}
