import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openS3BlobStore } from '@vigil/blob-store';
import { jsonEnvelope, placeOf, TOPICS, uploadId } from '@vigil/contracts';
import { type EmbeddedPostgres, openEmbeddedPostgres, outboxLag } from '@vigil/database';
import { type EventLog, lagOf, type NewRecord, openKafkaEventLog } from '@vigil/event-log';
import type { ReferenceView } from '@vigil/pipeline';
import { isRetriable, openPostgres, silentLogger } from '@vigil/runtime';
import { FLEET, openFleet } from '../network/open-fleet.ts';
import { type HttpProxy, openHttpProxy } from '../support/http-proxy.ts';
import { removeData, WITHOUT_BRAKES } from '../support/vigil-process.ts';
import { FAULTS, mib, type World } from './faults.ts';
import { faultMedia, LATE_WORK, type Medium } from './media.ts';
import { type Expected, examine, type Findings, type Planted } from './oracle.ts';
import { FORMS, type Form, isLate, type PlannedUpload, planUploads, randomOf, shuffled } from './plan.ts';
import { type Life, supervise } from './supervisor.ts';
import { watch } from './watch.ts';

export interface Outcome {
  /** Empty when nothing was lost, said twice, or held that should not. */
  wrong: string[];
  findings: Findings;
  summary: string[];
}

const BUCKET = 'uploads';
/** What was killed or has ended is back by then, on a machine however busy. */
const READY_SECONDS = 180;
const LIVE_MS = 5 * 60_000;
/** Who reads which topics: at the end nobody has anything left to read. */
const READERS: readonly [group: string, topic: string][] = [
  ['plan', TOPICS.uploads.name],
  ['learn', TOPICS.references.name],
  ['fingerprint-first', TOPICS.slicesFirst.name],
  ['fingerprint-rest', TOPICS.slicesRest.name],
  ['fingerprint-batch', TOPICS.slicesBatch.name],
  ['match-0-of-2', TOPICS.fingerprints.name],
  ['match-1-of-2', TOPICS.fingerprints.name],
  ['confirm', TOPICS.proposals.name],
  ['decide-manifests', TOPICS.manifests.name],
  ['decide-alignments', TOPICS.alignments.name],
  ['decide-evidence', TOPICS.evidence.name],
  ['record-acknowledgements', TOPICS.acknowledgements.name],
];

/**
 * Uploads through the whole fleet while everything round it fails, and then a look at whether all of it was judged, once.
 * Null where Kafka or S3 is not to be had.
 */
