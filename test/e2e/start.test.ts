/** `vigil start` as a process of its own, on a data folder of its own: served, refused, drained, killed, and started again. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { actionId, openEnvelope, TakedownEvent, TOPICS, UploadEvent, uploadId, Verdict } from '@vigil/contracts';
import { type EventLog, openPostgresEventLog } from '@vigil/event-log';
import type { TraceView, UploadView } from '@vigil/pipeline';
import { openPostgres, type Postgres } from '@vigil/runtime';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { rememberTree, stillRunning } from '../support/process-tree.ts';
import { describeWith } from '../support/require.ts';
import { seedsHere } from '../support/seeds.ts';
import { removeData, spawnVigil, startVigil, type VigilProcess, vigil } from '../support/vigil-process.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** `vigil start` refuses the old fallback decoder. */
const ffmpeg = await ffmpegHere().catch(() => null);
const decoderHere = ffmpeg !== null && !ffmpeg.warning;

describeWith('ffmpeg-5', decoderHere, 'vigil start', () => {
  let seeds: SeedSet;
  let data: string;
  const env = { ...process.env, VIGIL_LOG_LEVEL: 'warn' };
  const started: VigilProcess[] = [];

  beforeAll(async () => {
    seeds = await seedsHere();
  }, 180_000);
  beforeEach(async () => {
    data = await mkdtemp(path.join(tmpdir(), 'vigil-start-'));
  });
  afterEach(async () => {
    for (const one of started.splice(0)) await one[Symbol.asyncDispose]();
    await removeData(data);
  });

  const pathOf = (name: string) => [...seeds.references, ...seeds.uploads].find((s) => s.name === name)!.path;
  const start = async () => {
    const one = await startVigil(data, env);
    started.push(one);
    return one;
  };

  test('serves the command line, refuses a second start, and drains when told to', async () => {
    const first = await start();
    const call = (...args: string[]) =>
      vigil([...args, '--instance', first.url], { env: { ...env, VIGIL_DATA: data } });

    const added = await call(
      'reference',
      'add',
      pathOf('picture-morning-ridge.png'),
      pathOf('paper-machines.mp4'),
      '--wait',
    );
    expect(added).toMatchObject({ code: 0, stderr: '' });
    expect(added.stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^ref_\S+ {2}\S+picture-morning-ridge\.png {2}live$/),
      expect.stringMatching(/^ref_\S+ {2}\S+paper-machines\.mp4 {2}live$/),
    ]);
    const [picture] = added.stdout.split(' ');
    const listed = await call('reference', 'list');
    expect(listed.stdout).toMatch(new RegExp(`^${picture} +live +picture-morning-ridge\\.png +operator`, 'm'));

    const sent = await call('upload', pathOf('copy-small.jpg'), pathOf('clean-picture-window.jpg'), '--wait');
    expect(sent).toMatchObject({ code: 0, stderr: '' });
    const [copy, clean] = sent.stdout.trim().split('\n');
    expect(copy).toMatch(/^up_\S+ {2}\S+copy-small\.jpg {2}taken-down {2}.*ref_\S+, as it is$/);
    expect(copy).toContain(picture);
    expect(clean).toMatch(/clean-picture-window\.jpg {2}cleared/);

    const [upload] = copy!.split(' ');
    const told = await call('trace', upload!, '--json');
    const trace = JSON.parse(told.stdout) as TraceView;
    expect(trace.upload).toBe(upload);
    const stages = ['plan', 'fingerprint', 'match', 'confirm', 'decide', 'publish'];
    const seen = trace.steps.map((s) => s.stage).filter((stage) => stages.includes(stage));
    expect([...new Set(seen)]).toEqual(stages);
    for (const { startedAt, endedAt, outcome } of trace.steps) {
      expect(startedAt).toBeGreaterThanOrEqual(trace.receivedAt);
      expect(endedAt).toBeGreaterThanOrEqual(startedAt);
      expect(outcome).not.toBe('');
    }
    const shown = await call('trace', upload!);
    for (const stage of stages) expect(shown.stdout).toMatch(new RegExp(`^\\+\\d+\\.\\d{3} s .*\\b${stage}\\b`, 'm'));
    expect(await call('trace', 'up_nobody')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'vigil: There is no such thing here: no upload up_nobody\n',
    });

    // While it runs, the command asks its database.
    const status = await call('status', '--json');
    expect([status.code, status.stderr]).toEqual([0, '']);
    expect(JSON.parse(status.stdout)).toMatchObject({ ready: true, reviews: 0, unknown: [], deadLetters: [] });
    const screen = await call('status');
    expect(screen.stdout).toMatch(/all well[\s\S]*time to takedown: half within[\s\S]*Last verdicts/);
    // It runs already, and is not disturbed by being looked at.
    const port = new URL(first.url).port;
    const looked = await vigil(['doctor', '--data', data, '--json'], { env: { ...env, VIGIL_PORT: port } });
    const findings = JSON.parse(looked.stdout) as { check: string; state: string; found: string }[];
    expect(findings.filter((f) => f.state === 'failure')).toEqual([]);
    expect(findings.find((f) => f.check === 'port')!.found).toContain('listens');
    expect(findings.find((f) => f.check === 'topics')!.found).toContain('as they should be');
    const audited = await vigil(['audit', 'verify', '--data', data], { env });
    expect(audited).toMatchObject({ code: 0, stderr: '' });
    expect(audited.stdout).toMatch(/^whole: \d+ links in the chains of 1 cases, 0 roots$/m);

    const second = await vigil(['start', '--data', data], { env: { ...env, VIGIL_PORT: '0' } });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`vigil: the data folder ${data} is in use by process ${first.pid}`);
    expect(second.stderr).toContain('stop that one first, or start this one with another data folder');
    expect((await fetch(`${first.url}/health/ready`)).status).toBe(200);

    // Work of all stages is under way when the signal comes.
    await Promise.all(['piece-mpeg4.mkv', 'glass-works.mp4', 'copy-turned.jpg'].map((name) => send(first, name)));
    const processes = await rememberTree(first.pid);
    expect(processes.size).toBeGreaterThan(5);
    first.kill('SIGTERM');
    // A drain that takes longer than ten seconds ends with code 1.
    expect(await first.ended).toMatchObject({ code: 0, signal: null });
    await untilGone(processes);
  });

  test('says that it is alive, and stops when told to, while it is still starting', async () => {
    const port = await freePort();
    const { child, end } = spawnVigil(data, env, { port });
    while (!existsSync(path.join(data, 'instance.lock')) && child.exitCode === null) await sleep(5);
    // Its database has yet to be made.
    const [live, ready] = await Promise.all(
      ['live', 'ready'].map((how) => fetch(`http://127.0.0.1:${port}/health/${how}`)),
    );
    expect([live!.status, ready!.status]).toEqual([200, 503]);
    expect(await ready!.json()).toMatchObject({ checks: { start: 'is starting' } });
    const processes = await rememberTree(child.pid!);
    child.kill('SIGTERM');
    const { code, stdout } = await end;
    expect({ code, listened: stdout.includes('listens on') }).toEqual({ code: 0, listened: false });
    await untilGone(processes);
  });

  test('killed in the middle of uploads and started again, it loses nothing and says nothing twice', async () => {
    // All but the longest work and what copies it: what it is about shows with the others as well.
    const works = seeds.references.filter((r) => r.name !== 'lantern-valley.mp4');
    const { uploads: all } = seeds;
    const sent = all.filter((u) => !u.expect.reference || works.some((r) => r.name === u.expect.reference));
    const first = await start();
    const added = await vigil(['reference', 'add', ...works.map((r) => r.path), '--wait', '--instance', first.url], {
      env: { ...env, VIGIL_DATA: data },
    });
    expect(added).toMatchObject({ code: 0, stderr: '' });

    const acknowledged = new Map<string, string>();
    const sendAll = (to: VigilProcess, names: readonly string[]) =>
      Promise.all(
        names.map(async (name) => {
          const upload = await send(to, name).catch(() => null);
          if (upload) acknowledged.set(name, upload);
        }),
      );
    const names = sent.map((u) => u.name);
    const half = Math.floor(names.length / 2);
    await sendAll(first, names.slice(0, half));
    while (await nothingJudged(first, acknowledged)) await sleep(20);
    const processes = await rememberTree(first.pid);
    // The rest is just being sent when it dies; what was not acknowledged is sent again, as a platform would.
    const rest = sendAll(first, names.slice(half));
    await sleep(30);
    first.kill('SIGKILL');
    expect((await first.ended).signal).toBe('SIGKILL');
    await rest;

    const second = await start();
    await untilGone(processes);
    await sendAll(
      second,
      names.filter((name) => !acknowledged.has(name)),
    );
    expect(acknowledged.size).toBe(names.length);

    await using postgres = openPostgres({ url: await second.databaseUrl(), max: 2 });
    await using log = await openPostgresEventLog({ postgres });
    await settled(postgres, log);

    const announced = await readAll(log, TOPICS.uploads.name, (r) => openEnvelope(UploadEvent, r).event.data.media);
    const uploads = new Map(announced.map((media) => [uploadId(media), media]));
    expect([...acknowledged.values()].filter((id) => !uploads.has(id))).toEqual([]);
    const seedOf = (id: string) => seeds.uploads.find((u) => uploads.get(id)!.key.endsWith(`/${u.name}`))!;

    // An event that was sent twice keeps its id; what is said is said once.
    const verdicts = new Map(
      await readAll(log, TOPICS.verdicts.name, (r) => {
        const { id, data: verdict } = openEnvelope(Verdict, r).event;
        return [id, verdict] as const;
      }),
    );
    expect([...verdicts.values()].map((v) => `${v.upload} ${v.revision}`).sort()).toEqual(
      [...uploads.keys()].map((id) => `${id} 1`).sort(),
    );
    const wrong = [...verdicts.values()].flatMap((v) => {
      const { verdict, or = [] } = seedOf(v.upload).expect;
      return [verdict, ...or].includes(v.verdict) ? [] : [`${seedOf(v.upload).name}: ${v.verdict} ${v.reason}`];
    });
    expect(wrong).toEqual([]);

    const taken = await readAll(log, TOPICS.takedowns.name, (r) => openEnvelope(TakedownEvent, r).event.data.id);
    const expected = [...uploads]
      .filter(([id]) => seedOf(id).expect.verdict === 'taken-down')
      .map(([id, media]) => actionId(id, media.version, 'takedown', 0));
    expect(expected.length).toBe(sent.filter((u) => u.expect.reference).length);
    expect(expected.length).toBeGreaterThan(5);
    expect([...new Set(taken)].sort()).toEqual(expected.sort());
  });

  async function send(to: VigilProcess, name: string): Promise<string> {
    const response = await fetch(`${to.url}/v1/uploads?${new URLSearchParams({ name })}`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', ...(await to.authorization()) },
      body: await readFile(pathOf(name)),
    });
    expect(response.status).toBe(202);
    return ((await response.json()) as { upload: string }).upload;
  }

  async function nothingJudged(at: VigilProcess, uploads: Map<string, string>): Promise<boolean> {
    for (const id of uploads.values()) {
      const response = await fetch(`${at.url}/v1/uploads/${id}`, { headers: await at.authorization() });
      if (response.ok && ((await response.json()) as UploadView).verdict) return false;
    }
    return true;
  }
});

