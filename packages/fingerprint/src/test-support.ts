/** For tests of this package alone: media made on the spot, the programs to read it, and eyes on what they do. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { FALLBACK_FOLDER, type FfmpegLocation, findFfmpeg } from './ffmpeg-location.ts';
import type { MediaSource } from './media-source.ts';

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

export function bytesSource(bytes: Uint8Array): MediaSource {
  return { size: bytes.length, read: async (start, end) => bytes.slice(start, end) };
}

export async function fileSource(path: string): Promise<MediaSource & AsyncDisposable> {
  const file = await open(path);
  const { size } = await file.stat();
  return {
    size,
    async read(start, end) {
      const length = Math.max(0, Math.min(end, size) - start);
      const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, start);
      return buffer.subarray(0, bytesRead);
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

export async function scratchFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'vigil-fingerprint-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Makes media with ffmpeg; `args` end with the path of the output. */
export async function make(build: FfmpegLocation, args: readonly string[]): Promise<Uint8Array> {
  await run(build.ffmpeg, ['-v', 'error', '-nostdin', '-y', ...args], { env: { GCONV_PATH: '/nonexistent' } });
  return readFile(args.at(-1)!);
}

/** Processes below this one, by name; Linux only, elsewhere none. */
export async function descendants(): Promise<{ pid: number; name: string; rssBytes: number }[]> {
  if (!existsSync('/proc/self/stat')) return [];
  const all = await Promise.all(
    (await readdir('/proc'))
      .filter((entry) => /^\d+$/.test(entry))
      .map(async (entry) => {
        const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
        const fields = /^(\d+) \((.*)\) (.*)$/s.exec(stat);
        const rest = fields?.[3]?.split(' ') ?? [];
        return {
          pid: Number(entry),
          name: fields?.[2] ?? '',
          state: rest[0] ?? 'Z',
          parent: Number(rest[1]),
          rssBytes: Number(rest[21]) * 4096,
        };
      }),
  );
  const below = new Set([process.pid]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { pid, parent } of all) {
      if (below.has(parent) && !below.has(pid)) grown = !!below.add(pid);
    }
  }
  return all.filter(({ pid, state }) => below.has(pid) && pid !== process.pid && state !== 'Z');
}

const DECODERS = /^(ffmpeg|ffprobe|sh|env)$/;

export async function decodersRunning(): Promise<string[]> {
  return (await descendants()).filter(({ name }) => DECODERS.test(name)).map(({ pid, name }) => `${name} ${pid}`);
}

/** Looks at the decoder processes' memory until it is disposed; `peak` is the most that they held together, in bytes. */
export function watchDecoders(): { readonly peak: number } & AsyncDisposable {
  let peak = 0;
  let on = true;
  const watching = (async () => {
    while (on) {
      const held = (await descendants()).filter(({ name }) => DECODERS.test(name));
      peak = Math.max(
        peak,
        held.reduce((sum, { rssBytes }) => sum + rssBytes, 0),
      );
      await new Promise((resolve) => setTimeout(resolve, 10));
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
