import { setTimeout as sleep } from 'node:timers/promises';
import { placeOf, TOPICS, type TopicName } from '@vigil/contracts';
import type { NewRecord } from '@vigil/event-log';
import type { Fleet } from '../network/open-fleet.ts';
import type { HttpProxy, RequestFault } from '../support/http-proxy.ts';
import { ownersOf } from '../support/kafka-groups.ts';
import { processTree } from '../support/process-tree.ts';
import type { Medium } from './media.ts';
import type { Planted } from './oracle.ts';
import { between, type Form, pick, type Random, shuffled } from './plan.ts';
import type { Supervisor } from './supervisor.ts';
import { type Watch, WORK } from './watch.ts';

/** What a fault can get at. */
export interface World {
  form: Form;
  random: Random;
  fleet: Fleet;
  supervisor: Supervisor;
  /** Between the fleet and S3. */
  store: HttpProxy;
  postgres: { stop(): Promise<void>; start(): Promise<void> };
  watch: Watch;
  media: readonly Medium[];
  say(line: string): void;
  /** Stores and announces one more upload; resolves with its id. */
  send(medium: Medium): Promise<string>;
  /** Appends, however long the log stays away. */
  append(records: readonly NewRecord[]): Promise<void>;
  /** Partition of the topic of uploads, by key of the object. */
  partitions: ReadonlyMap<string, number>;
  /** When each upload was announced; milliseconds since 1970. */
  announced: ReadonlyMap<string, number>;
  planted: Planted[];
  /** What did not hold while a fault lasted. */
  wrong: string[];
  figures: { redoneSeconds: number[]; readySeconds: number[] };
}

export interface Fault {
  name: string;
  /** `round` counts how often this kind has been. Returns when it is over. */
  befall(world: World, round: number): Promise<void>;
}

const SLOW_DOWN =
  '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>';
/** Longer than consumers wait for the broker, so that their processes end, and others come. */
const BEYOND_PATIENCE_SECONDS = 75;
/** What takes so long is lost. */
const PATIENCE_SECONDS = 120;
/** Some for each partition, so that some meet what is ill and some do not. */
const STALLED_UPLOADS = 24;
const GROWTH_BYTES = 96 * 2 ** 20;
const FINGERPRINTER = { VIGIL_ROLES: 'fingerprint,confirm', VIGIL_CONCURRENCY: '1' };

const kill: Fault = {
  name: 'kill',
  async befall({ random, supervisor, say }) {
    const victims = shuffled(random, supervisor.names()).slice(0, random() < 0.4 ? 2 : 1);
    say(`SIGKILL for ${victims.join(' and ')}`);
    await Promise.all(victims.map((name) => supervisor.kill(name)));
  },
};

const killDecoding: Fault = {
  name: 'kill-decoding',
  async befall(world) {
    const { supervisor, watch, say, wrong, figures } = world;
    const decoders = supervisor.names().filter((name) => name.startsWith('fingerprinter'));
    // Who decodes may be looking again at another upload, and a film may be done in the moment that it is looked at.
    for (let tries = 0; tries < 8; tries++) {
      const upload = await world.send(pick(world.random, filmsOf(world)));
      const victim = await until(PATIENCE_SECONDS / 4, async () => {
        await watch.look();
        return openAt(watch, [upload], Date.now()).length > 0 ? decodes(world, decoders) : null;
      });
      if (!victim) continue;
      const killedAt = Date.now();
      await supervisor.kill(victim);
      say(`SIGKILL for ${victim}, while it decodes`);
      let slices: string[] = [];
      const done = await until(PATIENCE_SECONDS, async () => {
        if (!(await watch.look())) return null;
        slices = openAt(watch, [upload], killedAt);
        return slices.every((key) => watch.fingerprinted.has(key)) || null;
      });
      if (!done)
        return void wrong.push(`what a killed fingerprinter did was not done again within ${PATIENCE_SECONDS} s`);
      if (slices.length === 0) continue;
      const seconds = (Math.max(...slices.map((key) => watch.fingerprinted.get(key)!)) - killedAt) / 1000;
      figures.redoneSeconds.push(seconds);
      return say(`${slices.length} slices that were open are done ${seconds.toFixed(1)} s after the kill`);
    }
    wrong.push('no fingerprinter was killed in the middle of a film');
  },
};

