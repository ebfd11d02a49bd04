/** Every view of the page, as somebody of each role sees it. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { watch } from './browser.ts';
import type { Role, Stand } from './stand.ts';

const SIZES = { phone: { width: 390, height: 844 }, wide: { width: 1440, height: 900 } } as const;
const TALLEST = 3200;

/** Takes pictures of them, light and dark, on a phone and on a wide screen. @param only parts of names; none: all */
export async function everyView(
  stand: Pick<Stand, 'url' | 'link'>,
  browser: Browser,
  folder: string,
  only: readonly string[],
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [size, viewport] of Object.entries(SIZES)) {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const role of ['nobody', 'reviewer', 'operator', 'holder'] as const) {
        const phone = size === 'phone' ? { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } : {};
        const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce', ...phone });
        const page = await context.newPage();
        const { complaints } = watch(page, stand.url);
        if (role !== 'nobody') {
          const about = role === 'holder' ? { holder: 'studio-a', name: 'Studio A' } : { name: 'Mara Lindqvist' };
          await page.goto(await stand.link(role, about));
          await page.getByRole('navigation', { name: 'Vigil' }).waitFor();
        }
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
  (where: string, list: string, which: RegExp = /./): View =>
  async (page, url) => {
    await page.goto(`${url}${where}`);
    await page.getByRole('list', { name: list }).getByRole('link').filter({ hasText: which }).first().click();
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
    work: first('/library', 'References', /film/),
    empty: at('/cases?state=closed'),
  },
  holder: {
    live: at('/live'),
    cases: at('/cases?state=contested'),
    case: first('/cases?state=contested', 'Cases'),
    library: at('/library'),
  },
};
