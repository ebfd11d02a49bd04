import { createReadStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPostgresEventLog } from '@vigil/event-log';
import type { ReferenceView, TraceView } from '@vigil/pipeline';
import { openPostgres } from '@vigil/runtime';
import type { VigilProcess } from '../support/vigil-process.ts';
import { type Answer, hearAnswers } from './answers.ts';
import type { Sample } from './latency-media.ts';

/** A running Vigil as a platform sees it: files go in, events come out of the log. */
export interface Platform {
  protect(files: readonly { name: string; path: string }[]): Promise<void>;
  /** Sends a file; resolves when it is stored and announced. */
  send(sample: Sample): Promise<string>;
  /** Sends a file and waits for its verdict, at most so long. */
  ask(sample: Sample, patienceMs: number): Promise<Answer>;
  /** What is known of uploads that were only sent. */
  verdicts(uploads: readonly string[]): number;
  trace(upload: string): Promise<TraceView | null>;
  [Symbol.asyncDispose](): Promise<void>;
}

export const DATABASE_CONNECTIONS = 3;

export async function openPlatform(vigil: VigilProcess): Promise<Platform> {
  const stack = new AsyncDisposableStack();
  const postgres = stack.use(openPostgres({ url: await vigil.databaseUrl(), max: 2, applicationName: 'bench' }));
  const log = stack.use(await openPostgresEventLog({ postgres }));
  const key = await vigil.authorization();
  const names = new Map<string, string>();
  const gone = vigil.ended.then((end) => {
    throw new Error(`vigil has ended: ${end.stdout.slice(-2000)}${end.stderr.slice(-2000)}`);
  });
  gone.catch(() => undefined);
  const answers = hearAnswers(log, names, gone);
  stack.use(answers);

  async function post<T>(route: string, file: string, name: string): Promise<T> {
    const response = await fetch(`${vigil.url}${route}?${new URLSearchParams({ name })}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', ...key },
      body: Readable.toWeb(createReadStream(file)) as ReadableStream,
      duplex: 'half',
    });
    if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  const send = async (sample: Sample) =>
    (await post<{ upload: string }>('/v1/uploads', sample.file, path.basename(sample.file))).upload;

  const running = stack.move();
  return {
    async protect(files) {
      for (const { name, path: file } of files) {
        const { reference } = await post<{ reference: { id: string } }>('/v1/references', file, name);
        names.set(reference.id, name);
      }
      for (;;) {
        const listed = await fetch(`${vigil.url}/v1/references?limit=200`, { headers: key });
        const { items: references } = (await listed.json()) as { items: ReferenceView[] };
        const live = references.filter((r) => names.has(r.id) && r.state === 'live').length;
        const refused = references.find((r) => r.state === 'rejected');
        if (refused) throw new Error(`${refused.title} was refused: ${refused.reason}`);
        if (live === files.length) return;
        await Promise.race([sleep(100), answers.failed]);
      }
    },
    send,
    ask: async (sample, patienceMs) => answers.await(await send(sample), sample, patienceMs),
    verdicts: answers.verdicts,
    async trace(upload) {
      const response = await fetch(`${vigil.url}/v1/uploads/${upload}/trace`, { headers: key });
      return response.ok ? ((await response.json()) as TraceView) : null;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** One after another. */
export async function oneAtATime(samples: readonly Sample[], ask: (sample: Sample) => Promise<Answer>) {
  const answers: Answer[] = [];
  for (const sample of samples) answers.push(await ask(sample));
  return answers;
}

/** Closed loop: so many are on their way at any time. Returns the answers and how many a second were answered. */
export async function closedLoop<T>(
  samples: readonly T[],
  inFlight: number,
  ask: (sample: T) => Promise<Answer>,
): Promise<{ answers: Answer[]; perSecond: number }> {
  const answers: Answer[] = [];
  const began = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < samples.length) answers.push(await ask(samples[next++]!));
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { answers, perSecond: samples.length / ((performance.now() - began) / 1000) };
}

/** Open loop: sent at seeded exponential gaps (a Poisson process), whether or not earlier ones are answered. */
export async function openLoop(
  samples: readonly Sample[],
  perSecond: number,
  random: () => number,
  ask: (sample: Sample) => Promise<Answer>,
): Promise<{ answers: Answer[]; perSecond: number }> {
  const answers: Promise<Answer>[] = [];
  const began = performance.now();
  let at = began;
  for (const sample of samples) {
    await sleep(Math.max(0, at - performance.now()));
    answers.push(ask(sample));
    at += (-Math.log(1 - random()) / perSecond) * 1000;
  }
  const sent = samples.length / ((performance.now() - began) / 1000);
  return { answers: await Promise.all(answers), perSecond: sent };
}