/** One that joins takes partitions over; it leaves while it decodes, so that others have to begin its slice anew. */
const reassign: Fault = {
  name: 'reassign',
  async befall(world, round) {
    const { supervisor, fleet, watch, say, wrong, random } = world;
    const name = `fingerprinter-${'cdefghij'[round % 8]}`;
    const owned = async () => {
      const groups = ['fingerprint-first', 'fingerprint-rest'];
      const all = await Promise.all(groups.map((group) => ownersOf(fleet.kafka.brokers, group)));
      return all.flatMap((owners) => [...owners.values()]).filter((owner) => owner.includes(name)).length;
    };
    // A film may be done in the moment that it is looked at.
    for (let tries = 0; tries < 4; tries++) if (await handOver()) return;
    wrong.push('no partition changed hands in the middle of a film');

    async function handOver(): Promise<boolean> {
      await supervisor.add(name, FINGERPRINTER);
      const taken = await until(PATIENCE_SECONDS, async () => (await owned()) || null);
      if (!taken) wrong.push(`${name} was given no partition within ${PATIENCE_SECONDS} s`);
      const films: string[] = [];
      let decoding: string | null = null;
      while (!decoding && films.length < 12) {
        films.push(...(await Promise.all([0, 1].map(() => world.send(pick(random, filmsOf(world)))))));
        // What it decodes first may be something that waited there: a film of ours has to be in the middle.
        decoding = await until(PATIENCE_SECONDS / 4, async () => {
          await watch.look();
          return openAt(watch, films, Date.now()).length > 0 ? decodes(world, [name]) : null;
        });
      }
      const leaving = supervisor.remove(name);
      await watch.look();
      const open = openAt(watch, films, Date.now()).length;
      const { code, signal } = await leaving;
      say(
        `${name} took ${taken} partitions over and leaves while it decodes (${code ?? signal}); ${open} of ${slicesOf(watch, films).length} slices of films are open`,
      );
      if (code !== 0) wrong.push(`${name} was asked to end and ended with ${code ?? signal}`);
      return decoding !== null && open > 0;
    }
  },
};

const brokerStops: Fault = {
  name: 'broker',
  async befall(world, round) {
    const { fleet, say, random, form } = world;
    const violent = random() < 0.5;
    const seconds = form.name === 'full' && round === 1 ? BEYOND_PATIENCE_SECONDS : between(random, form.outageSeconds);
    say(`the broker is ${violent ? 'killed' : 'stopped'} for ${seconds.toFixed(0)} s`);
    await (violent ? fleet.kafka.kill() : fleet.kafka.stop());
    await outage(world, seconds);
    await fleet.kafka.start();
    say('the broker is back');
  },
};

const databaseRestarts: Fault = {
  name: 'postgres',
  async befall(world) {
    const seconds = between(world.random, world.form.outageSeconds);
    world.say(`PostgreSQL is stopped for ${seconds.toFixed(0)} s`);
    await world.postgres.stop();
    await outage(world, seconds);
    const name = pick(world.random, world.supervisor.running());
    const leaving = world.supervisor.kill(name, 'SIGTERM');
    await sleep(500);
    await world.postgres.start();
    const { code, signal } = await leaving;
    world.say(`PostgreSQL is back; ${name} was asked to end without it, and did (${code ?? signal})`);
    if (code !== 0) world.wrong.push(`${name} was asked to end in an outage and ended with ${code ?? signal}`);
  },
};

const storeAnswers503: Fault = {
  name: 's3-503',
  async befall(world, round) {
    const { store, form, random, say } = world;
    const seconds = form.name === 'full' && round === 0 ? 150 : between(random, form.outageSeconds);
    say(`S3 answers 503 for ${seconds.toFixed(0)} s`);
    const before = store.befallen;
    store.set(() => ({ status: 503, body: SLOW_DOWN }));
    await outage(world, seconds);
    store.set(() => 'none');
    say(`S3 answers again (${store.befallen - before} requests were refused)`);
  },
};