/** Decoders and the database end by themselves when what started them is gone. */
async function untilGone(processes: ReadonlyMap<number, string>): Promise<void> {
  while ((await stillRunning(processes)).length > 0) await sleep(50);
}

/** Until no group, whatever its name, has anything left to read and nothing new has come, three looks in a row. */
async function settled(postgres: Postgres, log: EventLog): Promise<void> {
  for (let calm = 0, before = ''; calm < 3; await sleep(300)) {
    const [{ lag } = { lag: null }] = await postgres.query<{ lag: number | null }>(
      `SELECT sum(p.next_position - coalesce(o.committed, p.start_position))::int AS lag
       FROM vigil_log_owner o JOIN vigil_log_partition p USING (topic, partition)`,
    );
    const ends = await Promise.all(Object.values(TOPICS).map(({ name }) => log.ends(name)));
    const now = JSON.stringify(ends);
    calm = lag === 0 && now === before ? calm + 1 : 0;
    before = now;
  }
}

async function readAll<T>(log: EventLog, topic: string, open: (record: Parameters<typeof openEnvelope>[1]) => T) {
  const found: T[] = [];
  for (const { partition, start, end } of await log.ends(topic)) {
    for await (const record of log.read(topic, partition, start, end)) found.push(open(record));
  }
  return found;
}
