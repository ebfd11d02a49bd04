/**
 * The page in a real browser, on one Vigil that everything here shares: what people do there, by mouse and by keyboard, what the rest
 * of Vigil does meanwhile, and what must never be seen: an error, a break of the page's own policy, a fault that axe finds.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { browserHere, openBrowser, watch } from '../browser/browser.ts';
import { openStand, type Role, type Stand } from '../browser/stand.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { describeWith } from '../support/require.ts';
import { seedsHere } from '../support/seeds.ts';
import { openTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const FIRST_VIEW_BYTES = 150_000;
const program = browserHere();
const ffmpeg = await ffmpegHere().catch(() => null);
const here = program !== null && ffmpeg !== null && !ffmpeg.warning;

describeWith('browser', here, 'the page', () => {
  let seeds: SeedSet;
  let stand: Stand;
  let line: TcpProxy;
  let browser: Browser;
  let axe: string;
  /** By a line of its own, which a test can cut. */
  let origin: string;
  const opened: { context: BrowserContext; complaints: string[] }[] = [];

  beforeAll(async () => {
    seeds = await seedsHere();
    axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    [stand, browser] = await Promise.all([openStand(), openBrowser(program!)]);
    const { hostname: host, port } = new URL(stand.url);
    line = await openTcpProxy({ host, port: Number(port) });
    origin = `http://127.0.0.1:${line.port}`;
    await stand.protect([
      { file: pathOf('picture-harbour-light.jpg'), title: 'Harbour Light', holder: 'paper-house' },
      { file: pathOf('picture-morning-ridge.png'), title: 'Morning Ridge', holder: 'paper-house' },
      { file: pathOf('picture-night-village.png'), title: 'Night Village', holder: 'paper-house' },
      { file: pathOf('picture-shoal.jpg'), title: 'Shoal', holder: 'paper-house' },
    ]);
    await stand.call('POST', '/v1/policies', { holder: 'paper-house', policy: { onManifest: 'review' } });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await line?.[Symbol.asyncDispose]();
    await stand?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    for (const { context } of opened) await context.close();
    expect(opened.splice(0).flatMap(({ complaints }) => complaints)).toEqual([]);
  });

  const pathOf = (name: string) => [...seeds.references, ...seeds.uploads].find((s) => s.name === name)!.path;

  /** A browser of somebody's own, signed in by a link. */
  async function signedIn(role: Role, about: { holder?: string; name?: string } = {}, options = {}): Promise<Page> {
    const page = await stranger(options);
    const link = new URL(await stand.link(role, about));
    await page.goto(`${origin}${link.pathname}${link.hash}`);
    await page.getByRole('navigation', { name: 'Vigil' }).waitFor();
    return page;
  }
  async function stranger(options = {}): Promise<Page> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    opened.push({ context, ...watch(page, origin) });
    return page;
  }
  const go = (page: Page, name: string) =>
    page.getByRole('navigation', { name: 'Vigil' }).getByRole('link', { name }).click();

  /** What axe finds, in words; it is run from outside, past the policy of the page. */
  async function faults(page: Page): Promise<string[]> {
    await page.evaluate(axe);
    const { violations: found } = await page.evaluate<{ violations: Violation[] }>('axe.run()');
    return found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((n) => n.html.slice(0, 160)).join(' | ')}`);
  }
  interface Violation {
    id: string;
    help: string;
    nodes: { html: string }[];
  }

  test('lets in by a key and by a link that works once, and shows who nobody is', async () => {
    const page = await stranger();
    await page.goto(`${origin}/cases`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(await faults(page)).toEqual([]);
    const { secret } = await stand.call<{ secret: string }>('POST', '/v1/keys', { role: 'reviewer', name: 'Ada' });
    await page.getByLabel('Key').fill(secret);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Cases', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();

    const link = new URL(await stand.link('operator'));
    await page.goto(`${origin}${link.pathname}${link.hash}`);
    await page.getByRole('navigation', { name: 'Vigil' }).waitFor();
    expect(page.url()).not.toContain('#');
    await page.reload();
    await page.getByRole('navigation', { name: 'Vigil' }).waitFor();
  });

  test('a link is for whom it is for: in a page that waits for one, and in place of somebody who is signed in', async () => {
    const page = await stranger();
    await page.goto(`${origin}/sign-in`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    for (const name of ['Rae', 'Olu']) {
      const link = new URL(await stand.link('reviewer', { name }));
      // From the first page this changes the part behind the # alone.
      await page.goto(`${origin}${link.pathname}${link.hash}`);
      await page.getByRole('banner').getByText(name).waitFor();
      expect(page.url()).not.toContain('#');
    }
  });

  test('begins with less than 150 kB over the line, from one host', async () => {
    const page = await stranger();
    const bodies: Promise<Buffer>[] = [];
    page.on('response', (response) => bodies.push(response.body().catch(() => Buffer.alloc(0))));
    await page.goto(`${origin}/`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    const sizes = (await Promise.all(bodies)).map((body) => brotliCompressSync(body).length);
    expect(sizes.length).toBeGreaterThan(2);
    expect(sizes.reduce((a, b) => a + b)).toBeLessThan(FIRST_VIEW_BYTES);
    const { headers } = await fetch(`${stand.url}/`, { headers: { accept: 'text/html' } });
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*|data:|blob:/);
  });

  test('a work is dropped in, a copy of it is found, disputed and released, and the media are back', async () => {
    const holder = await signedIn('holder', { holder: 'studio-a', name: 'studio-a' });
    await go(holder, 'Library');
    await holder.getByText('Nothing is protected yet').waitFor();
    expect(await faults(holder)).toEqual([]);
    await drop(holder, pathOf('lantern-valley.mp4'));
    await holder.getByRole('progressbar', { name: 'lantern-valley.mp4' }).waitFor();
    const row = holder.getByRole('list', { name: 'References' }).getByRole('link', { name: /lantern-valley/ });
    await row.getByText('Live', { exact: true }).waitFor({ timeout: 60_000 });

    await go(holder, 'Cases');
    await holder.getByText('No cases yet').waitFor();
    const [upload] = await stand.upload([{ file: pathOf('piece-mirrored.mp4'), account: 'acc-17' }]);
    const caseRow = holder.getByRole('list', { name: 'Cases' }).getByRole('link', { name: /lantern-valley/ });
    await caseRow.getByText('Taken down').waitFor();
    await caseRow.click();
    await holder.getByText('Media disabled').waitFor();
    await holder.getByText('mirrored', { exact: true }).waitFor();
    await holder.getByRole('list', { name: 'Cases' }).waitFor({ state: 'detached' });
    expect(await faults(holder)).toEqual([]);

    const operator = await signedIn('operator');
    await operator.goto(`${origin}${new URL(holder.url()).pathname}`);
    await operator.getByText('Speak for the uploader').click();
    await operator.getByRole('button', { name: 'Dispute' }).click();
    await operator.getByLabel('There is a licence').check();
    await operator.getByLabel('In words').fill('We asked, and they said yes.');
    await operator.locator('form').getByRole('button', { name: 'Dispute' }).click();

    await holder.getByText('We asked, and they said yes.').waitFor();
    await holder.getByRole('button', { name: 'Release: restore the media' }).click();
    await holder.locator('form').getByRole('button', { name: 'Release: restore the media' }).click();
    await holder.getByText('Media shown').waitFor();
    await holder.getByText('The media were restored: sent to the platform').waitFor();
    const { items } = await stand.call<{ items: { action: string }[] }>('GET', `/v1/uploads/${upload}/actions`);
    expect(items.map(({ action }) => action)).toEqual(['takedown', 'restore']);

    await go(holder, 'Library');
    await row.getByText('in 1 upload').waitFor();
    await row.click();
    await holder.getByRole('img', { name: /Matched by 1 upload, most often around/ }).waitFor();
    expect(await faults(holder)).toEqual([]);
  });

  test('the queue is decided by keyboard alone, nobody gets the same item, and a decision is taken back', async () => {
    // As many as two people hold at most, so that each has a next one.
    const copies = ['copy-small.jpg', 'copy-mirrored.jpg', 'copy-turned.jpg', 'copy-inverted.png'];
    await stand.upload(copies.map((name, n) => ({ file: pathOf(name), account: `acc-${n}` })));
    const [ada, ben] = await Promise.all([
      signedIn('reviewer', { name: 'Ada' }),
      signedIn('reviewer', { name: 'Ben' }),
    ]);
    const itemOf = (page: Page) =>
      page.getByRole('region', { name: 'The item' }).getByRole('link', { name: 'its case' }).getAttribute('href');
    const shown = await Promise.all([itemOf(ada), itemOf(ben)]);
    expect(shown[0]).not.toBe(shown[1]);
    expect(await faults(ada)).toEqual([]);

    await ada.keyboard.press('t');
    await ada.getByRole('region', { name: 'Decide' }).getByText('Take it down?').waitFor();
    await ada.keyboard.press('Enter');
    await ada
      .getByText(/Taken down: /)
      .first()
      .waitFor();
    await ada.getByRole('link', { name: 'its case' }).waitFor();
    expect(await itemOf(ada)).not.toBe(shown[0]);
    await ada.keyboard.press('u');
    await ada
      .getByText(/Open again: /)
      .first()
      .waitFor();
    expect(await itemOf(ada)).toBe(shown[0]);
    await ada.keyboard.press('d');
    await ada.keyboard.press('Enter');
    await ada
      .getByText(/Dismissed: /)
      .first()
      .waitFor();
    await ada.keyboard.press('?');
    await ada.getByRole('dialog', { name: 'Keys' }).waitFor();
    expect(await faults(ada)).toEqual([]);
    await ada.keyboard.press('Escape');

    await ada.keyboard.press('g');
    await ada.keyboard.press('v');
    await ada.getByRole('heading', { name: 'Live', exact: true }).waitFor();
    await ada.getByText('Uploads a minute').waitFor();
    expect(await faults(ada)).toEqual([]);
  });

  test('a line that is cut is said, and heals by itself', async () => {
    const page = await signedIn('operator');
    await go(page, 'Live');
    await page.getByText('Uploads a minute').waitFor();
    line.set({ kind: 'cut' });
    await page.getByText('The connection was lost').first().waitFor();
    line.set({ kind: 'none' });
    await page.getByText('The connection was lost').first().waitFor({ state: 'detached' });
    await stand.upload([{ file: pathOf('clean-picture-window.jpg'), account: 'acc-9' }]);
    await page.getByRole('list', { name: 'Newest first' }).getByText('Cleared').waitFor();
    const mine = opened.at(-1)!;
    // The browser itself says that the line was cut; nothing else may be said.
    mine.complaints = mine.complaints.filter((text) => !/ERR_(CONNECTION|EMPTY|INCOMPLETE|SOCKET)|net::/.test(text));
  });

  test('draws of a hundred thousand cases only what is in sight', async () => {
    const page = await signedIn('operator');
    const all = 100_000;
    await page.route(/\/v1\/cases\?/, async (route) => {
      const query = new URL(route.request().url()).searchParams;
      const [from, limit] = [Number(query.get('cursor') ?? 0), Number(query.get('limit'))];
      const items = Array.from({ length: Math.min(limit, all - from) }, (_, n) => ({
        ...{ id: `case_${from + n}`, title: `Work ${from + n}`, work: 'w', holder: 'studio-a', account: 'acc' },
        ...{ openedAt: 1, changedAt: 1, state: 'closed', claims: 1, answerBy: null },
      }));
      await route.fulfill({ json: { items, next: from + limit < all ? `${from + limit}` : null } });
    });
    await go(page, 'Cases');
    const rows = page.getByRole('list', { name: 'Cases' }).getByRole('listitem');
    await rows.filter({ hasText: 'Work 0' }).first().waitFor();
    for (const wanted of [300, 900, 2500]) {
      const seen = async () => {
        await page.evaluate("document.querySelector('main').scrollTo(0, 1e9)");
        return (await rows.last().textContent())?.match(/Work (\d+)/)?.[1] ?? '0';
      };
      await expect.poll(async () => Number(await seen()), { timeout: 20_000, interval: 30 }).toBeGreaterThan(wanted);
      expect(await rows.count()).toBeLessThan(80);
    }
  });

  test('a case of many claims and a long history says that there is more, and shows it', async () => {
    const page = await signedIn('operator');
    const about = { id: 'case_long', title: 'A Long Film', work: 'w', holder: 'studio-a', account: 'acc' };
    const claim = (n: number) => ({
      ...{ id: `claim_${n}`, case: about.id, upload: `up_${n}`, reference: null, version: null, notice: 'n' },
      ...{ ground: '512c3-notice', territories: ['*'], state: 'withdrawn', action: null, evidence: null, why: [] },
      ...{ openedAt: n, changedAt: n, takenDownAt: null, answerBy: null, putBack: null, dispute: null, appeal: null },
      ...{ counterNotice: null, complaint: null, ended: null, statement: null, allowed: [] },
    });
    const link = (seq: number) => ({
      ...{ case: about.id, seq, at: seq, kind: seq === 1 ? 'opened' : 'withdraw', claim: null, data: {} },
      by: { role: 'holder', id: seq === 3 ? 'the-last' : null },
    });
    // What its claims show beside is not what this is about: it is never answered.
    await page.route(/\/v1\/(uploads|claims)\/[^?]/, () => undefined);
    await page.route(/\/v1\/claims\?/, (route) => {
      expect(new URL(route.request().url()).searchParams.get('cursor')).toBe('2_claim_2');
      return route.fulfill({ json: { items: [claim(1)], next: null } });
    });
    await page.route(/\/v1\/cases\/case_long$/, (route) =>
      route.fulfill({
        json: {
          ...{ ...about, openedAt: 1, changedAt: 3, state: 'closed', answerBy: null, papers: [] },
          ...{ claims: [claim(2), claim(3)], claimCount: 3, moreClaims: '2_claim_2' },
        },
      }),
    );
    await page.route(/\/v1\/cases\/case_long\/events/, (route) => {
      const isNext = new URL(route.request().url()).searchParams.get('cursor') === '2_case_long';
      return route.fulfill({
        json: isNext ? { items: [link(3)], next: null } : { items: [link(1), link(2)], next: '2_case_long' },
      });
    });
    await page.goto(`${origin}/cases/case_long`);
    await page.getByText('1 earlier claim not shown').waitFor();
    await page.getByText('first 2 steps').waitFor();
    expect(await faults(page)).toEqual([]);
    await page.getByRole('button', { name: 'Show earlier claims' }).click();
    await page.getByText('1 earlier claim not shown').waitFor({ state: 'detached' });
    const shown = await page.locator('.facts dd.mono').allTextContents();
    expect(shown).toEqual(['up_1', 'up_2', 'up_3']);
    await page.getByRole('button', { name: 'Show later steps' }).click();
    await page.getByText(/the-last/).waitFor();
    await page.getByText('3 steps', { exact: true }).waitFor();
    expect(await page.getByRole('button', { name: 'Show later steps' }).count()).toBe(0);
  });

  test('fits a phone, in the dark, without a fault', async () => {
    const phone = {
      viewport: { width: 390, height: 844 },
      colorScheme: 'dark',
      reducedMotion: 'reduce',
      hasTouch: true,
    };
    const page = await signedIn('operator', {}, phone);
    for (const name of ['Live', 'Library', 'Cases', 'Review']) {
      await go(page, name);
      await page.getByRole('heading', { level: 1 }).waitFor();
      await page.waitForLoadState('networkidle').catch(() => undefined);
      const spare = await page.evaluate<number>("innerWidth - document.querySelector('main').scrollWidth");
      expect({ name, fits: spare >= 0 }).toEqual({ name, fits: true });
      expect({ name, faults: await faults(page) }).toEqual({ name, faults: [] });
    }
  });
});

/** As a person drops it: the page gets the drag, then the drop with the file. */
async function drop(page: Page, file: string): Promise<void> {
  const bytes = (await readFile(file)).toString('base64');
  const made = JSON.stringify({ bytes, name: path.basename(file) });
  const transfer = await page.evaluateHandle(`(({ bytes, name }) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type: 'video/mp4' }));
    return data;
  })(${made})`);
  const zone = page.getByRole('region', { name: 'Add references' });
  await zone.dispatchEvent('dragover', { dataTransfer: transfer });
  await zone.dispatchEvent('drop', { dataTransfer: transfer });
}
