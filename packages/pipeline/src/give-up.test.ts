/** Faked: time, and the stage. */
import { BlobStoreError } from '@vigil/blob-store';
import { MalformedEvent } from '@vigil/contracts';
import { createFakeClock, createLogger } from '@vigil/runtime';
import { beforeEach, expect, test } from 'vitest';
import { givingUp, MAX_TRIES } from './give-up.ts';
import type { Outcome } from './outcome.ts';
import type { Stage } from './run-stage.ts';

const clock = createFakeClock();
const input = { event: { id: 'e', type: 't', source: 's', subject: 'k', time: 0, data: 1 }, codes: null };
let broken: boolean;
let tries: number;
beforeEach(() => {
  [broken, tries] = [false, 0];
});

function run(fault: () => unknown, signal = new AbortController().signal): Promise<Outcome> {
  const stage = {
    name: 'confirm',
    async run() {
      tries++;
      throw fault();
    },
    giveUp: (_input: unknown, reason: string) => [{ to: 'evidence', key: 'k', id: 'e', type: 't', data: reason }],
  } as unknown as Stage<number>;
  const environment = { isBroken: async () => broken };
  return givingUp(stage, { clock, logger: createLogger({ level: 'silent' }), environment }).run(input, signal);
}
const said = (outcome: Outcome) => outcome.kind === 'done' && outcome.outputs.map((o) => o.data);

test('an event that nobody will ever do is given up in the stage’s own words', async () => {
  expect(said(await run(() => new BlobStoreError('not-allowed', 'AccessDenied (403)')))).toEqual([
    'AccessDenied (403)',
  ]);
  expect(said(await run(() => new MalformedEvent('no codes')))).toEqual(['no codes']);
  expect(tries).toBe(2);
});

test('an object that stays away while all stores answer is tried as often as the loop tries, and given up', async () => {
  const running = run(() => new BlobStoreError('unavailable', 'InternalError (500)'));
  await clock.advance(3_600_000);
  expect(said(await running)).toEqual([`gave up after ${MAX_TRIES} tries: BlobStoreError: InternalError (500)`]);
  expect(tries).toBe(MAX_TRIES);
});

test('an outage condemns nothing, and a bug is thrown', async () => {
  broken = true;
  await expect(run(() => new BlobStoreError('unavailable', 'no connection'))).rejects.toThrow('no connection');
  await expect(run(() => new TypeError('a bug'))).rejects.toThrow('a bug');
  expect(tries).toBe(2);
});

test('whoever is called off gives nothing up', async () => {
  const stop = new AbortController();
  const fault = () => new BlobStoreError('unavailable', 'InternalError (500)');
  const running = run(fault, stop.signal);
  await clock.advance(1000);
  stop.abort(new Error('draining'));
  await expect(running).rejects.toThrow('draining');
});
