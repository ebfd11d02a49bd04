import { spawn } from 'node:child_process';
import path from 'node:path';
import type { Work } from './accuracy-works.ts';

/** vPDQ: share of an upload's frames that must be found in one reference, by default and as many set it. */
export const VPDQ_PERCENT = [80, 20];

export interface Asked {
  family: ReadonlySet<string>;
  file: string;
}

/** Of each query, in order: the families that the peer takes it for. */
export interface PeerAnswers {
  pdq: string[][];
  vpdq: [family: string, percent: number][][];
  seconds: { pdq: number; vpdq: number };
}

/** @throws when python3 or a package is not there; the message says what to install */
export function askPeers(
  references: readonly Work[],
  queries: { images: readonly string[]; films: readonly string[] },
  python: string,
): Promise<PeerAnswers> {
  const of = (kind: Work['kind']) => references.filter((w) => w.kind === kind).map((w) => [w.family, w.file]);
  const asked = {
    images: { references: queries.images.length > 0 ? of('image') : [], queries: queries.images },
    films: { references: queries.films.length > 0 ? of('video') : [], queries: queries.films },
  };
  const script = path.join(import.meta.dirname, 'peers', 'pdq-vpdq.py');
  return new Promise((resolve, reject) => {
    const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, said] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
    child.on('error', (error) => reject(new Error(`${python}: ${error.message}; --no-peers does without`)));
    child.on('exit', (code) => {
      if (code === 0) return resolve(JSON.parse(out) as PeerAnswers);
      const remedy = `pip install pdqhash vpdq pillow numpy, --python VENV/bin/python, or --no-peers`;
      reject(new Error(`${script} ended with ${code}: ${said.trim()} (${remedy})`));
    });
    child.stdin.end(JSON.stringify(asked));
  });
}
