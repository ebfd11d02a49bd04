/**
 * The API as its own document describes it, asked by schemathesis for whatever a machine can think of: with the keys of two holders
 * and of an operator, in single requests and in chains that use what they were given. `npm run test:full` asks longer.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureSchemathesis, isPythonHere } from '../../../infra/fuzz/schemathesis.ts';
import { holderThings } from '../../../test/support/holder-things.ts';
import { describeWith } from '../../../test/support/require.ts';
import { type Exchange, openTestApi, type TestApi } from '../../../test/support/test-api.ts';

const isFull = process.env.VIGIL_FULL === '1';
const SEED = Number(process.env.VIGIL_FUZZ_SEED ?? 20_260_101);
const EXAMPLES = Number(process.env.VIGIL_FUZZ_EXAMPLES ?? (isFull ? 100 : 3));
/** Chains of requests. */
const CHAINS = 5 * EXAMPLES;
const LIMIT_MS = isFull ? 45 * 60_000 : 5 * 60_000;
const HOLDERS = ['holder-a', 'holder-b'] as const;
const askers = isFull ? [...HOLDERS, 'operator'] : ['holder-a', 'operator'];
const MARKS = { 'holder-a': 'Marked-A-7c1e', 'holder-b': 'Marked-B-9f3d' };

/**
 * Whose key asks; each of the objects that it comes to know is asked for with the other holder's as well. What is right and looks wrong
 * from outside: a body may be too large before it is too long a list, a change needs the version that it changes (RFC 6585, RFC 9110),
 * and what two members say together, or members that no schema names, stand in none; an operator has to say for which holder; an upload is known once it was planned.
 */
const config = (who: string) => `
[auth.wfc]
path = "auth.json"
user = "${who}"
peers = ["holder-a", "holder-b"]

[phases.stateful.generation]
max-examples = ${CHAINS}

[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 412, 413, 415, 428]
missing_required_header.expected-statuses = [401, 403, 404, 428]
positive_data_acceptance.enabled = ${who !== 'operator'}
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 412]

[[operations]]
include-path-regex = "^/v1/(reports/.*|keys|policies.*|hash-lists|notices|cases/.*)$"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412]

# A stream that does not end: live.test.ts listens to it.
[[operations]]
include-path-regex = "^/v1/live$"
enabled = false

[[operations]]
include-path-regex = "^/v1/uploads"
checks.ensure_resource_availability.enabled = false
`;

describeWith('fuzz', isPythonHere(), 'whatever a machine can think of', () => {
  let api: TestApi;
  let folder: string;
  const runs: { who: string; code: number | null; report: string }[] = [];
  const secrets: Record<string, string> = {};
  /** Words and ids of the other one that a holder has not spoken of. */
  const unknown = { 'holder-a': new Set<string>(), 'holder-b': new Set<string>() };
  const broken: string[] = [];
  const leaks: string[] = [];
  const statuses = new Map<string, Map<number, number>>();

  async function ask(python: string, who: string): Promise<{ code: number | null; report: string }> {
    const options = {
      '--phases': isFull ? 'coverage,fuzzing,stateful' : 'fuzzing,stateful',
      '--seed': `${SEED}`,
      '--max-examples': `${EXAMPLES}`,
    };
    const args = ['--config-file', `${who}.toml`, 'run', `${api.url}/openapi.json`, ...Object.entries(options).flat()];
    const child = spawn(python, ['-m', 'schemathesis.cli', ...args, '--continue-on-failure', '--no-color'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
      env: { ...process.env, PYTHONUTF8: '1' },
    });
    let report = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        report += text;
      });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    if (process.env.VIGIL_FUZZ_REPORTS) await writeFile(`${process.env.VIGIL_FUZZ_REPORTS}-${who}.txt`, report);
    return { code, report };
  }

  const whoOf = ({ authorization }: Exchange) =>
    HOLDERS.find((holder) => authorization === `Bearer ${secrets[holder]}`) ?? null;

  function look(exchange: Exchange): void {
    const { method, url, sent, status, headers, body } = exchange;
    const line = `${method} ${url} -> ${status} ${body.slice(0, 500)}`;
    if (status >= 500) broken.push(line);
    const who = whoOf(exchange);
    if (who) {
      const of = statuses.get(who) ?? new Map<number, number>();
      statuses.set(who, of.set(status, (of.get(status) ?? 0) + 1));
      // What it said itself may come back: that tells nothing. It knows some from what the other was answered when both were asked.
      for (const mark of unknown[who]) if (`${decoded(url)}${sent}`.includes(mark)) unknown[who].delete(mark);
      const told = [...unknown[who]].filter((mark) => `${headers}${body}`.includes(mark));
      if (told.length > 0) leaks.push(`${who} is told ${told}: ${line}`);
    }
    // The keys that ask are found and ended like any other: they are to ask on.
    if (/^\/v1\/keys\/[^/]+\/(revoke|rotate)/.test(url) && status < 300) void keepKeys();
  }
  const keepKeys = () =>
    api.instance.database.postgres.query(`UPDATE api_keys SET revoked_at = NULL, expires_at = $1 WHERE name = 'fuzz'`, [
      Date.now() + 24 * 3600_000,
    ]);

  beforeAll(async () => {
    const python = await ensureSchemathesis((line) => process.stderr.write(`fuzz: ${line}\n`));
    folder = await mkdtemp(path.join(tmpdir(), 'vigil-fuzz-'));
    api = await openTestApi({ VIGIL_REQUESTS_PER_MINUTE: '10000000', VIGIL_MAX_VIDEO_BYTES: `${2 ** 20}` }, look);
    for (const holder of HOLDERS) {
      const key = await api.key({ holder, name: 'fuzz' });
      secrets[holder] = key;
      const other = HOLDERS.find((h) => h !== holder)!;
      // Two of each: which of them the other holder happens to ask for changes with the document, and some are to be left.
      for (const mark of [MARKS[holder], `2-${MARKS[holder]}`]) {
        const things = await holderThings(api, { holder, key, mark, upload: `up_of-${mark}` });
        for (const of of [mark, ...Object.values(things)]) unknown[other].add(of);
      }
    }
    secrets.operator = await api.key({ role: 'operator', name: 'fuzz' });
    statuses.clear();
    const header = (secret: string) => [{ name: 'Authorization', value: `Bearer ${secret}` }];
    const auth = Object.entries(secrets).map(([name, secret]) => ({ name, fixedHeaders: header(secret) }));
    await writeFile(path.join(folder, 'auth.json'), JSON.stringify({ auth }));
    for (const who of askers) {
      await writeFile(path.join(folder, `${who}.toml`), config(who));
      runs.push({ who, ...(await ask(python, who)) });
    }
  }, LIMIT_MS + 60_000);
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  test('breaks nothing: no 5xx, nothing in the log', () => {
    expect(broken).toEqual([]);
    expect(api.logged).toEqual([]);
  });

  test('tells no holder of what is the other one’s', () => {
    expect(leaks).toEqual([]);
    // It would be worth nothing if they had been refused all along.
    for (const holder of HOLDERS) expect(statuses.get(holder)?.get(200), holder).toBeGreaterThan(0);
    expect(unknown['holder-a'].size).toBeGreaterThan(6);
  });

  test('finds every answer to be as the document says', () => {
    for (const { who, code, report } of runs) expect(code, `as ${who}:\n${report.slice(-20_000)}`).toBe(0);
  });
});

const decoded = (url: string): string => {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
};
