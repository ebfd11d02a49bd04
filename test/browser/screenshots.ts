/**
 * `npm run screenshots -- FOLDER`: every view of the page with something in it, at 390 and 1440 px, light and dark, to be looked at. With
 * the corpus where it is there, else with the seeds. Nothing of it is kept in the repository.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { CORPUS } from '../support/corpus.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { seedsHere } from '../support/seeds.ts';
import { browserHere, openBrowser, watch } from './browser.ts';
import { openStand, type Role, type Stand } from './stand.ts';

interface Work {
  file: string;
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
const SIZES = { phone: { width: 390, height: 844 }, wide: { width: 1440, height: 900 } } as const;
const TALLEST = 3200;

const program = browserHere();
if (!program) throw new Error('there is no browser: install Chromium, or name one with VIGIL_CHROMIUM');
const [folder = 'screenshots', ...only] = process.argv.slice(2);
await mkdir(folder, { recursive: true });
const work = await mkdtemp(path.join(tmpdir(), 'vigil-screenshots-'));
try {
  const content = existsSync(CORPUS) ? await fromCorpus(work) : await fromSeeds();
  await using stand = await openStand();
  await stand.protect(content.works);
  await stand.call('POST', '/v1/policies', { holder: REVIEWED, policy: { onManifest: 'review' } });
  await stand.upload(content.copies);
  await disputeOne(stand);
  const browser = await openBrowser(program);
  try {
    await everyView(stand, browser);
  } finally {
    await browser.close();
  }
} finally {
  await rm(work, { recursive: true, force: true });
}

async function fromSeeds(): Promise<Content> {
  const seeds = await seedsHere();
  const works = seeds.references.map(({ path: file, title, kind }, n) => ({
    ...{ file, title },
    holder: kind === 'image' && n % 2 === 0 ? REVIEWED : title === 'Paper Machines' ? REVIEWED : 'studio-a',
  }));
  return { works, copies: seeds.uploads.map(({ path: file }, n) => ({ file, account: `acc-${10 + (n % 6)}` })) };
}

async function fromCorpus(out: string): Promise<Content> {
  const { ffmpeg } = await ffmpegHere();
  const at = (name: string) => path.join(CORPUS, name);
  const make = async (name: string, from: string, ...args: string[]): Promise<string> => {
    const file = path.join(out, name);
    await run(ffmpeg, [
      '-nostdin',
      '-y',
      '-v',
      'error',
      ...args.slice(0, args.indexOf('-i')),
      '-i',
      from,
      ...args.slice(args.indexOf('-i') + 1),
      file,
    ]);
    return file;
  };
  const h264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p'];
  const film = (name: string, from: string, start: number, seconds: number, filter: string, codec = h264) =>
    make(name, from, '-ss', `${start}`, '-t', `${seconds}`, '-i', '-an', '-vf', filter, ...codec);
  const still = (name: string, from: string, filter: string) =>
    make(name, from, '-i', '-vf', filter, '-frames:v', '1', '-q:v', '4');
  const steel = at('videos/tears_of_steel_battle_clip.webm');
  const agent = await film('agent-327.mp4', at('videos/agent327_480p.mp4'), 40, 60, 'null');
  const [wave, bridge] = [at('images/art_starry-night.jpg'), at('images/variant_aaa-orig.jpg')];
  const works: Work[] = [
    { file: steel, title: 'Tears of Steel', holder: 'studio-a' },
    { file: wave, title: 'The Starry Night', holder: 'studio-a' },
    { file: agent, title: 'Agent 327', holder: REVIEWED },
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

/** So that there is something to answer. */
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

async function everyView(stand: Stand, browser: Browser): Promise<void> {
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const role of ['nobody', 'reviewer', 'operator', 'holder'] as const) {
        const phone = size === 'phone' ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {};
        const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce', ...phone });
        const page = await context.newPage();
        const { complaints } = watch(page, stand.url);
        if (role !== 'nobody')
          await page.goto(
            await stand.link(
              role as Role,
              role === 'holder' ? { holder: 'studio-a', name: 'Studio A' } : { name: 'Mara Lindqvist' },
            ),
          );
        for (const [name, show] of Object.entries(VIEWS[role])) {
          if (only.length > 0 && !only.some((wanted) => `${role}-${name}`.includes(wanted))) continue;
          await show(page, stand.url);
          await page.waitForTimeout(900);
          await shoot(page, path.join(folder, `${role}-${name}-${size}-${colorScheme}.png`), viewport);
        }
        for (const text of complaints) process.stdout.write(`${role}, ${size}, ${colorScheme}: ${text}\n`);
        await context.close();
      }
    }
  }
}

/** The whole of a view, as if the window were as tall as it is. */
async function shoot(page: Page, file: string, { width, height }: { width: number; height: number }): Promise<void> {
  const tall = await page.evaluate<number>(
    "Math.ceil((document.querySelector('main .page')?.scrollHeight ?? 0) + innerHeight - (document.querySelector('main')?.clientHeight ?? innerHeight))",
  );
  await page.setViewportSize({ width, height: Math.min(TALLEST, Math.max(height, tall)) });
  await page.waitForTimeout(250);
  await page.screenshot({ path: file });
  await page.setViewportSize({ width, height });
  process.stdout.write(`${file}\n`);
}

type View = (page: Page, url: string) => Promise<unknown>;
const at =
  (where: string): View =>
  async (page, url) => {
    await page.goto(`${url}${where}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
  };
const first =
  (where: string, list: string): View =>
  async (page, url) => {
    await page.goto(`${url}${where}`);
    await page.getByRole('list', { name: list }).getByRole('link').first().click();
    await page
      .getByRole('link', { name: /Cases|Library/ })
      .last()
      .waitFor();
  };

const VIEWS: Record<'nobody' | Role, Record<string, View>> = {
  nobody: { 'sign-in': at('/sign-in') },
  reviewer: {
    review: async (page, url) => {
      await at('/review')(page, url);
      await page.getByRole('link', { name: 'its case' }).waitFor();
      for (let n = 0; n < 4 && (await page.locator('video').count()) === 0; n++) {
        await page.keyboard.press('s');
        await page.keyboard.press('1');
        await page.waitForTimeout(700);
      }
    },
    armed: async (page) => page.keyboard.press('t'),
    queue: at('/review/queue'),
    keys: async (page, url) => {
      await at('/cases')(page, url);
      await page.keyboard.press('?');
    },
  },
  operator: {
    live: at('/live'),
    cases: at('/cases'),
    case: first('/cases?state=taken-down', 'Cases'),
    library: at('/library'),
    work: first('/library', 'References'),
    empty: at('/cases?state=closed'),
  },
  holder: {
    live: at('/live'),
    cases: at('/cases?state=contested'),
    case: first('/cases?state=contested', 'Cases'),
    library: at('/library'),
  },
};
