import { rm, writeFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { runFfmpeg } from './ffmpeg.ts';
import { createPainter, type Film, filmFrames } from './paint/film.ts';
import { compose } from './paint/sound.ts';
import { AAC, imageCodec, X264 } from './plan.ts';

/** One painting: a film with sound, or a picture, which is a film of one frame. */
export interface PaintJob {
  ffmpeg: string;
  film: Film;
  name: string;
  output: string;
}

async function paint({ ffmpeg, film, name, output }: PaintJob): Promise<void> {
  const isFilm = name.endsWith('.mp4');
  const painter = createPainter(film);
  const size = `${film.width}x${film.height}`;
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', size, '-r', String(film.fps), '-i', 'pipe:0'];
  function* frames() {
    for (let n = 0; n < (isFilm ? filmFrames(film) : 1); n++) yield painter(n);
  }
  if (!isFilm) return runFfmpeg(ffmpeg, [...raw, ...imageCodec(name, 2), output], frames());
  const sound = `${output}.wav`;
  try {
    await writeFile(
      sound,
      compose(
        film.shots[0]!.seed,
        film.shots.map((shot) => shot.seconds),
      ),
    );
    const video = ['-vf', 'scale=640:360:flags=bicubic', ...X264, '-crf', '25'];
    const rest = ['-threads', '1', ...AAC, '-movflags', '+faststart'];
    await runFfmpeg(ffmpeg, [...raw, '-i', sound, ...video, ...rest, output], frames());
  } finally {
    await rm(sound, { force: true });
  }
}

for (const job of workerData as PaintJob[]) await paint(job);
parentPort?.postMessage('done');
