import type { TakedownEvent } from '@vigil/contracts';
import { caseEvents } from '@vigil/database';
import { expect, test } from 'vitest';
import { seedsHere } from '../support/seeds.ts';
import { openNetwork } from './open-network.ts';

/** Everything is real but the platform's surfaces: `web` obeys at once, `cdn` fails, and obeys after the alarm. */
test('a takedown is sent again until every surface has acknowledged it', async () => {
  const seeds = await seedsHere();
  await using network = await openNetwork({
    settings: { VIGIL_SURFACES: 'web,cdn', VIGIL_RESEND_SECONDS: '1', VIGIL_ACK_SECONDS: '8' },
  });
  const { log, inspect } = network.instance;
  const copy = seeds.uploads.find((u) => u.kind === 'image' && u.expect.verdict === 'taken-down')!;
  const work = seeds.references.find((r) => r.name === copy.expect.reference)!;
  await network.protect([{ name: work.name, file: work.path }]);
  const uploads = await network.upload([{ name: copy.name, file: copy.path }]);
  const upload = uploads.get(copy.name)!;

  const attempt = (n: number) =>
    network.until(`attempt ${n}`, async () => (await network.takedowns()).find((t) => t.attempt === n));
  /** As any Kafka client would write it. */
  const say = (takedown: TakedownEvent, surface: string, status: string) =>
    log.append([
      {
        topic: 'vigil.acknowledgements',
        key: takedown.upload,
        headers: {
          ce_specversion: '1.0',
          ce_id: `${takedown.id}/${surface}/${status}/${takedown.attempt}`,
          ce_type: 'vigil.media.acknowledged',
          ce_source: surface,
          'content-type': 'application/json',
        },
        value: new TextEncoder().encode(
          JSON.stringify({ action: takedown.id, upload: takedown.upload, surface, status, at: Date.now() }),
        ),
      },
    ]);
  const outcomes = async () =>
    (await inspect.trace(upload))!.steps.filter((s) => s.stage === 'acknowledge').map((s) => `${s.part} ${s.outcome}`);

  const first = await attempt(1);
  await say(first, 'web', 'done');
  await say(first, 'cdn', 'failed');
  await network.until('both are heard', async () => {
    const said = await outcomes();
    return ['web done', 'cdn failed'].every((one) => said.includes(one));
  });
  const third = await attempt(3);
  expect(third).toEqual({ ...first, attempt: 3 });
  const alarm = await network.until('the alarm', async () =>
    (await network.alarms()).find((a) => a.kind === 'takedown-unacknowledged'),
  );
  expect(alarm).toMatchObject({ subject: upload, message: expect.stringMatching(/not done by cdn \(failed\)$/) });
  expect(await outcomes()).toEqual([' waits for cdn', 'web done', 'cdn failed']);

  await say(third, 'cdn', 'done');
  await network.until('the end', async () => (await outcomes())[0] === ' closed (acknowledged)');
  expect((await outcomes()).slice(1).sort()).toEqual(['cdn done', 'web done']);
  const takedowns = await network.takedowns();
  expect(takedowns.map((t) => t.attempt)).toEqual(takedowns.map((_, i) => i + 1));
  expect(new Set(takedowns.map((t) => t.id)).size).toBe(1);
  // What the case remembers of it.
  const chain = await caseEvents(network.instance.database.postgres, first.case);
  expect(chain.filter((e) => e.data.action === first.id).map((e) => e.kind)).toEqual(['takedown', 'acknowledged']);
}, 180_000);