/** Some partitions' objects do not move, as when a part of a store is ill. The others are judged as if nothing was. */
const storeStalls: Fault = {
  name: 's3-stall',
  async befall(world, round) {
    const { store, form, random, say, send, media, partitions, announced, watch, wrong, supervisor } = world;
    const ill = new Set(shuffled(random, [...Array(TOPICS.uploads.partitions).keys()]).slice(0, 2));
    const seconds = form.name === 'short' ? 8 : round === 0 ? 170 : between(random, [30, 60]);
    const isIll = (path: string): boolean => {
      const key = /^\/uploads\/([^?]+)/.exec(path)?.[1];
      return key !== undefined && ill.has(partitions.get(decodeURIComponent(key)) ?? -1);
    };
    // What a process takes when it starts is no growth of the stall's.
    const young = () =>
      supervisor.lives.some((l) => l.end === null && Date.now() - l.startedAt < form.warmSeconds * 1000);
    await until(form.warmSeconds + 1, async () => (young() ? null : true));
    say(`S3 stalls for ${seconds.toFixed(0)} s on objects of partitions ${[...ill].join(' and ')}`);
    const before = { at: Date.now(), befallen: store.befallen, memory: memoryOf(supervisor) };
    store.set((path): RequestFault => (isIll(path) ? 'stall' : 'none'));
    // The share that is sent with this fault may all be done by now.
    const images = media.filter((m) => m.kind === 'image');
    for (let n = 0; n < STALLED_UPLOADS; n++) await send(pick(random, images));
    await sleep(seconds * 1000);
    // On a machine that has much else to do, a while longer.
    const others = () =>
      [...announced].filter(([upload, at]) => at > before.at && !ill.has(placeOf(upload, TOPICS.uploads.partitions)));
    await until(PATIENCE_SECONDS, async () => {
      await watch.look();
      return store.befallen > before.befallen && others().some(([upload]) => watch.judgedAt.has(upload)) ? true : null;
    });
    await until(5, async () => (await watch.look()) || null);
    const grown = growth(before.memory, memoryOf(supervisor));
    store.set(() => 'none');
    const during = [...announced].filter(([, at]) => at > before.at);
    const judged = during.filter(([upload]) => watch.judgedAt.has(upload));
    const stuck = judged.filter(([upload]) => ill.has(placeOf(upload, TOPICS.uploads.partitions))).length;
    say(
      `S3 goes on: ${store.befallen - before.befallen} requests hung; ${judged.length} of ${during.length} uploads announced meanwhile are judged; memory ${mib(grown)}`,
    );
    if (store.befallen === before.befallen) wrong.push('S3 stalled, and no request met it');
    if (judged.length - stuck === 0) wrong.push('while S3 stalled on some partitions, no other went on');
    if (grown > GROWTH_BYTES) wrong.push(`while S3 stalled, memory grew by ${mib(grown)}`);
  },
};

const redeliver: Fault = {
  name: 'redeliver',
  async befall({ random, watch, append, say, form }) {
    const again: NewRecord[] = [];
    for (const name of WORK) {
      const good = (watch.seen.get(name) ?? []).filter((r) => !r.key.startsWith('bad-'));
      const some = shuffled(random, good).slice(0, form.name === 'short' ? 4 : 15);
      again.push(...some.map(({ topic, key, headers, value }) => ({ topic, key, headers, value })));
    }
    say(`${again.length} events of ${WORK.length} topics are delivered once more`);
    await append(shuffled(random, again));
  },
};

