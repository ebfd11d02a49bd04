/** What is shown of a state, and what an operator's first call says. Faked: the instance. Real: the command line. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { stripVTControlCharacters } from 'node:util';
import type { Status } from '@vigil/pipeline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { vigil } from '../../../../test/support/vigil-process.ts';
import { screen, troubles } from './status.ts';

const AT = Date.UTC(2026, 0, 2);
const well: Status = {
  at: AT,
  engine: '2',
  ready: true,
  checks: { database: 'reachable', log: 'reachable', blobs: 'reachable' },
  windowSeconds: 300,
  rates: { uploads: 1234, verdicts: 9.4, takedowns: 0.2 },
  queues: Array.from({ length: 14 }, (_, n) => ({
    stage: `stage-${n}`,
    group: `group-${n}`,
    waiting: 0,
    behindSeconds: 0,
  })),
  lookBack: { waiting: 0, oldestSeconds: 0 },
  timeToTakedown: { count: 200, p50: 0.42, p99: 3.2, within5s: 0.995 },
  lastVerdicts: Array.from({ length: 16 }, (_, n) => ({
    upload: `up_${n}`,
    verdict: 'taken-down' as const,
    reason: null,
    revision: 1,
    cause: 'first' as const,
    at: AT - 1000 * n,
    seconds: 0.4,
  })),
  alarms: [],
  library: { references: { live: 12 }, index: { codes: 120_000, megabytes: 31.5 } },
  layout: { shards: 1, replicas: [] },
  outbox: { waiting: 0, oldestSeconds: 0 },
  // All of them were tried again, or dropped.
  deadLetters: [{ topic: 'vigil.uploads', day: 4, kept: 40, open: 0 }],
  reviews: 3,
  actions: { open: 1, overdue: 0 },
  due: { timers: 0, webhooks: 0 },
  disks: [{ disk: 'data', freeBytes: 5e10, sizeBytes: 1e11, reserveBytes: 1e9 }],
  intakeStopped: false,
  witnesses: [{ name: 'canary-copy', state: 'green', message: 'well', at: AT - 60_000, since: 0 }],
  brakes: [],
  unknown: [],
};
const ill: Status = {
  ...well,
  checks: { ...well.checks, log: 'no answer within 2 s' },
  intakeStopped: true,
  witnesses: [{ name: 'canary-copy', state: 'red', message: 'missing after 60 s', at: AT, since: AT }],
  brakes: [{ id: 'b', brake: 'all', subject: '*', why: 'a clean clip was taken down', setAt: AT, held: 7 }],
  actions: { open: 9, overdue: 2 },
  queues: [{ stage: 'plan', group: 'plan', waiting: 900, behindSeconds: 300 }],
  deadLetters: [{ topic: 'vigil.uploads', day: 0, kept: 40, open: 4 }],
  outbox: { waiting: 5, oldestSeconds: 50 },
  unknown: [{ part: 'figures', why: 'no database' }],
};
const text = (s: Status) => stripVTControlCharacters(screen(s).join('\n'));

describe('the screen', () => {
  test('of a state that is well: figures, and no trouble; it fits', () => {
    expect(troubles(well)).toEqual([]);
    expect(text(well)).toMatch(/all well[\s\S]*uploads 1234 {3}verdicts 9.4 {3}takedowns 0.2/);
    expect(text(well)).toContain('half within 0.42 s, 99 % within 3.20 s; 99.5 % within 5 s (last 200)');
    expect(text(well)).toContain('12 live; here 120000 codes, 31.5 MB');
    const lines = text(well).split('\n');
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(Math.max(...lines.map((l) => l.length))).toBeLessThanOrEqual(120);
  });

  test('of one that is not names each trouble', () => {
    const words = troubles(ill).join('\n');
    for (const part of [
      'log: no answer',
      'a disk is nearly full',
      'missing after',
      'a clean clip',
      '2 takedowns',
      '50 s',
      '5 min',
      '4 events',
      'no database',
    ])
      expect(words).toContain(part);
    expect(text(ill)).toContain('needs somebody');
  });
});

describe('vigil status and vigil doctor', () => {
  let server: Server;
  let url: string;
  let now: Status = well;
  beforeAll(async () => {
    server = createServer((_, response) =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(now)),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server?.close());

  test('code 0 when all is well, 1 when it needs somebody; JSON for programs', async () => {
    const good = await vigil(['status', '--json', '--instance', url]);
    expect([good.code, JSON.parse(good.stdout)]).toEqual([0, well]);
    now = ill;
    const bad = await vigil(['status', '--instance', url]);
    expect([bad.code, bad.stderr]).toEqual([1, '']);
    expect(bad.stdout).toContain('needs somebody');
  });

  test('settings that cannot be used are findings like others, each with what it should be', async () => {
    const env = { ...process.env, VIGIL_PORT: 'eighty', VIGIL_ROLES: 'planner' };
    const { code, stdout } = await vigil(['doctor', '--json'], { env });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual([
      {
        check: 'settings',
        state: 'failure',
        found: expect.stringContaining('planner'),
        todo: expect.stringContaining('give some of'),
      },
      {
        check: 'settings',
        state: 'failure',
        found: 'VIGIL_PORT is "eighty"',
        todo: 'give a whole number from 0 to 65535',
      },
    ]);
    expect((await vigil(['doctor'], { env })).stdout).toMatch(
      /FAILED {2}settings[\s\S]*-> give a whole number[\s\S]*2 failed/,
    );
  });
});
