import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { TOPICS } from '@vigil/contracts';
import { openDatabase } from '@vigil/database';
import { openPostgres, readConfig } from '@vigil/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEmptyDatabase, type TestDatabase } from '../../../../test/support/postgres.ts';
import { describeWith } from '../../../../test/support/require.ts';
import { openLog } from '../stores.ts';
import { checkMachine } from './check-machine.ts';
import { checkStores } from './check-stores.ts';
import { examine } from './doctor.ts';
import { clockFound, type Finding } from './findings.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

/** Real: PostgreSQL, files, programs. Faked: a server that refuses a password, and one that squats on a port. */
describe('doctor', () => {
  let folder: string;
  let database: TestDatabase;
  const servers: { close(): unknown }[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'vigil-doctor-'));
    database = await createEmptyDatabase();
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await database?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const config = (more: Record<string, string> = {}) =>
    readConfig({
      PATH: process.env.PATH,
      VIGIL_DATA: path.join(folder, 'data'),
      VIGIL_PORT: '0',
      DATABASE_URL: database.url,
      ...more,
    });
  const of = (findings: readonly Finding[], check: string) => findings.find((f) => f.check === check);
  const listen = async (server: Server, host = '127.0.0.1'): Promise<number> => {
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return (server.address() as AddressInfo).port;
  };

  test('all is well where all is well, before the first start and after it; nothing is left behind', async () => {
    const before = await examine(config());
    // The tests' server is told not to wait for its disk, which is found out.
    expect(before.filter((f) => f.todo !== null).map((f) => f.check)).toEqual(['database: durability']);
    expect(of(before, 'database: schema')!.found).toContain('empty');
    await using opened = await openDatabase({ url: database.url });
    await using log = await openLog(config(), opened, { child: () => undefined } as never);
    await log.ensureTopics(Object.values(TOPICS));
    const after = await checkStores(config());
    expect(after.filter((f) => f.todo !== null).map((f) => f.check)).toEqual(['database: durability']);
    for (const check of ['log', 'database: rights', 'blobs: vigil', 'clock: database', 'clock: log', 'topics'])
      expect(of(after, check), check).toMatchObject({ state: 'ok' });
    expect(of(after, 'topics')!.found).toMatch(/\d+ are as they should be, \d+ are made at the next start/);
    const left = await opened.postgres.query<{ n: number }>(
      `SELECT count(*) AS n FROM pg_class WHERE relname = 'vigil_doctor_probe'`,
    );
    expect(left[0]!.n).toBe(0);
    expect((await readdir(path.join(folder, 'data'))).filter((name) => name.includes('doctor'))).toEqual([]);
  });

  test('a topic with other settings, a newer schema, a user without rights, a misspelt setting', async () => {
    await using opened = await openDatabase({ url: database.url });
    await using log = await openLog(config(), opened, { child: () => undefined } as never);
    await log.ensureTopics(Object.values(TOPICS));
    const db = opened.postgres;
    await db.query(`UPDATE vigil_log_topic SET retention_ms = 1000 WHERE name = 'vigil.uploads'`);
    await db.query(`INSERT INTO schema_migrations (number, name) VALUES (9999, 'of the future')`);
    const role = `doctor_${process.pid}`;
    await db.query(`CREATE ROLE ${role} LOGIN`);
    try {
      const found = await examine(config({ VIGIL_SURFACE: 'web' }));
      expect(of(found, 'topics')).toMatchObject({
        state: 'failure',
        found: expect.stringContaining('vigil.uploads exists with retentionMs 1000'),
        todo: expect.stringContaining('kafka-configs'),
      });
      expect(of(found, 'database: schema')).toMatchObject({ state: 'failure', found: expect.stringContaining('9999') });
      expect(of(found, 'settings')).toMatchObject({
        state: 'warning',
        found: expect.stringContaining('VIGIL_SURFACE'),
      });
      const url = new URL(database.url);
      url.username = role;
      const poor = await checkStores(config({ DATABASE_URL: url.href }));
      expect(of(poor, 'database')).toMatchObject({ state: 'ok' });
      expect(of(poor, 'database: rights')).toMatchObject({
        state: 'failure',
        found: expect.stringContaining('permission denied'),
        todo: expect.stringContaining('owner'),
      });
    } finally {
      await db.query(`DELETE FROM schema_migrations WHERE number = 9999`);
      await db.query(
        `UPDATE vigil_log_topic SET retention_ms = ${TOPICS.uploads.retentionMs} WHERE name = 'vigil.uploads'`,
      );
      await db.query(`DROP ROLE ${role}`);
    }
  });

  test('an empty database in which the user may create nothing', async () => {
    await using fresh = await createEmptyDatabase();
    await using postgres = await openPostgres({ url: fresh.url });
    const role = `doctor_poor_${process.pid}`;
    await postgres.query(`CREATE ROLE ${role} LOGIN`);
    await postgres.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
    const url = new URL(fresh.url);
    url.username = role;
    try {
      const found = await examine(config({ DATABASE_URL: url.href }));
      expect(of(found, 'log')).toMatchObject({
        state: 'failure',
        found: expect.stringContaining('permission denied for schema public'),
        todo: 'it lies in the database: see there',
      });
      expect(of(found, 'database: rights')).toMatchObject({
        state: 'failure',
        todo: expect.stringContaining('owner'),
      });
      expect(of(found, 'blobs: vigil')).toMatchObject({ state: 'ok' });
    } finally {
      await postgres.query(`DROP ROLE ${role}`);
    }
  });

  test('a wrong password, and an address where nothing is', async () => {
    const refusing = createServer((socket) => {
      socket.once('data', () => {
        const fields = Buffer.from('SFATAL\0C28P01\0Mpassword authentication failed for user "vigil"\0\0', 'latin1');
        const head = Buffer.alloc(5);
        head.write('E', 'latin1');
        head.writeInt32BE(fields.length + 4, 1);
        socket.end(Buffer.concat([head, fields]));
      });
      socket.on('error', () => undefined);
    });
    const port = await listen(refusing);
    const wrong = await checkStores(config({ DATABASE_URL: `postgresql://vigil:nope@127.0.0.1:${port}/vigil` }));
    expect(of(wrong, 'database')).toMatchObject({
      state: 'failure',
      found: expect.stringContaining('password authentication failed'),
      todo: expect.stringContaining('DATABASE_URL'),
    });
    expect(JSON.stringify(wrong)).not.toContain('nope');
    expect(of(wrong, 'log')).toMatchObject({ state: 'skipped' });
    const nowhere = await checkStores(
      config({
        DATABASE_URL: 'postgresql://vigil@127.0.0.1:9/vigil',
        VIGIL_S3_ENDPOINT: 'http://127.0.0.1:9',
        VIGIL_S3_ACCESS_KEY: 'a',
        VIGIL_S3_SECRET_KEY: 'b',
      }),
    );
    expect(of(nowhere, 'database')).toMatchObject({ state: 'failure', found: expect.stringContaining('ECONNREFUSED') });
    expect(of(nowhere, 'blobs')).toMatchObject({
      state: 'failure',
      todo: expect.stringContaining('VIGIL_S3_ENDPOINT'),
    });
  });

  test('a folder that cannot be written, no ffmpeg, an old one, a port that is taken, no collector', async () => {
    const file = path.join(folder, 'a file');
    await writeFile(file, '');
    const squatter = await listen(createServer((socket) => socket.destroy()));
    const found = await checkMachine(
      config({ VIGIL_DATA: path.join(file, 'data'), PATH: folder, VIGIL_PORT: String(squatter) }),
    );
    expect(of(found, 'data folder')).toMatchObject({
      state: 'failure',
      found: expect.stringContaining('ENOTDIR'),
      todo: expect.stringContaining('VIGIL_DATA'),
    });
    expect(of(found, 'port')).toMatchObject({
      state: 'failure',
      found: expect.stringContaining('something else'),
      todo: expect.stringContaining('VIGIL_PORT'),
    });

    const old = path.join(folder, 'old');
    await mkdir(old);
    for (const name of ['ffmpeg', 'ffprobe']) {
      await writeFile(path.join(old, name), `#!/bin/sh\necho '${name} version 4.1.0 Copyright'\n`);
      await chmod(path.join(old, name), 0o755);
    }
    const named = { VIGIL_FFMPEG: path.join(old, 'ffmpeg'), VIGIL_FFPROBE: path.join(old, 'ffprobe') };
    const aged = of(await checkMachine(config(named)), 'ffmpeg')!;
    expect(aged).toMatchObject({
      state: 'failure',
      found: expect.stringContaining('4.1.0'),
      todo: expect.stringContaining('install ffmpeg 5'),
    });
    const missing = { VIGIL_FFMPEG: '/nowhere/ffmpeg', VIGIL_FFPROBE: '/nowhere/ffprobe' };
    expect(of(await checkMachine(config(missing)), 'ffmpeg')).toMatchObject({
      state: 'failure',
      found: expect.stringContaining('/nowhere/ffmpeg'),
    });
    const spans = of(await examine(config({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })), 'spans');
    expect(spans).toMatchObject({ state: 'failure', todo: expect.stringContaining('4318') });
  });

  test('Vigil itself on its port is no trouble', async () => {
    const door = createHttpServer((_, response) => response.end('{"status":"alive"}'));
    const port = await listen(door);
    const found = of(await checkMachine(config({ VIGIL_PORT: String(port), VIGIL_ROLES: 'api' })), 'port');
    expect(found).toMatchObject({ state: 'ok', found: expect.stringContaining('already') });
  });

  describeWith('ipv6', hasIpv6, 'where hosts have addresses of IPv6', () => {
    test('Vigil itself on its port is no trouble', async () => {
      const door = createHttpServer((_, response) => response.end('{"status":"alive"}'));
      const port = await listen(door, '::');
      for (const VIGIL_HOST of ['::1', '::']) {
        const settings = config({ VIGIL_HOST, VIGIL_PORT: String(port), VIGIL_ROLES: 'api' });
        const found = of(await checkMachine(settings), 'port');
        expect(found, VIGIL_HOST).toMatchObject({ state: 'ok', found: expect.stringContaining('already') });
      }
    });
  });

  test('clocks that disagree', () => {
    expect(clockFound('the log', 300, 200).state).toBe('ok');
    expect(clockFound('the log', -3000, 200)).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('3.0 s behind'),
    });
    expect(clockFound('the log', 120_000, 200)).toMatchObject({
      state: 'failure',
      todo: expect.stringContaining('NTP'),
    });
    expect(clockFound('the blob store', 1200, 1100).state).toBe('ok');
  });
});