const plantBadEvents: Fault = {
  name: 'bad-events',
  async befall({ append, planted, say }, round) {
    const groups: [TopicName, string[]][] = [
      ['uploads', ['plan']],
      ['manifests', ['decide-manifests']],
      ['slicesFirst', ['fingerprint-first']],
      ['slicesRest', ['fingerprint-rest']],
      ['slicesBatch', ['fingerprint-batch']],
      ['fingerprints', ['match-0-of-2', 'match-1-of-2']],
      ['proposals', ['confirm']],
      ['alignments', ['decide-alignments']],
      ['evidence', ['decide-evidence']],
      ['acknowledgements', ['record-acknowledgements']],
    ];
    const bytes = (text: string) => new TextEncoder().encode(text);
    const typed = { ce_specversion: '1.0', ce_id: 'bad', ce_source: 'test', 'content-type': 'application/json' };
    const records: NewRecord[] = [];
    for (const [name, readers] of groups) {
      const topic = TOPICS[name].name;
      const bad: Omit<NewRecord, 'topic' | 'key'>[] = [
        { headers: {}, value: bytes('no JSON at all') },
        { headers: { ...typed, ce_type: 'vigil.upload.created' }, value: bytes('{"media":17}') },
        { headers: { ...typed, ce_type: 'of.another.world' }, value: bytes('{}') },
      ];
      for (const [n, one] of bad.entries()) {
        const key = `bad-${round}-${n}`;
        records.push({ topic, key, ...one });
        for (const group of readers) planted.push({ topic: `${topic}.dead`, key, group });
      }
    }
    say(`${records.length} events that nobody understands are planted`);
    await append(records);
  },
};

export const FAULTS: readonly Fault[] = [
  kill,
  killDecoding,
  reassign,
  brokerStops,
  databaseRestarts,
  storeAnswers503,
  storeStalls,
  redeliver,
  plantBadEvents,
];

/** Waits, and looks whether every process says of itself what is true: alive, and not ready. */
async function outage({ supervisor, fleet, wrong }: World, seconds: number): Promise<void> {
  const until = Date.now() + seconds * 1000;
  await sleep(Math.min(1000, seconds * 500));
  const asked = await Promise.all(
    supervisor.names().map(async (name) => {
      const status = (probe: string) =>
        fetch(`${fleet.member(name).url}/health/${probe}`).then(
          (r) => r.status,
          () => 0,
        );
      return { name, live: await status('live'), ready: await status('ready') };
    }),
  );
  for (const { name, live, ready } of asked) {
    if (live === 0) continue;
    if (live !== 200 || ready !== 503) wrong.push(`${name} said in an outage: live ${live}, ready ${ready}`);
  }
  await sleep(Math.max(0, until - Date.now()));
}

/** Which of them has a decoder at work. */
async function decodes({ fleet }: World, names: readonly string[]): Promise<string | null> {
  for (const name of names) if ((await processTree(fleet.member(name).pid)).length > 1) return name;
  return null;
}

const slicesOf = ({ cut }: Watch, uploads: readonly string[]): string[] =>
  [...cut.keys()].filter((key) => uploads.some((upload) => key.startsWith(`${upload}/`)));

/** Slices that were cut by then, and not done. */
const openAt = (watch: Watch, uploads: readonly string[], time: number): string[] =>
  slicesOf(watch, uploads).filter(
    (key) => watch.cut.get(key)! < time && (watch.fingerprinted.get(key) ?? Number.POSITIVE_INFINITY) > time,
  );

const filmsOf = ({ media }: World): Medium[] => media.filter((m) => m.kind === 'film');

export async function until<T>(seconds: number, look: () => Promise<T | null>): Promise<T | null> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(25)) {
    const found = await look();
    if (found !== null) return found;
  }
  return null;
}

/** Newest sample of each process that lives. */
function memoryOf({ lives }: Supervisor): Map<number, number> {
  const samples = lives.filter((l) => l.end === null).map((l) => [l.startedAt, l.memory.at(-1)?.bytes ?? 0] as const);
  return new Map(samples.filter(([, bytes]) => bytes > 0));
}

/** Of the processes that were there before and are now. */
function growth(before: Map<number, number>, after: Map<number, number>): number {
  return [...after].reduce((sum, [life, bytes]) => sum + (before.has(life) ? bytes - before.get(life)! : 0), 0);
}

export const mib = (bytes: number): string => `${bytes >= 0 ? '+' : ''}${(bytes / 2 ** 20).toFixed(0)} MiB`;
