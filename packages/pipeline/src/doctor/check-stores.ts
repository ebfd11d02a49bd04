import path from 'node:path';
import { deadSpec, jsonEnvelope, TOPICS, type TopicSpec } from '@vigil/contracts';
import { listReplicas, probeServer, schemaOf } from '@vigil/database';
import { type EventLog, EventLogError } from '@vigil/event-log';
import { type Config, openPostgres, type Postgres, silentLogger } from '@vigil/runtime';
import { OWN_BUCKET } from '../emit.ts';
import { REFERENCE_BUCKET, UPLOAD_BUCKET } from '../intake.ts';
import { findDatabase, NoDatabase, openBlobs, openLog } from '../stores.ts';
import { clockFound, type Finding, type Found, failure, look, ok, skipped, warning } from './findings.ts';

/** The stores, by doing what the pipeline does there. What is done is undone, but for a topic called vigil.doctor. */
export async function checkStores(config: Config): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack();
  const database = await openForLook(config, stack);
  const found: Finding[] = [database.finding];
  if (database.postgres) found.push(...(await checkDatabase(database.postgres)));
  found.push(...(await checkLog(config, database.postgres)));
  found.push(...(await checkBlobs(config)));
  return found;
}

/** The database that the settings name; else the one of the data folder, running or not, if there is one. */
async function openForLook(
  config: Config,
  stack: AsyncDisposableStack,
): Promise<{ finding: Finding; postgres: Postgres | null }> {
  const { databaseUrl, dataFolder } = config;
  let postgres: Postgres | null = null;
  const todo = databaseUrl
    ? 'check DATABASE_URL: host, port, user, password and database; and that this machine may connect (pg_hba.conf)'
    : `see the log of the server in ${path.join(dataFolder, 'postgres')}`;
  const finding = await look('database', todo, async () => {
    const found = await findDatabase(config, stack).catch((error: unknown) => {
      if (error instanceof NoDatabase) return null;
      throw error;
    });
    if (!found) return skipped('none yet: the first start makes one in the data folder');
    const { url, running } = found;
    const opened = stack.use(openPostgres({ url, max: 4, applicationName: 'vigil-doctor' }));
    await opened.query('SELECT 1');
    postgres = opened;
    return ok(databaseUrl ? 'it answers' : `that of the data folder answers${running ? ', as it runs' : ''}`);
  });
  return { finding, postgres };
}

const OLDEST_POSTGRES = 14;

async function checkDatabase(postgres: Postgres): Promise<Finding[]> {
  let clock: Finding | null = null;
  let durability: Finding | null = null;
  const rights = await look(
    'database: rights',
    'let its user make tables and functions: make it the owner of a database of its own',
    async () => {
      const before = Date.now();
      const { version, now, connections, durable } = await probeServer(postgres);
      const [skew, rough] = [now - (before + Date.now()) / 2, (Date.now() - before) / 2];
      clock = await look('clock: database', '', () => clockFound('the database', skew, rough));
      if (version < OLDEST_POSTGRES)
        return failure(`PostgreSQL ${version}`, `use PostgreSQL ${OLDEST_POSTGRES} or newer`);
      const left = connections.most - connections.used;
      durability = await look('database: durability', '', () =>
        durable
          ? ok('what it has committed survives a crash')
          : warning('it may forget what it has committed', 'set fsync = on and synchronous_commit = on'),
      );
      const text = `PostgreSQL ${version}; wrote, read and rolled back`;
      if (left < 20)
        return warning(
          `${text}; only ${left} of ${connections.most} connections are free`,
          'raise max_connections: each process takes up to 16',
        );
      return ok(text);
    },
  );
  const schema = await look('database: schema', 'see the log of the last start', async () => {
    const { present, newest } = await schemaOf(postgres);
    if (present > newest)
      return failure(
        `schema ${present}, and this release knows ${newest}`,
        'start a newer release: there is no way back',
      );
    if (present === 0) return ok(`empty: the first start makes schema ${newest}`);
    if (present < newest)
      return warning(
        `schema ${present}; ${newest - present} steps to ${newest} are pending`,
        'the next start takes them: back up first, and stop older processes',
      );
    return ok(`schema ${present}, the newest`);
  });
  const matchers = await look('matchers', 'vigil replicas', () => checkMatchers(postgres));
  return [rights, durability, clock, schema, matchers].filter((one) => one !== null);
}

const SILENT_MS = 60_000;

async function checkMatchers(postgres: Postgres): Promise<Found> {
  const { present } = await schemaOf(postgres);
  if (present < 5) return skipped('none has registered yet');
  const all = await listReplicas(postgres);
  if (all.length === 0) return skipped('none has registered yet');
  const silent = all.filter((r) => r.seenAt !== null && Date.now() - r.seenAt > SILENT_MS);
  const names = silent.map((r) => `${r.replica} (shard ${r.shard}/${r.shards})`).join(', ');
  if (silent.length === 0) return ok(`${all.length} keep up`);
  return warning(
    `${names} said nothing for a minute: new references wait for them`,
    'start them, or take away those that are gone for good: vigil replicas remove NAME',
  );
}

/** One partition of its own, so that nothing that others read is touched. */
const PROBE: TopicSpec = {
  name: 'vigil.doctor',
  key: 'upload',
  partitions: 1,
  cleanup: 'delete',
  retentionMs: 3600_000,
  maxBytes: 4096,
};

