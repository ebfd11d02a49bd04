import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runFfmpeg } from '../../seeds/ffmpeg.ts';
import type { SeedSet } from '../../seeds/generate.ts';
import { imageCodec, X264 } from '../../seeds/plan.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';
import { seedsHere } from '../support/seeds.ts';

/** What there is to send: files made from the seeds, with what must be said of each. */
export interface Medium {
  name: string;
  file: string;
  /** `film`: several slices. `odd`: nothing to be judged in it. */
  kind: 'image' | 'clip' | 'film' | 'odd';
  /** Any of these is right. */
  verdicts: readonly string[];
  /** Name of the work that it is a copy of. */
  copyOf: string | null;
}

/** The work that is registered last, when its copies have been cleared already. */
export const LATE_WORK = 'picture-shoal.jpg';

const CACHE = fileURLToPath(new URL('../../.vigil/cache/fault', import.meta.url));
/** So few keyframes that slices have to be read densely, which takes a while: long enough to be killed in. */
const SLOW = ['-g', '1000', '-sc_threshold', '0'];
const VIEWS = {
  small: 'scale=400:-2',
  mirrored: 'hflip,scale=480:-2',
  bordered: 'scale=600:-2,pad=760:iw:80:60:0x305068',
  turned: 'transpose=clock,scale=360:-2',
  inverted: 'negate,scale=440:-2',
};

/** Some ninety small files, made once and kept. */
export async function faultMedia(): Promise<{ works: SeedSet['references']; media: Medium[] }> {
  const seeds = await seedsHere();
  const { ffmpeg, version } = await ffmpegHere();
  const fileOf = (name: string) => [...seeds.references, ...seeds.uploads].find((s) => s.name === name)!.path;
  const media: Medium[] = [];

  async function add(about: Omit<Medium, 'file' | 'verdicts'>, args: readonly string[]): Promise<void> {
    const recipe = [seeds.version, version, about.name, args.map((a) => path.basename(a))];
    const make = (file: string) => runFfmpeg(ffmpeg, [...args, '-threads', '1', file]);
    const file = await madeOnce(CACHE, recipe, `-${about.name}`, make);
    media.push({ ...about, file, verdicts: [about.copyOf ? 'taken-down' : 'cleared'] });
  }
  const still = (name: string, copyOf: string | null, from: string, filter: string, at = 0) =>
    add({ name, kind: 'image', copyOf }, [
      ...(at > 0 ? ['-ss', String(at)] : []),
      ...['-i', fileOf(from), '-vf', filter, ...imageCodec(name, 5)],
    ]);
  const encode = (filter: string) => ['-an', '-vf', filter, ...X264, '-crf', '28'];
  const clip = (name: string, copyOf: string | null, from: string, start: number, filter = 'scale=426:240') =>
    add({ name, kind: 'clip', copyOf }, ['-ss', String(start), '-t', '8', '-i', fileOf(from), ...encode(filter)]);

  for (const work of seeds.references.filter((r) => r.kind === 'image')) {
    for (const [how, filter] of Object.entries(VIEWS))
      await still(`${path.parse(work.name).name}-${how}.jpg`, work.name, work.name, filter);
  }
  for (const [film, seconds] of [
    ['other-valley.mp4', 16],
    ['glass-works.mp4', 13],
  ] as const) {
    for (let at = 1; at < seconds - 1; at += 1)
      await still(`${path.parse(film).name}-${at}.jpg`, null, film, 'null', at);
    await clip(`${path.parse(film).name}-piece.mp4`, null, film, 2.3);
    await clip(`${path.parse(film).name}-mirrored.mp4`, null, film, 3.7, 'hflip,scale=426:240');
  }
  for (const start of [6.3, 22.7, 41.4, 58.9])
    await clip(`lantern-${start}.mp4`, 'lantern-valley.mp4', 'lantern-valley.mp4', start);
  for (const start of [3.1, 20.6])
    await clip(`machines-${start}.mp4`, 'paper-machines.mp4', 'paper-machines.mp4', start, 'hflip,scale=426:240');
  await add({ name: 'whole-valley.mp4', kind: 'film', copyOf: 'lantern-valley.mp4' }, [
    ...['-i', fileOf('lantern-valley.mp4'), ...encode('null'), ...SLOW],
  ]);
  const joined = '[0:v][1:v][2:v][3:v]concat=n=4[v]';
  const parts = ['other-valley.mp4', 'glass-works.mp4', 'other-valley.mp4', 'glass-works.mp4'];
  await add({ name: 'long-nothing.mp4', kind: 'film', copyOf: null }, [
    ...parts.flatMap((name) => ['-i', fileOf(name)]),
    ...['-filter_complex', joined, '-map', '[v]', ...X264, '-crf', '28', ...SLOW],
  ]);
  for (const upload of seeds.uploads) {
    if (upload.kind === 'other' || upload.name === 'clean-credits.png')
      media.push({
        name: upload.name,
        file: upload.path,
        kind: 'odd',
        verdicts: [upload.expect.verdict, ...(upload.expect.or ?? [])],
        copyOf: null,
      });
  }
  return { works: seeds.references, media };
}
