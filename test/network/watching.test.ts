/** How Vigil is watched, on a whole network with everything real; the collector of spans is a server of a few lines. */

import { readFile, statfs as statfsOf } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { jsonEnvelope, TOPICS, uploadId } from '@vigil/contracts';
import { METRICS } from '@vigil/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { seedsHere } from '../support/seeds.ts';
import { type Network, openNetwork } from './open-network.ts';

/** Asked for until it shows: on a busy machine what is gathered, and what makes ready, comes late. */
const LATE = { timeout: 30_000 };
const WORK = 'picture-morning-ridge.png';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const UNSAMPLED = 'aaf92f3577b34da6a3ce929d0e0e4737';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
}

async function openCollector() {
  const spans: Span[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
      };
      for (const r of body.resourceSpans) for (const s of r.scopeSpans) spans.push(...s.spans);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { spans, url, close: () => new Promise((resolve) => server.close(resolve)) };
}

describe('watching', () => {
  let seeds: SeedSet;
  let network: Network;
  let full = false;
  let collector: Awaited<ReturnType<typeof openCollector>>;

  beforeAll(async () => {
    seeds = await seedsHere();
    collector = await openCollector();
    // Of the real disk what is free may be made to look less.
    const statfs = async (path: string) => {
      const real = await statfsOf(path);
      return full ? { ...real, bavail: 1 } : real;
    };
    network = await openNetwork({ settings: { VIGIL_OTLP_ENDPOINT: collector.url }, statfs });
    const { name, path } = seeds.references.find((r) => r.name === WORK)!;
    await network.protect([{ name, file: path }]);
  }, 180_000);
  afterAll(async () => {
    await network?.[Symbol.asyncDispose]();
    await collector?.close();
  });

  /** As a platform would: the bytes in the store, and an event with its own trace, or none. */
  async function upload(key: string, bytes: Uint8Array, headers: Record<string, string>): Promise<string> {
    const { version } = await network.instance.blobs.put('uploads', key, bytes);
    const media = { source: 'platform', bucket: 'uploads', key, version };
    const data = { media, account: 'somebody', receivedAt: Date.now() };
    const event = { id: key, type: 'vigil.upload.created', source: 'platform', subject: key, time: Date.now(), data };
    const envelope = jsonEnvelope(key, event);
    const record = { topic: TOPICS.uploads.name, ...envelope, headers: { ...envelope.headers, ...headers } };
    await network.instance.log.append([record]);
    return uploadId(media);
  }

  async function headersOf(topic: string, upload: string): Promise<Record<string, string>[]> {
    const found: Record<string, string>[] = [];
    for (const { partition, start, end } of await network.instance.log.ends(topic)) {
      for await (const r of network.instance.log.read(topic, partition, start, end))
        if (r.key === upload) found.push(r.headers);
    }
    return found;
  }
  const traceId = (headers: Record<string, string> | undefined) => headers?.traceparent?.split('-')[1];

  /** Sample lines of the text format: name, labels, value. */
  async function samples() {
    const { body } = await network.instance.metrics.expose();
    return body
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
        const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, k = '', v = '']) => [k, v]);
        return { name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) };
      });
  }
  const value = async (name: string, labels: Record<string, string> = {}) =>
    (await samples()).find((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))
      ?.value;

  test('a trace goes from the upload event to takedown, verdict, spans and the way that is shown', async () => {
    const picture = await readFile(seeds.references.find((r) => r.name === WORK)!.path);
    const [parent, state] = ['00f067aa0ba902b7', 'vendor=of-the-platform'];
    const headers = { traceparent: `00-${TRACE}-${parent}-01`, tracestate: state };
    const copy = await upload('copy.png', picture, headers);
    await network.drain([copy], 60);

    const [takedown] = await headersOf(TOPICS.takedowns.name, copy);
    const [verdict] = await headersOf(TOPICS.verdicts.name, copy);
    expect([takedown, verdict].map(traceId)).toEqual([TRACE, TRACE]);
    expect(takedown).toMatchObject({ ce_traceparent: takedown!.traceparent, tracestate: state });
    expect((await network.instance.inspect.trace(copy))!.trace).toBe(TRACE);

    const mine = () => collector.spans.filter((s) => s.traceId === TRACE);
    const wanted = ['plan', 'fingerprint-first', 'match', 'confirm', 'decide-manifest', 'decide-evidence'];
    await expect.poll(() => mine().map((s) => s.name), LATE).toEqual(expect.arrayContaining(wanted));
    const plan = mine().find((s) => s.name === 'plan')!;
    expect(plan.parentSpanId).toBe(parent);
    expect(mine().find((s) => s.name === 'fingerprint-first')!.parentSpanId).toBe(plan.spanId);
  });

  test('an event without a trace begins one; one that is not sampled is carried on and not sent', async () => {
    const [clean, other] = [await seedOf('image', 0), await seedOf('image', 1)];
    const quiet = await upload('quiet.png', clean, { ce_traceparent: `00-${UNSAMPLED}-00f067aa0ba902b7-00` });
    const begun = await upload('begun.png', other, { traceparent: '00-00000000000000000000000000000000-0-01' });
    await network.drain([quiet, begun], 60);
    const [first] = await headersOf(TOPICS.verdicts.name, quiet);
    const [second] = await headersOf(TOPICS.verdicts.name, begun);
    expect(traceId(first)).toBe(UNSAMPLED);
    expect(traceId(second)).toMatch(/^(?!0+$)[0-9a-f]{32}$/);
    const sent = () => collector.spans.filter((s) => s.traceId === traceId(second) && s.name === 'plan');
    await expect.poll(sent, LATE).toMatchObject([{ name: 'plan' }]);
    expect(sent()[0]!.parentSpanId ?? '').toBe('');
    expect(collector.spans.filter((s) => s.traceId === UNSAMPLED)).toEqual([]);
  });

  async function seedOf(kind: string, n: number): Promise<Uint8Array> {
    return readFile(seeds.uploads.filter((u) => u.kind === kind)[n]!.path);
  }

  test('measures what happened', async () => {
    const broken = await upload('broken.png', new TextEncoder().encode('no picture at all'), {});
    await network.instance.log.append([
      { topic: TOPICS.uploads.name, key: 'x', headers: {}, value: new TextEncoder().encode('{}') },
    ]);
    await network.drain([broken], 60);
    await expect.poll(() => value('vigil_dead_letters_total', { topic: TOPICS.uploads.name }), LATE).toBe(1);
    expect(await value('vigil_takedown_seconds_count', { kind: 'image' })).toBeGreaterThanOrEqual(1);
    expect(await value('vigil_takedown_seconds_sum', { kind: 'image' })).toBeGreaterThan(0);
    expect(await value('vigil_verdicts_total', { verdict: 'rejected', cause: 'first' })).toBe(1);
    expect(await value('vigil_decode_failures_total', { stage: 'plan' })).toBe(1);
    expect(await value('vigil_dead_letters', { topic: TOPICS.uploads.name })).toBe(1);
    expect(await value('vigil_stage_errors_total', { stage: 'plan', kind: 'malformed' })).toBe(1);
    expect(await value('vigil_stage_events_total', { stage: 'plan', outcome: 'done' })).toBe(4);
    expect(await value('vigil_references', { state: 'live' })).toBe(1);
    expect(await value('vigil_index_codes', { kind: 'picture' })).toBeGreaterThan(0);
    expect(await value('vigil_index_behind_seconds')).toBeLessThan(15);
    await expect.poll(() => value('vigil_ready'), LATE).toBe(1);
  });

  test('tells what canaries, indexes and brakes say', async () => {
    const { witnesses, brakes, status } = network.instance;
    const result = { upload: null, ms: null };
    await witnesses.round({
      canary: 'here',
      everySeconds: 300,
      results: [
        { case: 'copy', green: false, why: 'missing after 60 s', ...result },
        { case: 'clean', green: true, why: null, ...result },
      ],
    });
    const { id } = await brakes.set('flood-holder', 'operator', 'to be seen', 'somebody');
    expect(await value('vigil_canary_green', { case: 'copy' })).toBe(0);
    expect(await value('vigil_canary_green', { case: 'clean' })).toBe(1);
    expect(await value('vigil_canary_run_timestamp_seconds', { case: 'copy' })).toBeGreaterThan(Date.now() / 1000 - 60);
    expect(await value('vigil_brake_on', { brake: 'flood-holder' })).toBe(1);
    const seen = await status.read();
    expect(seen.brakes).toMatchObject([{ id, brake: 'flood-holder', subject: 'operator', why: 'to be seen', held: 0 }]);
    expect(seen.witnesses.map((w) => [w.name, w.state])).toEqual(
      expect.arrayContaining([
        ['canary-copy', 'red'],
        ['canary-clean', 'green'],
      ]),
    );
    await brakes.release(id, 'somebody', false);
    expect(await value('vigil_brake_on', { brake: 'flood-holder' })).toBe(0);
  });

  test('has few series, and no label that names an upload, a holder or an account', async () => {
    const all = await samples();
    expect(new Set(all.map((s) => s.name.replace(/_(bucket|sum|count)$/, ''))).size).toBeGreaterThan(20);
    for (const { name, labels } of all) {
      const declared =
        METRICS[name.replace(/_(bucket|sum|count)$/, '') as keyof typeof METRICS] ?? METRICS[name as never];
      const allowed: readonly string[] = [...declared.labels, ...(name.endsWith('_bucket') ? ['le'] : [])];
      expect(Object.keys(labels).sort(), name).toEqual([...allowed].sort());
      for (const text of Object.values(labels))
        expect(text, name).not.toMatch(/^(up|ref|claim|case|work)_|somebody|\.png$/);
    }
    // One process with every role: a fleet's processes have less each.
    expect(all.length).toBeLessThan(900);
    expect(
      new Set(all.filter((s) => !s.name.endsWith('_bucket')).map((s) => JSON.stringify([s.name, s.labels]))).size,
    ).toBeLessThan(400);
  });

  test('the state of all tells the same', async () => {
    const wanted = { ready: true, intakeStopped: false, unknown: [], reviews: 0 };
    await expect.poll(() => network.instance.status.read(), LATE).toMatchObject(wanted);
    const status = await network.instance.status.read();
    expect(status.rates.uploads * 5).toBe(5);
    expect(status.rates.verdicts * 5).toBe(4);
    expect(status.timeToTakedown!.count).toBeGreaterThanOrEqual(1);
    expect(status.timeToTakedown!.p50).toBeGreaterThan(0);
    expect(status.lastVerdicts.map((v) => v.verdict)).toEqual(expect.arrayContaining(['taken-down', 'rejected']));
    expect(status.deadLetters).toEqual([{ topic: TOPICS.uploads.name, day: 1, kept: 1, open: 1 }]);
    expect(status.library.references).toEqual({ live: 1 });
    expect(status.queues.map((q) => q.group)).toContain('match-0-of-1');
    const behind = async () =>
      (await network.instance.status.queues()).filter((q) => q.waiting > 0 || q.behindSeconds > 0);
    await expect.poll(behind, LATE).toEqual([]);
    expect(status.disks.map((d) => d.disk)).toEqual(['data', 'temp']);
    for (const { freeBytes, sizeBytes } of status.disks) expect(sizeBytes).toBeGreaterThan(freeBytes);
  });

  test('a disk that is nearly full stops intake and loses nothing; it goes on by itself, after one alarm', async () => {
    const { intake, serveBlobs, blobs } = network.instance;
    const bytes = await seedOf('image', 2);
    const door = createServer((request, response) => void serveBlobs!(request, response));
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
    const address = await blobs.presign('PUT', 'uploads', 'by-address.png', 60);
    address.port = String((door.address() as AddressInfo).port);
    address.hostname = '127.0.0.1';
    const put = () => fetch(address, { method: 'PUT', body: new Uint8Array(bytes) });

    full = true;
    await expect.poll(() => value('vigil_intake_stopped'), LATE).toBe(1);
    await expect(intake.upload('late.png', bytes)).rejects.toThrow('until there is room');
    const refused = await put();
    expect([refused.status, await refused.json()]).toMatchObject([507, { type: 'urn:vigil:problem:storage-full' }]);
    // Whoever has a store of their own goes on sending events: these wait.
    const waiting = await upload('waiting.png', bytes, {});
    await sleep(1500);
    expect((await network.verdicts()).filter((v) => v.upload === waiting)).toEqual([]);
    const { status } = network.instance;
    expect((await status.read()).intakeStopped).toBe(true);
    const behind = async () => (await status.read()).queues.find((q) => q.stage === 'plan')!.behindSeconds;
    await expect.poll(behind, LATE).toBeGreaterThan(0.5);
    await expect.poll(() => value('vigil_ready'), LATE).toBe(1);

    full = false;
    await network.drain([waiting], 60);
    expect((await put()).status).toBeLessThan(300);
    const alarms = async () => (await status.read()).alarms.filter((alarm) => alarm.kind === 'intake-stopped').length;
    await expect.poll(alarms, LATE).toBe(1);
    await expect.poll(() => value('vigil_alarms_total', { kind: 'intake-stopped' }), LATE).toBe(1);
    await new Promise((resolve) => door.close(resolve));
  });
});
