import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ENGINE_VERSION,
  jsonEnvelope,
  openEnvelope,
  SliceAlignments,
  TOPICS,
  type UploadEvent,
  type Verdict,
} from '@vigil/contracts';
import { findReference, findUpload, lookBackLag } from '@vigil/database';
import type { EventLog, NewRecord } from '@vigil/event-log';
import { createDeadLetters, letterName, openTools, type ReplayRequest, replay } from '@vigil/pipeline';
import { createLogger, readConfig, realClock } from '@vigil/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { flipped, type MadeUpload, madeUpload, randomCode, randomWords } from '../support/made-uploads.ts';
import { seedsHere } from '../support/seeds.ts';
import { VIGIL, vigil } from '../support/vigil-process.ts';
import { type Network, openNetwork } from './open-network.ts';

interface Said {
  upload: string;
  outcome: string;
  before: Pick<Verdict, 'verdict' | 'revision'> | null;
  after: Pick<Verdict, 'verdict' | 'revision'> | null;
  decisions: { reference: string; change: string; why: string }[];
}

/**
 * Real: the whole pipeline, and the command line in processes of its own beside it. Faked: an outage, in which the matcher
 * acknowledges and finds nothing; most uploads are a code without media.
 */
describe('judging again', () => {
  const MADE = 450;
  const COPIES = 30;
  let network: Network;
  let broken = false;
  let copy: string;
  let film: string;
  let gone: string;
  /** While it is set, results of matchers are held back until `gate`; `reached` is called when there is one. */
  let held: { reached(): void; gate: Promise<void> } | null = null;
  const next = randomWords(20300101);
  const protectedCodes = Array.from({ length: 5 }, () => randomCode(next));
  let made: MadeUpload[];

  /** The matcher is broken from outside: whatever it finds, it says that there is nothing. */
  const breakable = (log: EventLog): EventLog => ({
    ...log,
    async append(records, tx) {
      if (held && records.some((r) => r.topic === TOPICS.alignments.name)) {
        held.reached();
        await held.gate;
      }
      return log.append(broken ? records.flatMap(silenced) : records, tx);
    },
  });
  function silenced(record: NewRecord): NewRecord[] {
    if (record.topic === TOPICS.proposals.name) return [];
    if (record.topic !== TOPICS.alignments.name) return [record];
    const { event } = openEnvelope(SliceAlignments, record);
    const data = { ...event.data, outcome: { status: 'nothing', why: 'broken' } };
    return [{ topic: record.topic, ...jsonEnvelope(record.key, { ...event, data }) }];
  }

  beforeAll(async () => {
    const seeds = await seedsHere();
    network = await openNetwork({ wrapLog: breakable, settings: { VIGIL_LOOK_BACK_SECONDS: '1' } });
    const picture = seeds.uploads.find((u) => u.kind === 'image' && u.expect.verdict === 'taken-down')!;
    const piece = seeds.uploads.find((u) => u.name === 'piece-mirrored.mp4')!;
    const works = [picture, piece].map((u) => seeds.references.find((r) => r.name === u.expect.reference)!);
    await network.protect(works.map((r) => ({ name: r.name, file: r.path })));
    const about = { holder: 'h', work: 'work-hashes', title: 'hashes' };
    const list = protectedCodes.map((code, i) => ({ code, name: `hash ${i}`, quality: 100 }));
    const hashes = await network.instance.intake.hashes(list, about);
    await live(hashes.map((h) => h.reference.id));

    broken = true;
    const sent = [
      ...[picture, piece].map((u) => ({ name: u.name, file: u.path })),
      { name: 'gone.mp4', file: piece.path },
    ];
    const files = await network.upload(sent);
    [copy, film, gone] = [files.get(picture.name)!, files.get(piece.name)!, files.get('gone.mp4')!];
    made = Array.from({ length: MADE }, (_, i) => {
      const isCopy = i % (MADE / COPIES) === 0;
      const code = isCopy ? flipped(protectedCodes[i % 5]!, i % 12, next) : randomCode(next);
      return madeUpload(`made-${i}`, code, Date.now());
    });
    await network.instance.log.append(made.map((m) => m.manifest));
    await network.instance.log.append(made.map((m) => m.fingerprint));
    await network.drain([...files.values(), ...made.map((m) => m.upload)], 120);
    broken = false;
    const { media } = (await findUpload(db(), gone))!;
    await network.instance.blobs.delete(media!.bucket, media!.key);
  }, 180_000);
  afterAll(() => network?.[Symbol.asyncDispose]());

  async function live(ids: string[]): Promise<void> {
    await network.until('references live', async () => {
      const rows = await Promise.all(ids.map((id) => findReference(db(), id)));
      return rows.every((r) => r?.state === 'live');
    });
  }
  const db = () => network.instance.database.postgres;
  const env = () => ({ ...process.env, DATABASE_URL: network.databaseUrl, VIGIL_DATA: network.dataFolder });
  const run = (...args: string[]) => runSaying(/^$/, ...args);
  async function runSaying(
    aside: RegExp,
    ...args: string[]
  ): Promise<{ findings: Said[]; tally: Record<string, number> }> {
    const { code, stdout, stderr } = await vigil([...args, '--json'], { env: env(), seconds: 300 });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(aside) });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    return { findings: lines.filter((l) => l.upload), tally: lines.at(-1).summary.tally };
  }
  const newest = async () =>
    new Map((await network.verdicts()).sort((a, b) => a.revision - b.revision).map((v) => [v.upload, v]));
  const copies = () => made.filter((_, i) => i % (MADE / COPIES) === 0).map((m) => m.upload);

  test('after an outage: shown first, then closed by second revisions, though it is killed on the way', async () => {
    expect([...(await newest()).values()].map((v) => v.verdict)).toEqual(Array(MADE + 3).fill('cleared'));

    const shown = await run('replay', '--since', '1h');
    const expected = [...copies(), copy, film].sort();
    const lost = shown.findings.filter((f) => f.outcome === 'media-gone');
    expect(lost).toMatchObject([{ upload: gone, before: { revision: 1 }, after: { revision: 1 } }]);
    const found = shown.findings.filter((f) => !lost.includes(f));
    expect(found.map((f) => f.upload).sort()).toEqual(expected);
    expect(found.every((f) => f.outcome === 'changed' && f.before?.verdict === 'cleared')).toBe(true);
    expect(found.every((f) => f.decisions[0]?.change === 'new' && f.decisions[0].why.length > 10)).toBe(true);
    expect(shown.tally).toEqual({ changed: COPIES + 2, unchanged: MADE - COPIES, 'media-gone': 1 });
    // Nothing was sent, nor written.
    const first = MADE + 3;
    expect((await network.verdicts()).length).toBe(first);
    expect(await network.takedowns()).toEqual([]);

    const killed = spawn(process.execPath, [VIGIL, 'replay', '--since', '1h', '--apply', '--rate', '10'], {
      env: env(),
      stdio: 'ignore',
    });
    // It runs at low priority: on a busy machine it begins late.
    await network.until('some are written', async () => (await network.verdicts()).length > first + 3, 180);
    killed.kill('SIGKILL');
    await once(killed, 'close');
    const partly = (await network.verdicts()).length - first;
    expect(partly).toBeLessThan(COPIES + 2);

    const goesOn = /^goes on with a run begun at \S+Z, \d+ of \d+ done; --restart begins anew\n$/;
    const applied = await runSaying(goesOn, 'replay', '--since', '1h', '--apply');
    const changed = applied.findings.filter((f) => f.outcome === 'changed');
    expect(changed.map((f) => f.upload).sort()).toEqual(expected);
    await network.until('all are written', async () => (await network.verdicts()).length === first + COPIES + 2);
    const now = await newest();
    for (const upload of expected)
      expect(now.get(upload)).toMatchObject({ revision: 2, cause: 'replay', supersedes: 1 });
    expect([now.get(copy)!.verdict, now.get(film)!.verdict]).toEqual(['taken-down', 'taken-down']);
    // One takedown each, and none missing.
    const down = expected.filter((upload) => now.get(upload)!.verdict === 'taken-down').sort();
    await network.until('takedowns', async () => (await network.takedowns()).length === down.length);
    expect((await network.takedowns()).map((t) => t.upload).sort()).toEqual(down);

    const again = await run('replay', '--since', '1h', '--apply');
    expect(again.findings.map((f) => f.outcome)).toEqual(['media-gone']);
    expect(again.tally).toEqual({ unchanged: MADE + 2, 'media-gone': 1 });
    expect((await network.verdicts()).length).toBe(first + COPIES + 2);
    expect((await network.takedowns()).length).toBe(down.length);
  }, 400_000);

  async function hashes(...codes: Uint8Array[]): Promise<string[]> {
    const list = codes.map((code, i) => ({ code, name: `later ${i}` }));
    const made = await network.instance.intake.hashes(list, { holder: 'h', work: 'work-later', title: 'later' });
    return made.map((h) => h.reference.id);
  }
  const uploads = (...made: MadeUpload[]) =>
    network.instance.log.append(made.flatMap((m) => [m.manifest, m.fingerprint]));
  const says = async (id: string) => (await newest()).get(id)?.decisions.map((d) => d.evidence.reference.id);

  test('a new reference is compared with what was uploaded before it, by itself; not with what is deleted', async () => {
    const code = randomCode(next);
    const [before, deleted] = ['before', 'deleted'].map((name) => madeUpload(name, flipped(code, 9, next), Date.now()));
    await uploads(before!, deleted!);
    await network.drain([before!.upload, deleted!.upload], 60);
    const data: UploadEvent = {
      action: 'deleted',
      media: deleted!.media,
      visibility: 'public',
      receivedAt: Date.now() + 1,
    };
    const about = {
      id: 'ev_deleted',
      type: 'vigil.upload.deleted',
      source: 'test',
      subject: deleted!.upload,
      time: Date.now(),
    };
    await network.instance.log.append([
      { topic: TOPICS.uploads.name, ...jsonEnvelope(deleted!.upload, { ...about, data }) },
    ]);
    await network.until('the deletion', async () => (await findUpload(db(), deleted!.upload))!.deleted);

    const [id] = await hashes(code);
    await network.until('the second revision', async () => (await newest()).get(before!.upload)?.revision === 2);
    expect((await newest()).get(before!.upload)).toMatchObject({ cause: 'look-back', supersedes: 1 });
    expect(await says(before!.upload)).toEqual([id]);
    await network.until('the look back', async () => (await lookBackLag(db())).waiting === 0);
    expect((await newest()).get(deleted!.upload)).toMatchObject({ revision: 1, verdict: 'cleared' });

    // By hand, over all of them once more: nothing that was found is found again.
    const shown = await run('look-back', '--since', '1h', '--apply');
    expect(shown.findings.filter((f) => f.outcome !== 'media-gone')).toEqual([]);
    expect(shown.tally.slices).toBeGreaterThan(MADE);
    const none = await vigil(['look-back'], { env: env() });
    expect(none).toMatchObject({ code: 0, stderr: expect.stringContaining('every live reference was compared') });
  });

  test('a reference that goes live while an upload is between match and judgement is not missed', async () => {
    const code = randomCode(next);
    const between = madeUpload('between', flipped(code, 5, next), Date.now());
    const [searched, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    held = { reached: searched.resolve, gate: gate.promise };
    await uploads(between);
    // Searched, without the reference; and its result is kept back until that is live and its look back has begun.
    await searched.promise;
    const [id] = await hashes(code);
    await live([id!]);
    await sleep(2500);
    expect((await newest()).has(between.upload)).toBe(false);
    expect((await lookBackLag(db())).waiting).toBe(1);
    held = null;
    gate.resolve();
    await network.until('the second revision', async () => (await newest()).get(between.upload)?.revision === 2);
    expect(await says(between.upload)).toEqual([id]);
    expect((await network.verdicts()).find((v) => v.upload === between.upload && v.revision === 1)!.verdict).toBe(
      'cleared',
    );
  });

  test('dead letters: one alarm a cause, tried again, dropped by somebody for a reason', async () => {
    const bad = Array.from({ length: 7 }, (_, i) => ({
      topic: TOPICS.acknowledgements.name,
      key: `up_${i}`,
      headers: {
        ce_specversion: '1.0',
        ce_id: `bad-${i}`,
        ce_type: 'vigil.media.acknowledged',
        ce_source: 'web',
        'content-type': 'application/json',
      },
      value: new TextEncoder().encode(`{"action": ${i}}`),
    }));
    await network.instance.log.append(bad);
    const alarms = async () => (await network.alarms()).filter((a) => a.kind === 'dead-letters');
    const dead = async (...args: string[]) => vigil(['dead', ...args], { env: env(), seconds: 300 });
    const letters = createDeadLetters({ ...network.instance, clock: realClock });
    const causes = async () => {
      await letters.catchUp();
      return letters.causes();
    };
    await network.until('seven letters', async () => (await causes())[0]?.open === 7);
    const { cause, topic, stage } = (await causes())[0]!;
    expect([topic, stage]).toEqual(['vigil.acknowledgements.dead', 'record-acknowledgement']);
    await network.until('the alarm', async () => (await alarms()).length === 1);
    expect((await alarms())[0]).toMatchObject({ subject: cause, message: expect.stringContaining('vigil dead show') });

    const { stdout } = await dead('show', cause);
    expect(stdout.match(/vigil\.acknowledgements\.dead\/\d\/\d+ {2}open/g)?.length).toBe(7);
    const retried = await dead('retry', cause, '--by', 'ann', '--json');
    expect(JSON.parse(retried.stdout)).toEqual({ settled: 7, gone: 0 });
    await network.until('seven letters', async () => (await causes())[0]?.open === 7);
    const again = await letters.letters({ cause, state: 'open' });
    const first = await letters.letters({ cause, state: 'retried' });
    // Each knows whose second try it is.
    expect(again.map((l) => l.retryOf).sort()).toEqual(first.map(letterName).sort());
    expect(first.every((l) => l.settledBy === 'ann')).toBe(true);
    expect(await letters.retry({ letter: first[0]! }, 'bob')).toEqual({ settled: 0, gone: 0 });

    expect(await dead('drop', cause)).toMatchObject({ code: 2, stderr: expect.stringContaining('--why is needed') });
    const dropped = await dead('drop', cause, '--by', 'ann', '--why', 'a test of theirs', '--json');
    expect(JSON.parse(dropped.stdout)).toEqual({ settled: 7 });
    expect((await causes())[0]).toMatchObject({ open: 0, retried: 7, dropped: 7 });
    expect((await letters.letters({ cause, state: 'dropped' }))[0]).toMatchObject({
      settledBy: 'ann',
      why: 'a test of theirs',
    });
    expect((await dead('list')).stdout).toBe('no dead letter is open\n');
    expect((await alarms()).length).toBe(1);
  });

  test('what is judged again is chosen by what judged it, by offsets, and from any way into the route', async () => {
    const known = madeUpload('known', flipped(protectedCodes[0]!, 3, next), Date.now());
    await uploads(known);
    await network.drain([known.upload], 60);
    const config = readConfig(env());
    const logger = createLogger({ level: 'error' });
    await using tools = await openTools(config, { logger, ffmpeg: await ffmpegHere(), withLibrary: true });
    const never = new AbortController().signal;
    const tally = async (request: Omit<ReplayRequest, 'apply'>) =>
      (await replay(tools.replay, { ...request, apply: false }, never)).tally;
    // Decoded anew from the announcement on, it is what it was.
    expect(await tally({ topic: 'uploads', uploads: [copy] })).toEqual({ unchanged: 1 });
    expect(await tally({ topic: 'uploads', uploads: [gone] })).toEqual({ 'media-gone': 1 });
    expect(await tally({ topic: 'slices.first', uploads: [copy] })).toEqual({ unchanged: 1 });
    expect(await tally({ topic: 'alignments', uploads: [film] })).toEqual({ unchanged: 1 });
    for (const topic of ['proposals', 'evidence', 'alignments'])
      expect(await tally({ topic, uploads: [known.upload] })).toEqual({ unchanged: 1 });
    expect(await tally({ uploads: [copy] })).toEqual({ unchanged: 1 });
    expect(await tally({ uploads: [copy], engine: Number(ENGINE_VERSION) })).toEqual({});
    expect(await tally({ uploads: [copy], engine: Number(ENGINE_VERSION) + 1 })).toEqual({ unchanged: 1 });
    expect(await tally({ checkpoint: 1 })).toEqual({});
    expect(await tally({ reason: 'incomplete' })).toEqual({});
    expect(await tally({ topic: 'fingerprints.dead', deadReason: 'anything' })).toEqual({});
    const policy = (await newest()).get(copy)!.decisions[0]!.policy;
    expect(await tally({ uploads: [copy, film], policy })).toEqual({});
    expect(await tally({ uploads: [copy], policy: { ...policy, version: policy.version + 1 } })).toEqual({
      unchanged: 1,
    });
    const [first] = await network.instance.log.ends(TOPICS.fingerprints.name);
    const some = await tally({ offsets: [{ partition: first!.partition, from: 2, to: 6 }] });
    expect(Object.values(some).reduce((sum, n) => sum + n, 0)).toBe(4);
    await expect(tally({ offsets: [{ partition: 99, from: 0, to: 1 }] })).rejects.toThrow(/no partition 99/);
  });
});
