import { randomBytes } from 'node:crypto';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { removeData, startVigil } from '../support/vigil-process.ts';

const HELP = `npm run bench -- api [--hashes 100000] [--rate 200] [--seconds 30]
  Starts Vigil as a process with a database of its own, then
  - imports so many PDQ hashes as one CSV, and takes the time until all of them are live
  - asks for works, references, claims, cases and policies in turn at that rate, by an even clock, and takes how long each waited
  Prints one JSON line.`;

const AIM = { importSeconds: 60, p99Ms: 100 };
const READS = ['/v1/works', '/v1/references?limit=20', '/v1/claims', '/v1/cases', '/v1/policies', '/v1/conflicts'];

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      hashes: { type: 'string', default: '100000' },
      rate: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '30' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const [hashes, rate, seconds] = [values.hashes, values.rate, values.seconds].map(Number) as [number, number, number];
  await using stack = new AsyncDisposableStack();
  const data = await mkdtemp(path.join(tmpdir(), 'vigil-bench-api-'));
  stack.defer(() => removeData(data));
  const settings = { VIGIL_LOG_LEVEL: 'warn', VIGIL_REQUESTS_PER_MINUTE: '10000000' };
  const vigil = stack.use(await startVigil(data, { ...process.env, ...settings }));
  const headers = await vigil.authorization();

  const csv = Array.from({ length: hashes }, () => randomBytes(32).toString('hex')).join('\n');
  const startedAt = performance.now();
  const sent = await fetch(`${vigil.url}/v1/hash-lists/csv?holder=bench`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'text/csv' },
    body: csv,
  });
  const imported = (await sent.json()) as { added?: number };
  if (imported.added !== hashes) throw new Error(`not imported: ${JSON.stringify(imported)}`);
  const acceptedSeconds = (performance.now() - startedAt) / 1000;
  const pending = async (state: string) => {
    const found = await fetch(`${vigil.url}/v1/references?limit=1&state=${state}`, { headers });
    return ((await found.json()) as { items: unknown[] }).items.length > 0;
  };
  while ((await pending('received')) || (await pending('fingerprinted'))) await sleep(200);
  const liveSeconds = (performance.now() - startedAt) / 1000;

  const waited: number[] = [];
  const wrong: number[] = [];
  const begun = performance.now();
  const all: Promise<void>[] = [];
  for (let n = 0; n < rate * seconds; n++) {
    const due = begun + (n * 1000) / rate;
    if (performance.now() < due) await sleep(due - performance.now());
    // From when it was due: a server that makes the client late is late itself.
    all.push(
      fetch(vigil.url + READS[n % READS.length], { headers }).then(async (answer) => {
        await answer.arrayBuffer();
        waited.push(performance.now() - due);
        if (!answer.ok) wrong.push(answer.status);
      }),
    );
  }
  await Promise.all(all);
  waited.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(10 * waited[Math.min(waited.length - 1, Math.floor(share * waited.length))]!) / 10;
  const round = (s: number) => Math.round(10 * s) / 10;
  return {
    bench: 'api',
    ...{ hashes, rate, seconds, processors: availableParallelism(), model: cpus()[0]?.model, load: loadavg()[0] },
    import: { acceptedSeconds: round(acceptedSeconds), liveSeconds: round(liveSeconds), aimSeconds: AIM.importSeconds },
    reads: {
      asked: waited.length,
      wrong: wrong.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: at(1),
      aimP99Ms: AIM.p99Ms,
    },
  };
}