export async function runFaults(options: {
  form: Form['name'];
  seed: number;
  say(line: string): void;
}): Promise<Outcome | null> {
  const form = FORMS[options.form];
  const random = randomOf(options.seed ^ 0x5eed);
  const startedAt = Date.now();
  const say = (line: string) =>
    options.say(`${`+${((Date.now() - startedAt) / 1000).toFixed(1)}`.padStart(7)} s  ${line}`);
  await using stack = new AsyncDisposableStack();
  const { works, media } = await faultMedia();
  const planned = planUploads(form, media, options.seed);

  const folder = await mkdtemp(path.join(tmpdir(), 'vf-'));
  stack.defer(() => removeData(folder));
  const postgres = await restartable(folder);
  stack.defer(postgres.stop);
  let store: HttpProxy | undefined;
  const fleet = await openFleet({
    log: (line) => line.startsWith('no ') && say(line),
    own: true,
    settings: WITHOUT_BRAKES,
    databaseUrl: postgres.url,
    async s3Endpoint(s3) {
      store = stack.use(await openHttpProxy(s3.endpoint));
      return store.url;
    },
  });
  if (!fleet) return null;
  stack.use(fleet);
  const log = stack.use(
    openKafkaEventLog({ brokers: fleet.kafka.brokers, clientId: 'platform', logger: silentLogger }),
  );
  const { endpoint, region, accessKey, secretKey } = fleet.s3;
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const blobs = stack.use(await openS3BlobStore({ endpoint, region, credentials }));
  const supervisor = stack.use(supervise(fleet, Object.keys(FLEET), say));
  say(`the fleet is up: ${supervisor.names().join(', ')}`);

  const references = new Map<string, string>();
  const protect = async (names: readonly string[]) => {
    const { url } = fleet.member('planner');
    const headers = await fleet.member('planner').authorization();
    for (const { name, path: file, title } of works.filter((w) => names.includes(w.name))) {
      const query = new URLSearchParams({ name, title });
      const body = await readFile(file);
      const answer = await fetch(`${url}/v1/references?${query}`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/octet-stream' },
        body,
      });
      if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
      references.set(name, ((await answer.json()) as { reference: { id: string } }).reference.id);
    }
    for (const end = Date.now() + LIVE_MS; ; await sleep(200)) {
      const { items: views } = (await (await fetch(`${url}/v1/references?limit=200`, { headers })).json()) as {
        items: ReferenceView[];
      };
      if (views.length === references.size && views.every((v) => v.state === 'live')) return;
      if (Date.now() > end) throw new Error(`references are not live: ${JSON.stringify(views)}`);
    }
  };
  await protect(works.map((w) => w.name).filter((name) => name !== LATE_WORK));
  say(`${references.size} works are live; seed ${options.seed}, ${planned.length} uploads`);

  const looking = watch(log, blobs);
  const sent = new Map<string, { medium: Medium; version: string; event: NewRecord }>();
  const announced = new Map<string, number>();
  const partitions = new Map<string, number>();
  const planted: Planted[] = [];
  const wrong: string[] = [];
  const figures = { redoneSeconds: [] as number[], readySeconds: [] as number[] };
  const append = (records: readonly NewRecord[]) => insist(() => log.append(records));
  let extra = 0;
  async function send(medium: Medium, key = `fault/extra/${extra++}`): Promise<string> {
    const bytes = await readFile(medium.file);
    const { version } = await blobs.put(BUCKET, key, bytes);
    const location = { source: 'platform', bucket: BUCKET, key, version };
    const upload = uploadId(location);
    const now = Date.now();
    const data = { media: location, account: `acc-${key.length}`, receivedAt: now };
    const about = { id: upload, type: 'vigil.upload.created', source: 'platform', subject: upload, time: now, data };
    const event = { topic: TOPICS.uploads.name, ...jsonEnvelope(upload, about) };
    sent.set(upload, { medium, version, event });
    partitions.set(key, placeOf(upload, TOPICS.uploads.partitions));
    await append([event]);
    announced.set(upload, Date.now());
    return upload;
  }

  const world: World = {
    ...{ form, random, fleet, supervisor, store: store!, postgres, watch: looking, media, say, send, append },
    ...{ partitions, announced, planted, wrong, figures },
  };

  let polling = true;
  const poll = (async () => {
    for (; polling; await sleep(1000)) await looking.look();
  })();
  const send1 = async ({ key, medium, deliveries }: PlannedUpload) => {
    const upload = await send(medium, key);
    if (deliveries > 1) await append([sent.get(upload)!.event]);
  };
  /** One share after another, whatever the faults do meanwhile. */
  let sending: Promise<unknown> = Promise.resolve();
  const sendShare = (share: readonly PlannedUpload[]) => {
    sending = sending.then(async () => {
      for (const upload of share) {
        await send1(upload);
        await sleep((form.sendSeconds * 1000) / share.length);
      }
    });
    sending.catch(() => 'looked at in the end');
  };

  const order = Array.from({ length: form.rounds }, () => shuffled(random, FAULTS)).flat();
  const share = Math.ceil(planned.length / order.length);
  for (const [n, fault] of order.entries()) {
    sendShare(planned.slice(n * share, (n + 1) * share));
    await sleep((0.3 + 0.7 * random()) * form.pauseSeconds * 1000);
    await fault.befall(world, Math.floor(n / FAULTS.length));
    const over = Date.now();
    await supervisor
      .ready(READY_SECONDS)
      .catch((error: unknown) => wrong.push(`after ${fault.name}: ${String(error)}`));
    figures.readySeconds.push((Date.now() - over) / 1000);
  }
  await sending.catch((error: unknown) => wrong.push(`the platform could not send: ${String(error)}`));
  say('no more faults, and all is sent');

  let lateIsKnown = false;
  /** What has to be said of it as things stand. */
  const verdictsOf = (medium: Medium) => (isLate(medium) && !lateIsKnown ? ['cleared'] : medium.verdicts);
  const expected = (): Expected[] =>
    [...sent].map(([upload, { medium, version }]) => {
      const verdicts = verdictsOf(medium);
      const reference = verdicts.includes('taken-down') ? references.get(medium.copyOf!)! : null;
      const late = isLate(medium) && lateIsKnown;
      return { upload, name: `${medium.name} (${upload})`, version, verdicts, reference, late };
    });
  await using db = openPostgres({ url: postgres.url, max: 2 });
  /** False when nothing has moved for so long, and not all is done. */
  const settled = async (): Promise<boolean> => {
    let before = '';
    for (let end = 0; ; await sleep(500)) {
      const open = [...sent].filter(
        ([upload, { medium }]) => !verdictsOf(medium).includes(looking.newest.get(upload)?.verdict ?? ''),
      );
      const left = (await lagOfAll(log)) + (await outboxLag(db)).waiting;
      if (open.length === 0 && left === 0) return true;
      const now = `${open.length} uploads without their verdict, ${left} events unread`;
      if (now !== before) end = Date.now() + form.drainSeconds * 1000;
      before = now;
      if (Date.now() < end) continue;
      wrong.push(`nothing has moved for ${form.drainSeconds} s: ${now}`);
      return false;
    }
  };
  if (await settled()) {
    say(`${looking.judgedAt.size} of ${sent.size} uploads are judged`);
    await protect([LATE_WORK]);
    lateIsKnown = true;
    const late = [...sent.values()].filter(({ medium }) => isLate(medium));
    await append(late.map(({ event }) => event));
    say(`${LATE_WORK} is registered, and its ${late.length} copies are announced again`);
    await settled();
  }
  // What should not come would come now.
  await sleep(1000);
  polling = false;
  await poll;
  await looking.look();

  const findings = examine(expected(), planted, looking.observed());
  wrong.push(...findings.wrong, ...memoryThatGrew(supervisor.lives));
  const unasked = supervisor.lives.filter((l) => l.end && !l.end.asked);
  const peak = Math.max(...supervisor.lives.flatMap((l) => l.memory.map((m) => m.bytes)));
  const worst = (list: readonly number[]) => (list.length > 0 ? `${Math.max(...list).toFixed(1)} s` : 'none');
  const summary = [
    `seed ${options.seed}: ${sent.size} uploads, ${findings.takedowns} taken down, ${findings.revisions} later revisions (${findings.incomplete} because their time was up), ${findings.dead} dead letters of ${planted.length} planted`,
    `${supervisor.lives.length - supervisor.names().length} processes were started again, ${unasked.length} of them because they had ended by themselves`,
    `after the kill of a fingerprinter, slices were done again within ${worst(figures.redoneSeconds)}; after a fault all were ready within ${worst(figures.readySeconds)}`,
    `the largest process had ${mib(peak).slice(1)} (PSS)`,
  ];
  return { wrong, findings, summary };
}

