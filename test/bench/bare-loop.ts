/**
 * A process that does the bare work of the pipeline and nothing else: it looks at files and fingerprints them, with no
 * log, store or database. Told what to read by messages, so that it stays as warm as the fleet that it stands beside.
 */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { sliceCount, sliceSpan } from '@vigil/contracts';
import { type Fingerprinter, openFingerprinter } from '@vigil/fingerprint';
import { ffmpegHere } from '../support/ffmpeg.ts';

/** `again`: read once more, closely, as the pipeline does with a video of which something was found. */
export interface BareFile {
  file: string;
  again: boolean;
}
interface Round {
  files: BareFile[];
  atOnce: number;
}
type Reply = { seconds: number } | { error: string };

export interface BareLoop {
  pid: number;
  /** Wall seconds that it took. */
  run(files: BareFile[], atOnce: number): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

const HERE = fileURLToPath(import.meta.url);

export async function startBareLoop(threads: number): Promise<BareLoop> {
  const child = fork(HERE, [String(threads)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
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
    run(files, atOnce) {
      const answer = reply();
      child.send({ files, atOnce } satisfies Round);
      return answer;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function fingerprintFile(fingerprinter: Fingerprinter, { file, again }: BareFile): Promise<void> {
  await using handle = await open(file);
  const { size } = await handle.stat();
  const read = async (start: number, end: number) => {
    const bytes = new Uint8Array(Math.min(end, size) - start);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    return bytes.subarray(0, bytesRead);
  };
  const source = { size, read };
  const looked = await fingerprinter.probe(source);
  if (looked.status === 'rejected') throw new Error(`${file}: ${looked.detail}`);
  const { probe } = looked;
  const slices = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
  for (let n = 0; n < slices; n++) {
    const span = probe.kind === 'image' ? ([0, 0] as [number, number]) : sliceSpan(n, probe.duration);
    const made = await fingerprinter.fingerprint(source, { probe, span, purpose: 'upload' });
    if (made.status === 'codes' && made.fingerprint.sampling === 'keyframes' && again) {
      await fingerprinter.fingerprint(source, { probe, span, purpose: 'confirm' });
    }
  }
}

if (process.argv[1] === HERE) {
  const fingerprinter = await openFingerprinter({ threads: Number(process.argv[2]), ffmpeg: await ffmpegHere() });
  const say = (reply: Reply) => void process.send!(reply);
  process.on('message', async ({ files, atOnce }: Round) => {
    const began = performance.now();
    let next = 0;
    const lane = async () => {
      while (next < files.length) await fingerprintFile(fingerprinter, files[next++]!);
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
