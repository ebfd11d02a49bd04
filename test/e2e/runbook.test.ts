/** The runbook: a page for each alarm, and every command of every page against `vigil start`. Real: all of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ALARM_KINDS } from '@vigil/contracts';
import { openPostgres } from '@vigil/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { describeWith } from '../support/require.ts';
import { PROJECT } from '../support/source-tree.ts';
import { until } from '../support/until.ts';
import { removeData, startVigil, VIGIL, type VigilProcess, withoutVitest } from '../support/vigil-process.ts';

const RUNBOOK = path.join(PROJECT, 'infra/runbook');
const ffmpeg = await ffmpegHere().catch(() => null);
const pages = (await readdir(RUNBOOK)).filter((name) => name !== 'README.md');
const texts = new Map(
  await Promise.all(pages.map(async (name) => [name, await readFile(path.join(RUNBOOK, name), 'utf8')] as const)),
);

/** Without the word of why, which stands after a #. */
const commandsOf = (page: string): string[] =>
  [...page.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block]) =>
    block!
      .split('\n')
      .map((line) => line.replace(/\s+# .*$/, '').trim())
      .filter(Boolean),
  );
/** They say by their codes what they found: on a machine that is busy a round is late, and there is a brake to be shown. */
const MAY_FAIL = ['vigil canary --once', 'vigil doctor', 'vigil status'];
/** Until it is taken away, no reference goes live, the canary's neither. */
const FIRST = /replicas remove/;
/** Of no alarm: somebody asks for it. */
const ASKED_FOR = ['data-request.md'];
/** Last, because they change what others look at. */
const LAST = /brakes release|brakes set|disable|dead retry/;

test('each kind of alarm and each alert has its page, and no page is of nothing', async () => {
  type Rules = { groups: { rules: { alert?: string; annotations?: { runbook_url?: string } }[] }[] };
  const rules = parse(await readFile(path.join(PROJECT, 'infra/watch/alerts.yaml'), 'utf8')) as Rules;
  const alerts = rules.groups.flatMap((g) => g.rules).flatMap((r) => r.annotations?.runbook_url ?? []);
  const wanted = new Set([...ALARM_KINDS.map((kind) => `${kind}.md`), ...alerts.map((url) => path.basename(url))]);
  expect([...wanted].filter((name) => !texts.has(name))).toEqual([]);
  expect(pages.filter((name) => !wanted.has(name))).toEqual(ASKED_FOR);
  const index = await readFile(path.join(RUNBOOK, 'README.md'), 'utf8');
  expect(pages.filter((name) => !index.includes(`(${name})`))).toEqual([]);
});

test('each page says what it means, what to look at and what to type', () => {
  for (const [name, text] of texts) {
    expect(text, name).toMatch(/^# .+\n\n\*\*Means\.\*\* .+\n\n\*\*Look at\*\*\n\n- .+/);
    expect(commandsOf(text).length, name).toBeGreaterThan(0);
  }
});

describeWith('ffmpeg-5', ffmpeg !== null && !ffmpeg.warning, 'what the runbook says to type', () => {
  let vigil: VigilProcess;
  let env: NodeJS.ProcessEnv;
  const stack = new AsyncDisposableStack();
  beforeAll(async () => {
    const data = await mkdtemp(path.join(tmpdir(), 'vigil-runbook-'));
    stack.defer(() => removeData(data));
    vigil = stack.use(await startVigil(data, { ...process.env, VIGIL_LOG_LEVEL: 'warn' }));
    const { authorization } = await vigil.authorization();
    const ask = async <T>(route: string, body: string, type: string): Promise<T> => {
      const headers = { authorization, 'content-type': type };
      const response = await fetch(vigil.url + route, { method: 'POST', headers, body });
      if (!response.ok) throw new Error(`${route}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    };
    const hash = 'a5c3'.repeat(16);
    const { references } = await ask<{ references: string[] }>(
      '/v1/hash-lists',
      JSON.stringify({ holder: 'studio-a', items: [{ hash }] }),
      'application/json',
    );
    const [reference] = references;
    const { upload } = await ask<{ upload: string }>('/v1/uploads?name=x.png&account=a', 'no picture', 'image/png');
    const brake = await ask<{ id: string }>(
      '/v1/brakes',
      JSON.stringify({ reference, why: 'test' }),
      'application/json',
    );
    // Another holder shows the same, and writes about it.
    const listed = await ask<{ references: string[] }>(
      '/v1/hash-lists',
      JSON.stringify({ holder: 'studio-b', items: [{ hash }] }),
      'application/json',
    );
    const conflict = await until('there is a conflict', async () => {
      const response = await fetch(`${vigil.url}/v1/references/${listed.references[0]}`, {
        headers: { authorization },
      });
      const { findings } = (await response.json()) as { findings: { conflict?: string }[] };
      return findings.find((f) => f.conflict)?.conflict;
    });
    const message = await ask<{ id: string }>(
      `/v1/conflicts/${conflict}/messages`,
      JSON.stringify({ body: 'Ask A.' }),
      'application/json',
    );
    // A matcher that was there once, and is gone for good.
    await using db = openPostgres({ url: await vigil.databaseUrl(), max: 1 });
    await db.query(`INSERT INTO index_replicas (shards, shard, replica, seen_at) VALUES (1, 0, 'matcher-gone', 1000)`);
    env = {
      ...withoutVitest(process.env),
      ...{ VIGIL_INSTANCE: vigil.url, VIGIL_DATA: data, VIGIL_KEY: await vigil.key() },
      ...{ UPLOAD: upload, BRAKE: brake.id, REFERENCE: reference!, REPLICA: 'matcher-gone' },
      ...{ NODE: process.execPath, VIGIL_PROGRAM: VIGIL },
    };
    await until('the upload is judged', async () => {
      const response = await fetch(`${vigil.url}/v1/uploads/${upload}`, { headers: { authorization } });
      return response.ok && ((await response.json()) as { verdict: unknown }).verdict;
    });
    const notice = { name: 'A', signature: 'A', address: '1 Road', phone: '1', email: 'a@example.org', work: 'A Film' };
    const filed = await ask<{ notice: string; cases: string[] }>(
      '/v1/notices',
      JSON.stringify({
        ...{ kind: 'dmca', uploads: [upload], holder: 'studio-a' },
        notice: { ...notice, goodFaith: true, accurate: true },
      }),
      'application/json',
    );
    const { papers } = await ask<{ papers: { id: string }[] }>(
      `/v1/cases/${filed.cases[0]}/disputes`,
      JSON.stringify({ do: 'complain', statement: 'It is mine.' }),
      'application/json',
    );
    Object.assign(env, { CASE: filed.cases[0], NOTICE: filed.notice, PAPER: papers[0]!.id });
    Object.assign(env, { CONFLICT: conflict, MESSAGE: message.id });
  });
  afterAll(() => stack.disposeAsync());

  test('runs', { timeout: 600_000 }, async () => {
    const all = [...new Set([...texts.values()].flatMap(commandsOf))];
    const rank = (command: string) => (FIRST.test(command) ? 0 : LAST.test(command) ? 2 : 1);
    const inOrder = [...all].sort((a, b) => rank(a) - rank(b));
    const wrong: string[] = [];
    for (const command of inOrder) {
      const script = `set -u\nvigil() { "$NODE" "$VIGIL_PROGRAM" "$@"; }\n${command}`;
      const shell = spawn('bash', ['-c', script], { cwd: PROJECT, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [shell.stdout, shell.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          said = (said + text).slice(-1500);
        });
      }
      const [code] = (await once(shell, 'close')) as [number | null];
      if (code !== 0 && !(code === 1 && MAY_FAIL.includes(command))) wrong.push(`${command}: ${code}\n${said}`);
      expect(said.length, command).toBeGreaterThan(0);
    }
    expect(wrong).toEqual([]);
    expect(inOrder.length).toBeGreaterThan(15);
  });
});
