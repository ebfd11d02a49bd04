import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { placeOf } from '@vigil/contracts';
import { resultsOf } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import { type Instance, openInstance } from '@vigil/pipeline';
import { createLogger, readConfig } from '@vigil/runtime';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { seedsHere } from '../support/seeds.ts';
import { type Network, openNetwork } from './open-network.ts';

/**
 * Everything is real. The matcher of the old layout is held back while the number of shards changes, so that uploads that were
 * planned for it are on their way at that moment for certain.
 */
describe('changing the number of shards while uploads are on their way', () => {
  let seeds: SeedSet;
  const stack: AsyncDisposable[] = [];
  beforeAll(async () => {
    seeds = await seedsHere();
  }, 180_000);
  afterEach(async () => {
    while (stack.length > 0) await stack.pop()![Symbol.asyncDispose]();
  });

  /** A matcher as a process of its own would be: it shares the database, the log and the store, and nothing else. */
  async function openMatcher(network: Network, number: number, of: number): Promise<Instance> {
    const dataFolder = await mkdtemp(path.join(tmpdir(), 'vigil-matcher-'));
    stack.push({ [Symbol.asyncDispose]: () => rm(dataFolder, { recursive: true, force: true }) });
    await symlink(path.join(network.dataFolder, 'blobs'), path.join(dataFolder, 'blobs'));
    const config = readConfig({
      ...process.env,
      ...{ VIGIL_DATA: dataFolder, DATABASE_URL: network.databaseUrl, VIGIL_ROLES: 'match' },
      ...{ VIGIL_SHARDS: String(of), VIGIL_SHARD: String(number), VIGIL_REPLICA: `m${number}-of-${of}` },
    });
    const instance = await openInstance({
      config,
      logger: createLogger({ level: 'warn' }),
      ffmpeg: await ffmpegHere(),
    });
    stack.push(instance);
    return instance;
  }

  /** Lets records through to `group` when told to. */
  function heldBack(group: string) {
    const gate = Promise.withResolvers<void>();
    let waiting = 0;
    const wrap = (log: EventLog): EventLog => ({
      ...log,
      consume: (options) =>
        log.consume({
          ...options,
          async handle(record, signal, alive) {
            if (options.group === group) {
              waiting++;
              await Promise.race([gate.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
            }
            return options.handle(record, signal, alive);
          },
        }),
    });
    return { wrap, open: gate.resolve, waiting: () => waiting };
  }

  const images = (list: SeedSet['uploads']) =>
    list.filter((u) => u.kind === 'image').map((u) => ({ ...u, file: u.path }));

  test('none is stranded, and none is judged by half a library', async () => {
    const old = heldBack('match-0-of-1');
    const network = await openNetwork({ wrapLog: old.wrap, settings: { VIGIL_REPLICA: 'm0-of-1' } });
    stack.push(network);
    const { layouts, database, inspect } = network.instance;
    const works = seeds.references.filter((r) => r.kind === 'image');
    const ids = await network.protect(works.map((r) => ({ name: r.name, file: r.path })));
    const sides = new Map([...ids].map(([name, id]) => [name, placeOf(id, 2)]));
    expect(new Set(sides.values()), 'both of the new shards hold something').toEqual(new Set([0, 1]));

    await openMatcher(network, 0, 2);
    const refused = await layouts.change(2);
    expect(refused).toMatchObject({ done: false });
    expect(refused.layout.waitsFor.join()).toContain('shard 1 of 2 has no matcher');
    await openMatcher(network, 1, 2);
    await expect.poll(async () => (await layouts.view()).layouts.map((l) => l.state)).toEqual(['current', 'ready']);

    const sent = images(seeds.uploads);
    const round = async (n: number) => {
      const uploads = await network.upload(sent.map((u) => ({ name: `${n}-${u.name}`, file: u.file })));
      return [...uploads].map(([name, id]) => ({ id, expected: sent.find((u) => name === `${n}-${u.name}`)!.expect }));
    };
    const before = await round(1);
    const open = async () => (await layouts.view()).layouts.find((l) => l.shards === 1)!.uploads;
    await expect.poll(open, { timeout: 60_000 }).toBe(before.length);
    // They wait for the matcher of the old layout; others are being planned while the layout changes.
    expect(old.waiting()).toBeGreaterThan(0);
    const [during, changed] = await Promise.all([round(2), layouts.change(2)]);
    expect(changed.done).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const after = await round(3);

    await network.drain(
      after.map((u) => u.id),
      100,
    );
    const draining = (await layouts.view()).layouts.find((l) => l.shards === 1)!;
    expect(draining.state).toBe('draining');
    expect(draining.uploads).toBeGreaterThanOrEqual(before.length);
    expect((await inspect.upload(before[0]!.id))?.verdict ?? null).toBeNull();
    old.open();
    const all = [...before, ...during, ...after];
    await network.drain(
      all.map((u) => u.id),
      100,
    );

    const verdicts = await network.verdicts();
    const said = all.map(({ id, expected }) => {
      const mine = verdicts.filter((v) => v.upload === id);
      expect(mine.length).toBe(1);
      return { ...mine[0]!, expected: expected.verdict };
    });
    expect(said.map((v) => v.verdict)).toEqual(said.map((v) => v.expected));
    // Each by the whole library: by every shard of the layout that it was planned for.
    for (const { upload, checkpoints, verdict } of said.filter((v) => v.verdict !== 'rejected')) {
      const { alignments } = await resultsOf(database.postgres, upload);
      const shards = alignments[0]!.shards;
      expect(alignments.map((a) => [a.shards, a.shard])).toEqual(Array.from({ length: shards }, (_, n) => [shards, n]));
      expect(checkpoints.length, verdict).toBe(shards);
    }
    const by = (list: { id: string }[]) =>
      new Set(list.flatMap(({ id }) => said.filter((v) => v.upload === id).map((v) => v.checkpoints.length)));
    expect([...by(before)].filter(Boolean)).toEqual([1]);
    expect([...by(after)].filter(Boolean)).toEqual([2]);
    expect((await layouts.view()).layouts.find((l) => l.shards === 1)!.uploads).toBe(0);
  }, 170_000);
});
