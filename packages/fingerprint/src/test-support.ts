/** For tests of this package alone: media made on the spot, the programs to read it, and eyes on what they do. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FALLBACK_FOLDER, type FfmpegLocation, findFfmpeg } from './ffmpeg-location.ts';

const run = promisify(execFile);

export interface Build extends FfmpegLocation {
  name: string;
}

/** The ffmpeg that the program would use and, where it is there too, the old build of the registry. */
export async function findBuilds(): Promise<Build[]> {
  const { PATH: path = '', VIGIL_FFMPEG: ffmpegPath, VIGIL_FFPROBE: ffprobePath } = process.env;
  const first = await findFfmpeg({ ffmpegPath, ffprobePath, path, allowOld: true });
  const fallbackFolder = process.env.VIGIL_FFMPEG_FALLBACK ?? FALLBACK_FOLDER;
  const old = first.old ? null : await findFfmpeg({ path: '', allowOld: true, fallbackFolder }).catch(() => null);
  return [first, ...(old ? [old] : [])].map((build) => ({
    ...build,
    name: `ffmpeg ${build.version.split(/[-( ]/)[0]}`,
  }));
}

export const CORPUS = process.env.VIGIL_CORPUS ?? fileURLToPath(new URL('../../../../shared/corpus/', import.meta.url));
export const hasCorpus = existsSync(join(CORPUS, 'MANIFEST.tsv'));
if (!hasCorpus && (process.env.VIGIL_REQUIRE ?? '').includes('corpus')) {
  throw new Error(`VIGIL_REQUIRE asks for the corpus, which is not at ${CORPUS}`);
}

export async function scratchFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'vigil-fingerprint-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Makes media with ffmpeg; `args` end with the path of the output. */
export async function make(build: FfmpegLocation, args: readonly string[]): Promise<Uint8Array> {
  await run(build.ffmpeg, ['-v', 'error', '-nostdin', '-y', ...args], {
    env: { GCONV_PATH: '/nonexistent' },
    timeout: 60_000,
  });
  return readFile(args.at(-1)!);
}

interface Process {
  pid: number;
  name: string;
  rssBytes: number;
}

const DECODERS = /^(ffmpeg|ffprobe|sh|env)$/;

/** Decoder processes of this one; each is its direct child, whichever thread started it. Linux only, elsewhere none. */
async function decoders(): Promise<Process[]> {
  const threads = await readdir('/proc/self/task').catch(() => []);
  const lists = await Promise.all(
    threads.map((id) => readFile(`/proc/self/task/${id}/children`, 'utf8').catch(() => '')),
  );
  const found = await Promise.all(lists.join(' ').split(/\s+/).filter(Boolean).map(look));
  return found.filter((process) => process !== null);
}

async function look(pid: string): Promise<Process | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const [, name = '', rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(stat) ?? [];
  const fields = rest.split(' ');
  if (!DECODERS.test(name) || fields[0] === 'Z') return null;
  return { pid: Number(pid), name, rssBytes: Number(fields[21]) * 4096 };
}

export async function decodersRunning(): Promise<string[]> {
  return (await decoders()).map(({ pid, name }) => `${name} ${pid}`);
}

/** Looks at the decoder processes' memory until it is disposed; `peak` is the most that they held together, in bytes. */
export function watchDecoders(): { readonly peak: number } & AsyncDisposable {
  let peak = 0;
  let on = true;
  const watching = (async () => {
    while (on) {
      const held = await decoders();
      const sum = held.reduce((bytes, { rssBytes }) => bytes + rssBytes, 0);
      peak = Math.max(peak, sum);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  })();
  return {
    get peak() {
      return peak;
    },
    async [Symbol.asyncDispose]() {
      on = false;
      await watching;
    },
  };
}

/** An address that must never be visited. */
export async function openTrap(): Promise<{ url: string; port: number; visits: string[] } & AsyncDisposable> {
  const visits: string[] = [];
  const server: Server = createServer((request, response) => {
    visits.push(request.url ?? '');
    response.writeHead(404).end();
  });
  server.on('connection', () => visits.push('connection'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    visits,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
