import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** The browser that set-up found: VIGIL_CHROMIUM, or one on the path. Null: there is none. */
export function browserHere(): string | null {
  const named = process.env.VIGIL_CHROMIUM;
  if (named) return named;
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((p) => existsSync(p)) ?? null;
}

/** Without its sandbox, which containers and root do not have: it sees nothing but our own page. */
export const openBrowser = (program: string): Promise<Browser> =>
  chromium.launch({
    executablePath: program,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--force-color-profile=srgb',
      '--font-render-hinting=none',
    ],
  });

/** What a page must never do: complain, break its own policy, or ask another host. */
export interface Watched {
  complaints: string[];
}

export function watch(page: Page, origin: string): Watched {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning')
      complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('request', (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (/^https?:$/.test(protocol) && asked !== origin) complaints.push(`asked ${request.url()}`);
  });
  return { complaints };
}
