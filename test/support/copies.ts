import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { ffmpegHere, run } from './ffmpeg.ts';

/** How a piece of a film is altered: an ffmpeg filter and the options of the encoder. */
export const EDITS = {
  'as it is': { filter: 'null', crf: 23 },
  '240p': { filter: 'scale=-2:240', crf: 32 },
  mirrored: { filter: 'hflip', crf: 23 },
  letterboxed: { filter: 'pad=iw:ceil(iw*10/16/2)*2*4/3:0:(oh-ih)/2', crf: 23 },
} as const;
export type Edit = keyof typeof EDITS;

/** Bump when what follows makes other bytes of the same recipe. */
const RECIPE = 1;

/**
 * Pieces of one film, all edits out of one decoding. Cached by content: the name of a file is the digest of all that
 * went into it. Returns the file of each edit.
 */
export async function makePieces(
  film: string,
  start: number,
  seconds: number,
  edits: readonly Edit[],
  cache: string,
): Promise<Map<Edit, string>> {
  const { ffmpeg, version } = await ffmpegHere();
  const { size } = await stat(film);
  const files = new Map<Edit, string>();
  const outputs: string[] = [];
  const made: [string, string][] = [];
  for (const edit of edits) {
    const { filter, crf } = EDITS[edit];
    const recipe = JSON.stringify([RECIPE, path.basename(film), size, start, seconds, filter, crf, version]);
    const name = `${createHash('sha256').update(recipe).digest('hex').slice(0, 24)}.mp4`;
    const file = path.join(cache, name);
    files.set(edit, file);
    if (existsSync(file)) continue;
    const half = path.join(cache, `half-${process.pid}-${name}`);
    made.push([half, file]);
    const even = `${filter},scale=trunc(iw/2)*2:trunc(ih/2)*2,setsar=1`;
    outputs.push('-map', '0:v:0', '-an', '-vf', even, '-c:v', 'libx264', '-preset', 'ultrafast', '-crf', String(crf));
    outputs.push('-pix_fmt', 'yuv420p', half);
  }
  if (made.length > 0) {
    await mkdir(cache, { recursive: true });
    await run(ffmpeg, [
      '-nostdin',
      '-y',
      '-v',
      'error',
      '-ss',
      String(start),
      '-t',
      String(seconds),
      '-i',
      film,
      ...outputs,
    ]);
    for (const [half, file] of made) await rename(half, file);
  }
  return files;
}
