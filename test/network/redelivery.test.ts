import { setTimeout as sleep } from 'node:timers/promises';
import { actionId, openEnvelope, TOPICS, UploadEvent, uploadId } from '@vigil/contracts';
import type { NewRecord } from '@vigil/event-log';
import { isRetriable } from '@vigil/runtime';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { seedsHere } from '../support/seeds.ts';
import { deliverTwice } from './deliver-twice.ts';
import { type Network, openNetwork } from './open-network.ts';

const SEED = 20221120;

/** Pictures and everything odd, and of the films one copy: each event twice is twice the work. */
const FILMS_SENT = ['piece-vp9.webm'];

describe('every event twice and in any order', () => {
  let seeds: SeedSet;
  let network: Network | undefined;

  beforeAll(async () => {
    const all = await seedsHere();
    const uploads = all.uploads.filter((u) => u.kind !== 'video' || FILMS_SENT.includes(u.name));
    const wanted = new Set(uploads.map((u) => u.expect.reference));
    seeds = { ...all, uploads, references: all.references.filter((r) => wanted.has(r.name)) };
    expect(uploads.filter((u) => u.kind === 'video').length).toBe(FILMS_SENT.length);
  }, 180_000);
  afterEach(async () => {
    await network?.[Symbol.asyncDispose]();
    network = undefined;
  });

  const named = (list: readonly { name: string; path: string }[]) => list.map((s) => ({ name: s.name, file: s.path }));

  /** The ids that the truth table asks for: one takedown for each upload that must go down. */
  async function expectedIds(n: Network, uploads: Map<string, string>): Promise<string[]> {
    const versions = new Map<string, string>();
    for (const { partition, start, end } of await n.instance.log.ends(TOPICS.uploads.name)) {
      for await (const record of n.instance.log.read(TOPICS.uploads.name, partition, start, end)) {
        const { media } = openEnvelope(UploadEvent, record).event.data;
        versions.set(uploadId(media), media.version);
      }
    }
    return seeds.uploads
      .filter((u) => u.expect.verdict === 'taken-down')
      .map((u) => uploads.get(u.name)!)
      .map((id) => actionId(id, versions.get(id)!, 'takedown', 0))
      .sort();
  }

  test('ends in the verdicts and the takedown ids of the truth table', async () => {
    let quiet = () => Promise.resolve();
    network = await openNetwork({
      wrapLog(log) {
        const twice = deliverTwice(log, SEED);
        quiet = twice.quiet;
        return twice.log;
      },
    });
    await network.protect(named(seeds.references));
    const uploads = await network.upload(named(seeds.uploads));
    await network.drain(uploads.values(), 170);
    await settled(network, quiet);

    const verdicts = await network.verdicts();
    const last = new Map(verdicts.sort((a, b) => a.revision - b.revision).map((v) => [v.upload, v.verdict]));
    expect(Object.fromEntries([...uploads].map(([name, id]) => [name, last.get(id)]))).toEqual(
      Object.fromEntries(seeds.uploads.map((u) => [u.name, u.expect.verdict])),
    );
    const firsts = new Set(verdicts.filter((v) => v.revision === 1).map((v) => v.upload));
    expect(firsts.size).toBe(uploads.size);
    const ids = new Set((await network.takedowns()).map((t) => t.id));
    expect([...ids].sort()).toEqual(await expectedIds(network, uploads));
  }, 240_000);

  test('a reference added between two deliveries gives a second revision, not a second takedown', async () => {
    network = await openNetwork();
    const copy = seeds.uploads.find((u) => u.expect.verdict === 'taken-down' && u.expect.uploadSpan)!;
    const film = seeds.references.find((r) => r.name === copy.expect.reference)!;
    const others = seeds.references.filter((r) => r.kind === 'image').slice(0, 1);
    await network.protect(named(others));
    const uploads = await network.upload(named([copy]));
    const upload = uploads.get(copy.name)!;
    await network.drain([upload], 60);
    expect((await network.verdicts()).map((v) => [v.revision, v.verdict])).toEqual([[1, 'cleared']]);

    await network.protect(named([film]));
    await redeliver(network);
    const again = async () => (await network!.verdicts()).some((v) => v.upload === upload && v.revision === 2);
    await network.until('the second revision', again);
    await redeliver(network);
    await settled(network, () => Promise.resolve());

    const verdicts = await network.verdicts();
    expect(verdicts.map((v) => [v.revision, v.verdict, v.supersedes])).toEqual([
      [1, 'cleared', null],
      [2, 'taken-down', 1],
    ]);
    expect((await network.takedowns()).length).toBe(1);
  }, 120_000);

  /** Each event twice is much at once: a question may come too late to be answered. */
  const askLater = (error: unknown) => (isRetriable(error) ? null : Promise.reject(error));

  /** Appends every upload event of the log once more. */
  async function redeliver(n: Network): Promise<void> {
    const again: NewRecord[] = [];
    for (const { partition, start, end } of await n.instance.log.ends(TOPICS.uploads.name)) {
      for await (const { topic, key, headers, value } of n.instance.log.read(
        TOPICS.uploads.name,
        partition,
        start,
        end,
      )) {
        again.push({ topic, key, headers, value });
      }
    }
    await n.instance.log.append(again);
  }

  /** Until no consumer group has anything left to read, three looks in a row. */
  async function settled(n: Network, quiet: () => Promise<void>): Promise<void> {
    for (let calm = 0; calm < 3; ) {
      await quiet();
      await Promise.race([sleep(200), n.instance.failed]);
      calm = (await n.instance.lag().catch(askLater)) === 0 ? calm + 1 : 0;
    }
  }
});