/** Repeats what fails for the world's sake, as a platform's producer would. */
async function insist<T>(work: () => Promise<T>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isRetriable(error)) throw error;
      await sleep(300);
    }
  }
}

async function lagOfAll(log: EventLog): Promise<number> {
  let lag = 0;
  for (const [group, topic] of READERS) lag += await lagOf(log, group, topic);
  return lag;
}

/** A PostgreSQL that goes and comes back, with its data, at the same address. */
async function restartable(folder: string) {
  let server: EmbeddedPostgres | null = await openEmbeddedPostgres({ dataFolder: folder });
  const { url } = server;
  return {
    url,
    async stop() {
      await server?.[Symbol.asyncDispose]();
      server = null;
    },
    async start() {
      server = await openEmbeddedPostgres({ dataFolder: folder });
      if (server.url !== url) throw new Error(`PostgreSQL has come back as ${server.url}`);
    },
  };
}

/** What a process needs is there after a while; from then on it may breathe, and not grow. */
function memoryThatGrew(lives: readonly Life[]): string[] {
  return lives.flatMap(({ name, memory }) => {
    const high = (from: number, to: number) =>
      Math.max(0, ...memory.slice(from * memory.length, to * memory.length).map((m) => m.bytes));
    const [early, late] = [high(0, 0.6), high(0.6, 1)];
    if (Math.max(early, late) > MOST_BYTES) return [`${name} had ${mib(Math.max(early, late))}`];
    const lived = memory.length > 0 ? memory.at(-1)!.at - memory[0]!.at : 0;
    const grew = lived > WARM_MS && late > early * 1.2 + 48 * 2 ** 20;
    return grew ? [`${name} grew from ${mib(early)} to ${mib(late)}`] : [];
  });
}

const MOST_BYTES = 640 * 2 ** 20;
const WARM_MS = 5 * 60_000;
