/** Real: an instance with its API, and the command line as a process. */
import { makeAuditRoot } from '@vigil/database';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, plannedUpload, type TestApi } from '../../../../test/support/test-api.ts';
import { vigil } from '../../../../test/support/vigil-process.ts';

let api: TestApi;
let ids: { case: string; notice: string };
let holder: string;
beforeAll(async () => {
  api = await openTestApi();
  holder = await api.key({ holder: 'h' });
  await plannedUpload(api.instance, 'up_1');
  const notice = {
    ...{ signature: '/s/ Bo', name: 'Bo', address: '1 Road', phone: '1', email: 'bo@example.org', work: 'A Film' },
    ...{ goodFaith: true, accurate: true },
  };
  const filed = await api.call('POST', '/v1/notices', {
    key: holder,
    json: { kind: 'dmca', notice, uploads: ['up_1'] },
  });
  ids = { case: filed.body.cases[0], notice: filed.body.notice };
});
afterAll(() => api?.[Symbol.asyncDispose]());

async function run(args: string[], key?: string) {
  const VIGIL_KEY = key ?? (await api.key({ role: 'operator' }));
  const { code, stdout, stderr } = await vigil(['audit', ...args], {
    env: { ...process.env, VIGIL_INSTANCE: api.url, VIGIL_KEY },
  });
  return { code, stdout, stderr };
}

test('erase says what is gone, and that nothing is left; who may not, and what is not there, end with 2', async () => {
  const notice = ['erase', ids.notice, '--why', 'request 17'];
  const first = await run(notice);
  expect(first).toMatchObject({ code: 0, stderr: '' });
  expect(first.stdout).toMatch(/^1 paper is gone for ever\n {2}paper_\S+\n$/);
  expect(await run(notice)).toEqual({ code: 0, stderr: '', stdout: `nothing is left to erase in ${ids.notice}\n` });
  expect(JSON.parse((await run(['erase', ids.case, '--why', 'x', '--json'])).stdout)).toEqual({
    erased: 0,
    papers: [],
  });
  for (const [args, key, says] of [
    [notice, holder, /may not do that: it needs papers:erase/],
    [['erase', 'case_none', '--why', 'x'], undefined, /no case case_none/],
    [['erase', ids.case, '--paper', 'paper_none', '--why', 'x'], undefined, /no paper of it paper_none/],
    [['erase', ids.case, '--why', 'asked by bo@example.org'], undefined, /has an e-mail address in it/],
  ] as const) {
    const { code, stdout, stderr } = await run([...args], key);
    expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(says);
  }
});

test('heads shows roots and what waits for one, and ends with 1 when one is late', async () => {
  expect((await run(['heads'])).stdout).toMatch(
    /no root was made yet[\s\S]+not rooted yet: \d+, in the chains of 1 cases/,
  );
  const db = api.instance.database;
  await db.postgres.query('UPDATE cases SET changed_at = changed_at - $1::bigint', [3 * 3600_000]);
  const late = await run(['heads']);
  expect(late.code).toBe(1);
  expect(late.stderr).toMatch(/a root is late/);
  const root = await db.transaction((tx) => makeAuditRoot(tx, Date.now()));
  const { code, stdout } = await run(['heads', '-n', '1']);
  expect(code).toBe(0);
  expect(stdout).toContain(root!.root);
  expect(stdout).toContain('links not rooted yet: 0, in the chains of 0 cases');
  expect(JSON.parse((await run(['heads', '--json'])).stdout).roots).toEqual([root]);
});