async function checkLog(config: Config, postgres: Postgres | null): Promise<Finding[]> {
  const kafka = config.kafka !== null;
  const todo = kafka
    ? 'check VIGIL_KAFKA_BROKERS, _SSL, _SASL and their secrets; that each broker advertises an address this machine reaches; and that the user may create, describe, write and read vigil.*'
    : 'it lies in the database: see there';
  if (!kafka && !postgres)
    return [await look('log', todo, () => skipped('it lies in the database, which is not there'))];
  const opened: { log: EventLog | null } = { log: null };
  const opening = await look('log', todo, async () => {
    opened.log = await openLog(config, { postgres: postgres! }, silentLogger);
    return ok('it is there');
  });
  const { log } = opened;
  if (!log) return [opening];
  try {
    let clock: Finding | null = null;
    const writes = await look('log', todo, async () => {
      if (!kafka && (await schemaOf(postgres!)).present === 0) return skipped('the first start makes it');
      await log.ensureTopics([PROBE]);
      const sent = Date.now();
      const id = crypto.randomUUID();
      const event = { id, type: 'vigil.doctor', source: 'vigil', subject: id, time: sent, data: {} };
      const [place] = await log.append([{ topic: PROBE.name, ...jsonEnvelope(id, event) }]);
      const took = Date.now() - sent;
      for await (const record of log.read(PROBE.name, place!.partition, place!.offset, place!.offset + 1)) {
        if (record.key !== id) continue;
        clock = await look('clock: log', '', () => clockFound('the log', record.time - (sent + took / 2), took / 2));
        return ok(`an event was appended and read back, in ${Date.now() - sent} ms`);
      }
      return failure('what was appended is not read back', todo);
    });
    const topics = writes.state === 'ok' ? [await look('topics', TOPICS_TODO, () => checkTopics(log))] : [];
    return [writes, ...(clock ? [clock] : []), ...topics];
  } finally {
    await log[Symbol.asyncDispose]();
  }
}

const TOPICS_TODO =
  'give those topics the settings that are asked for (kafka-configs.sh --alter), or remove them while nothing is in them: the next start makes them';

async function checkTopics(log: EventLog): Promise<Found> {
  const specs = Object.values(TOPICS).flatMap((spec) => [spec, deadSpec(spec)]);
  const there: TopicSpec[] = [];
  for (const spec of specs) {
    const found = await log.ends(spec.name).catch((error: unknown) => {
      if (error instanceof EventLogError && !error.retriable) return null;
      throw error;
    });
    if (found) there.push(spec);
  }
  // What is there is compared; what is not is left to the first start.
  await log.ensureTopics(there);
  const missing = specs.length - there.length;
  if (there.length === 0) return ok('none yet: the first start makes them');
  return missing === 0
    ? ok(`all ${specs.length} are as they should be`)
    : ok(`${there.length} are as they should be, ${missing} are made at the next start`);
}

async function checkBlobs(config: Config): Promise<Finding[]> {
  const s3 = config.s3 !== null;
  const all = [OWN_BUCKET, UPLOAD_BUCKET, REFERENCE_BUCKET, ...config.buckets];
  const buckets = [...new Set(all)];
  const prefix = config.s3?.bucketPrefix ?? '';
  const todo = s3
    ? 'check VIGIL_S3_ENDPOINT, VIGIL_S3_REGION, the keys, and VIGIL_S3_BUCKET_PREFIX; the keys need s3:PutObject, GetObject, DeleteObject and ListBucket'
    : `let the user that runs Vigil write to ${path.join(config.dataFolder, 'blobs')}`;
  const opened: { blobs: Awaited<ReturnType<typeof openBlobs>>['blobs'] | null } = { blobs: null };
  const opening = await look('blobs', todo, async () => {
    opened.blobs = (await openBlobs(config, silentLogger, buckets)).blobs;
    return ok(s3 ? 'the store answers, and has the buckets' : 'the folder is there');
  });
  const { blobs } = opened;
  if (!blobs) return [opening];
  const found = [opening];
  try {
    for (const bucket of buckets) {
      const key = `doctor/${crypto.randomUUID()}`;
      // What is not ours is only looked at: platforms let us read there, and nothing more.
      const own = bucket === OWN_BUCKET || bucket === UPLOAD_BUCKET || bucket === REFERENCE_BUCKET;
      found.push(
        await look(`blobs: ${prefix}${bucket}`, todo, async () => {
          if (!own) {
            await blobs.stat(bucket, key);
            return ok('it can be asked');
          }
          const bytes = new TextEncoder().encode(key);
          const sent = Date.now();
          await blobs.put(bucket, key, bytes);
          try {
            const chunks: Uint8Array[] = [];
            for await (const chunk of await blobs.get(bucket, key, { start: 0, end: 7 }))
              chunks.push(chunk as Uint8Array);
            if (Buffer.concat(chunks).toString() !== key.slice(0, 7)) return failure('a range reads other bytes', todo);
            const stat = await blobs.stat(bucket, key);
            if (bucket === OWN_BUCKET && s3 && stat) {
              // Of whole seconds.
              const skew = stat.modifiedAt - sent;
              found.push(
                await look('clock: blobs', '', () => clockFound('the blob store', skew, 1000 + Date.now() - sent)),
              );
            }
          } finally {
            await blobs.delete(bucket, key);
          }
          return ok('written, read in part, and deleted');
        }),
      );
    }
  } finally {
    await blobs[Symbol.asyncDispose]();
  }
  return found;
}
