import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FleetView, LayoutView, ReplicaView } from '@vigil/pipeline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { vigil } from '../../../../test/support/vigil-process.ts';

/** Faked: the instance, which answers what a running one does. Real: the command line, as a process. */
describe('vigil shards and replicas', () => {
  let server: Server;
  let at: string[];
  let answers: { fleet: () => FleetView; change: () => [number, unknown]; remove: () => [number, unknown] };
  const asked: string[] = [];

  const layout = (shards: number, state: LayoutView['state'], waitsFor: string[] = []): LayoutView => ({
    ...{ shards, state, uploads: state === 'draining' ? 3 : 0, waitsFor },
  });
  const replica = (state: ReplicaView['state']): ReplicaView => ({
    ...{
      shards: 2,
      shard: 1,
      replica: 'm1',
      registeredAt: 1,
      seenAt: state === 'loading' ? null : Date.now() - 200_000,
    },
    ...{ checkpoint: 5, state, behind: 7 },
  });
  const problem = (title: string, detail: string): [number, unknown] => [409, { title, detail, status: 409 }];

  beforeEach(async () => {
    asked.length = 0;
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      const [status, body] =
        request.method === 'POST'
          ? answers.change()
          : request.method === 'DELETE'
            ? answers.remove()
            : [200, answers.fleet()];
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    at = ['-i', `http://127.0.0.1:${(server.address() as AddressInfo).port}`];
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  test('shows layouts and replicas, and what each waits for', async () => {
    const layouts = [layout(2, 'current'), layout(3, 'preparing', ['shard 2 of 3 has no matcher'])];
    answers = { ...answers, fleet: () => ({ layouts, replicas: [replica('silent'), replica('loading')] }) };
    const { code, stdout } = await vigil(['shards', ...at]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^3 +preparing +0 +shard 2 of 3 has no matcher$/m);
    expect(stdout).toMatch(/^1\/2 +m1 +silent +3 min ago +7$/m);
    expect(stdout).toMatch(/^1\/2 +m1 +loading +never *$/m);
  });

  test('a change that is refused says why, and ends with 2', async () => {
    answers = {
      ...answers,
      fleet: () => ({ layouts: [layout(2, 'current')], replicas: [] }),
      change: () =>
        problem('3 shards are not ready to take over', 'shard 0 of 3 has no matcher; shard 1 of 3: m is silent'),
    };
    const { code, stderr } = await vigil(['shards', '3', ...at]);
    expect(code).toBe(2);
    expect(stderr).toContain('shard 0 of 3 has no matcher\n  shard 1 of 3: m is silent');
  });

  test('--wait waits for the new ones, changes, and waits until the old ones are needed no more', async () => {
    let refused = 2;
    let draining = 2;
    answers = {
      ...answers,
      fleet() {
        if (!asked.some((a) => a.startsWith('POST'))) return { layouts: [layout(2, 'current')], replicas: [] };
        const old = draining-- > 0 ? layout(2, 'draining', ['3 uploads planned for it']) : layout(2, 'drained');
        return { layouts: [old, layout(3, 'current')], replicas: [] };
      },
      change: () => (refused-- > 0 ? problem('not ready', 'shard 2 of 3 has no matcher') : [200, layout(3, 'current')]),
    };
    const { code, stdout, stderr } = await vigil(['shards', '3', '--wait', ...at]);
    expect(code).toBe(0);
    expect(asked.filter((a) => a === 'POST /v1/shards?count=3').length).toBe(3);
    expect(stderr.match(/waiting: /g)).toHaveLength(2);
    expect(stdout).toContain('those on their way are finished in 2');
    expect(stdout).toContain('the layout of 2 is drained: stop its matchers');
  });

  test('replicas remove names the replica, and tells what it held back', async () => {
    answers = { ...answers, remove: () => [200, { removed: replica('silent'), live: 2 }] };
    const gone = await vigil(['replicas', 'remove', 'm/1', '--shard', '1/2', ...at]);
    expect(asked).toEqual(['DELETE /v1/replicas/m%2F1?force=false&shard=1%2F2']);
    expect(gone.stdout).toContain('2 references that waited for it alone go on');
    answers = { ...answers, remove: () => problem('The replica was not removed', 'it was seen 2 s ago') };
    expect(await vigil(['replicas', 'remove', 'm1', ...at])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('it was seen 2 s ago'),
    });
  });
});
