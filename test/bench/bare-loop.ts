/**
 * A process that does the bare work of the pipeline and nothing else, with no log, store or database: it fingerprints files, or
 * judges them against references as well. Told what to read by messages, so that it stays as warm as the fleet that it stands beside.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Policy, sliceCount, sliceSpan } from '@vigil/contracts';
import type { Fingerprinter } from '@vigil/fingerprint';
import { createFileMatcher, type NamedFile, openMatcherParts } from '@vigil/pipeline';

/** fingerprint: what decodes, and no more. judge: the whole of the engine, that is search, confirmation and judgement too. */
export type BareWork = 'fingerprint' | 'judge';
interface Round {
  files: string[];
  atOnce: number;
  work: BareWork;
}
type Reply = { seconds: number } | { error: string };

export interface BareLoop {
  pid: number;
  /** Wall seconds that it took. */
  run(files: string[], atOnce: number, work: BareWork): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

const HERE = fileURLToPath(import.meta.url);

export async function startBareLoop(threads: number, references: readonly NamedFile[]): Promise<BareLoop> {
  const child = fork(HERE, [String(threads), JSON.stringify(references)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = once(child, 'exit');
  const reply = async () => {
    const [answer] = (await Promise.race([once(child, 'message'), ended.then(() => [{ error: 'it ended' }])])) as [
      Reply,
    ];
    if ('error' in answer) throw new Error(`the bare loop: ${answer.error}`);
    return answer.seconds;
  };
  await reply();
  return {
    pid: child.pid!,
    run(files, atOnce, work) {
      const answer = reply();
      child.send({ files, atOnce, work } satisfies Round);
      return answer;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function fingerprintFile(fingerprinter: Fingerprinter, file: string): Promise<void> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  const read = async (start: number, end: number) => {
    const bytes = new Uint8Array(Math.min(end, size) - start);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    return [bytes.subarray(0, bytesRead)];
  };
  const source = { size, read };
  const looked = await fingerprinter.probe(source);
  if (looked.status === 'rejected') throw new Error(`${file}: ${looked.detail}`);
  const { probe } = looked;
  const slices = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
  for (let n = 0; n < slices; n++) {
    const span = probe.kind === 'image' ? ([0, 0] as [number, number]) : sliceSpan(n, probe.duration);
    await fingerprinter.fingerprint(source, { probe, span, purpose: 'upload' });
  }
}

if (process.argv[1] === HERE) {
  const [, , threads, references] = process.argv;
  const warn = (line: string) => void process.stderr.write(`${line}\n`);
  const parts = await openMatcherParts({ threads: Number(threads), env: process.env, warn });
  const matcher = createFileMatcher({ ...parts, policy: Policy.parse({}) });
  for (const reference of JSON.parse(references!) as NamedFile[]) await matcher.learn(reference);
  const works: Record<BareWork, (file: string) => Promise<unknown>> = {
    fingerprint: (file) => fingerprintFile(parts.fingerprinter, file),
    judge: (file) => matcher.judge({ name: file, file }),
  };
  const say = (reply: Reply) => void process.send!(reply);
  process.on('message', async ({ files, atOnce, work }: Round) => {
    const began = performance.now();
    let next = 0;
    const lane = async () => {
      while (next < files.length) await works[work](files[next++]!);
    };
    try {
      await Promise.all(Array.from({ length: atOnce }, lane));
      say({ seconds: (performance.now() - began) / 1000 });
    } catch (error) {
      say({ error: String(error) });
    }
  });
  say({ seconds: 0 });
}
