/** What the screenshots show: real media where the corpus is, else the seeds. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { CACHE, CORPUS } from '../support/corpus.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';
import { seedsHere } from '../support/seeds.ts';
import type { Stand } from './stand.ts';

interface Work {
  file: string;
  name?: string;
  title: string;
  holder: string;
}
interface Copy {
  file: string;
  account: string;
}
/** Works of two holders, the second of whom has everything reviewed, and what is uploaded. */
interface Content {
  works: Work[];
  copies: Copy[];
}

const REVIEWED = 'meridian';

/** Puts it all into a Vigil, and disputes one claim, so that there is something to answer. */
export async function fill(stand: Stand): Promise<void> {
  const { works, copies } = existsSync(CORPUS) ? await fromCorpus() : await fromSeeds();
  await stand.protect(works);
  await stand.call('POST', '/v1/policies', { holder: REVIEWED, policy: { onManifest: 'review' } });
  await stand.upload(copies);
  await disputeOne(stand);
}

async function fromSeeds(): Promise<Content> {
  const seeds = await seedsHere();
  const works = seeds.references.map(({ path: file, title, kind }, n) => ({
    ...{ file, title },
    holder: kind === 'image' && n % 2 === 0 ? REVIEWED : title === 'Paper Machines' ? REVIEWED : 'studio-a',
  }));
  return { works, copies: seeds.uploads.map(({ path: file }, n) => ({ file, account: `acc-${10 + (n % 6)}` })) };
}

async function fromCorpus(): Promise<Content> {
  const { ffmpeg, version } = await ffmpegHere();
  const at = (name: string) => path.join(CORPUS, name);
  const make = (name: string, from: string, before: string[], after: string[]): Promise<string> =>
    madeOnce(CACHE, [name, path.basename(from), before, after, version], path.extname(name), (file) =>
      run(ffmpeg, ['-nostdin', '-y', '-v', 'error', ...before, '-i', from, ...after, file]),
    );
  const h264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p'];
  const film = (name: string, from: string, start: number, seconds: number, filter: string) =>
    make(name, from, ['-ss', `${start}`, '-t', `${seconds}`], ['-an', '-vf', filter, ...h264]);
  const still = (name: string, from: string, filter: string) =>
    make(name, from, [], ['-vf', filter, '-frames:v', '1', '-q:v', '4']);
  const steel = at('videos/tears_of_steel_battle_clip.webm');
  const agent = await film('agent-327.mp4', at('videos/agent327_480p.mp4'), 40, 60, 'null');
  const [wave, bridge] = [at('images/art_starry-night.jpg'), at('images/variant_aaa-orig.jpg')];
  const works: Work[] = [
    { file: steel, title: 'Tears of Steel', holder: 'studio-a' },
    { file: wave, title: 'The Starry Night', holder: 'studio-a' },
    { file: agent, name: 'agent-327.mp4', title: 'Agent 327', holder: REVIEWED },
    { file: bridge, title: 'Bridge at Dusk', holder: REVIEWED },
  ];
  const files = await Promise.all([
    film('clip-01.mp4', agent, 8, 22, 'hflip,crop=iw*0.84:ih*0.84:iw*0.1:ih*0.06,setpts=PTS/1.06'),
    film('best-scene.mp4', steel, 12, 24, 'scale=-2:240'),
    film('VID_2041.mp4', steel, 30, 30, 'hflip'),
    film('the end.mp4', steel, 28, 20, 'pad=iw:ceil(iw*10/16/2)*2:0:(oh-ih)/2'),
    film('327 part 2.mp4', agent, 20, 18, 'pad=iw*1.25:ih*1.25:iw*0.125:ih*0.125:0x203040'),
    still('wallpaper.jpg', bridge, 'hflip,scale=720:-2'),
    still('poster.jpg', wave, 'pad=iw*1.3:ih*1.35:iw*0.15:ih*0.12:0x1b2a3a'),
  ]);
  const clean = ['images/art_kinkaku-ji.jpg', 'images/art_tubingen.jpg', 'videos/flower.mp4'].map(at);
  return { works, copies: [...files, ...clean].map((file, n) => ({ file, account: `acc-${17 + (n % 4)}` })) };
}

async function disputeOne(stand: Stand): Promise<void> {
  const { items } = await stand.call<{ items: { case: string; state: string }[] }>(
    'GET',
    '/v1/claims?state=taken-down',
  );
  const [first] = items;
  if (!first) return;
  const statement =
    'This is my review of the film. I show eighteen seconds of it, and talk over them about how the scene was lit.';
  await stand.call('POST', `/v1/cases/${first.case}/disputes`, {
    do: 'dispute',
    grounds: ['criticism-or-review'],
    statement,
  });
}
