import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../infra/free-port.ts';
import { isReady, openFleet } from '../network/open-fleet.ts';
import { until } from '../support/until.ts';
import { removeData, startVigil, type VigilProcess } from '../support/vigil-process.ts';

const BLIND = ['--import', fileURLToPath(new URL('./blind-matcher.ts', import.meta.url))];
const MATCHERS = ['matcher-0', 'matcher-1'];

/** A running Vigil whose matchers can be broken from outside. */
export interface DrillSet {
  kind: 'fleet' | 'laptop';
  /** Of its API, and a key for it. */
  url: string;
  key: string;
  /** For commands that work beside it. */
  env: Record<string, string>;
  databaseUrl(): Promise<string>;
  /** Starts every matcher anew, blind or as it should be. */
  matchers(blind: boolean): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The fleet set, where Kafka and S3 are to be had; else all in one process, and `say` says so. */
export async function openSet(say: (line: string) => void, onlyLaptop: boolean): Promise<DrillSet> {
  const fleet = onlyLaptop ? null : await openFleet({ log: say });
  if (fleet) {
    const door = fleet.member('planner');
    return {
      kind: 'fleet',
      url: door.url,
      key: await door.key(),
      env: fleet.env,
      databaseUrl: async () => fleet.env.DATABASE_URL!,
      async matchers(blind) {
        for (const name of MATCHERS) {
          fleet.member(name).kill('SIGTERM');
          await fleet.member(name).ended;
        }
        await Promise.all(MATCHERS.map((name) => fleet.start(name, undefined, { nodeArgs: blind ? BLIND : [] })));
      },
      [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
    };
  }
  if (!onlyLaptop) say('Kafka or S3 is not to be had: the drill runs on the laptop set, everything in one process');
  const data = await mkdtemp(path.join(tmpdir(), 'vigil-drill-'));
  const port = await freePort();
  const env = { ...process.env, VIGIL_LOG_LEVEL: 'warn' };
  let vigil: VigilProcess;
  const start = async (nodeArgs: readonly string[]) => {
    vigil = await startVigil(data, env, { port, nodeArgs });
    await until('the laptop set is ready', () => isReady(vigil.url), { seconds: 120 });
  };
  await start([]);
  return {
    kind: 'laptop',
    url: vigil!.url,
    key: await vigil!.key(),
    env: { VIGIL_DATA: data },
    databaseUrl: () => vigil.databaseUrl(),
    async matchers(blind) {
      vigil.kill('SIGTERM');
      await vigil.ended;
      await start(blind ? BLIND : []);
    },
    async [Symbol.asyncDispose]() {
      vigil.kill('SIGTERM');
      await Promise.race([vigil.ended, sleep(12_000)]);
      await vigil[Symbol.asyncDispose]();
      await removeData(data);
    },
  };
}
