import { ALARM_KINDS } from '@vigil/contracts';
import { createMetrics } from '@vigil/runtime';
import { expect, test } from 'vitest';
import { type GaugeDeps, gatherGauges } from './gauges.ts';

/** What counters stand at before anything has happened; nobody asks for the gauges. */
function begun(tellsWhole: boolean) {
  const metrics = createMetrics();
  const nothing = undefined as never;
  const deps: GaugeDeps = {
    ...{ log: nothing, database: nothing, environment: nothing, disks: nothing, lanes: nothing, status: nothing },
    ...{ clock: nothing, library: null, readers: [], watch: null },
    ...{ about: { version: '1', roles: 'decide' }, ackSeconds: 600 },
    metrics,
    tellsWhole,
  };
  gatherGauges(deps);
  return async (name: string) => (await metrics.expose()).body.split('\n').filter((line) => line.startsWith(name));
}

test('alarms of each kind stand at 0 before the first one, where they are counted, so that a burst of first ones rises', async () => {
  const told = await begun(true)('vigil_alarms_total');
  expect(told.sort()).toEqual(ALARM_KINDS.map((kind) => `vigil_alarms_total{kind="${kind}"} 0`).sort());
  expect(await begun(false)('vigil_alarms_total')).toEqual([]);
});
