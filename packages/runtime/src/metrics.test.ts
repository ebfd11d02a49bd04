import { expect, test, vi } from 'vitest';
import { createMetrics, METRICS } from './metrics.ts';

const linesOf = async (metrics: ReturnType<typeof createMetrics>, name: string) =>
  (await metrics.expose()).body.split('\n').filter((line) => line.startsWith(name));

test('counts and distributions are told in the text format', async () => {
  const metrics = createMetrics();
  metrics.add('vigil_verdicts_total', { verdict: 'cleared', cause: 'first' });
  metrics.add('vigil_verdicts_total', { verdict: 'cleared', cause: 'first' }, 2);
  for (const seconds of [0.2, 5, 5.1, Number.NaN])
    metrics.observe('vigil_takedown_seconds', { kind: 'image' }, seconds);
  expect(await linesOf(metrics, 'vigil_verdicts_total')).toEqual([
    'vigil_verdicts_total{verdict="cleared",cause="first"} 3',
  ]);
  const takedowns = await linesOf(metrics, 'vigil_takedown_seconds');
  expect(takedowns).toContain('vigil_takedown_seconds_bucket{le="5",kind="image"} 2');
  expect(takedowns).toContain('vigil_takedown_seconds_count{kind="image"} 3');
  expect((await metrics.expose()).type).toContain('text/plain');
});

test('a label that is not few ends as overflow', async () => {
  const metrics = createMetrics();
  for (let n = 0; n < 1000; n++) metrics.add('vigil_alarms_total', { kind: `kind-${n}` });
  metrics.add('vigil_alarms_total', { kind: 'kind-7' });
  const lines = await linesOf(metrics, 'vigil_alarms_total');
  expect(lines.length).toBe(201);
  expect(lines).toContain('vigil_alarms_total{kind="overflow"} 800');
  expect(lines).toContain('vigil_alarms_total{kind="kind-7"} 2');
});

test('gauges are asked for; what is gone, or cannot be told, is not shown, and that is counted', async () => {
  const metrics = createMetrics();
  let states: Record<string, number> | null = { live: 3, received: 1 };
  metrics.gather('figures', ['vigil_references'], async () => {
    if (!states) throw new Error('no database');
    return Object.entries(states).map(([state, n]) => ['vigil_references', n, { state }]);
  });
  expect(await linesOf(metrics, 'vigil_references')).toEqual([
    'vigil_references{state="live"} 3',
    'vigil_references{state="received"} 1',
  ]);
  states = { live: 4 };
  expect(await linesOf(metrics, 'vigil_references')).toEqual(['vigil_references{state="live"} 4']);
  states = null;
  expect(await linesOf(metrics, 'vigil_references')).toEqual([]);
  // Asked a second time, it fails a second time.
  expect(await linesOf(metrics, 'vigil_scrape_failures_total')).toEqual([
    'vigil_scrape_failures_total{source="figures"} 2',
  ]);
  // Never told is not zero.
  expect(await linesOf(metrics, 'vigil_ready')).toEqual([]);
});

test('a source that hangs holds up nobody for longer than its time', async () => {
  vi.useFakeTimers();
  try {
    const metrics = createMetrics();
    metrics.gather('stuck', ['vigil_ready'], () => new Promise(() => undefined));
    const told = linesOf(metrics, 'vigil_scrape_failures_total');
    await vi.advanceTimersByTimeAsync(5000);
    expect(await told).toEqual(['vigil_scrape_failures_total{source="stuck"} 1']);
  } finally {
    vi.useRealTimers();
  }
});

test('names say their units, and no label can be an id', () => {
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    expect(name).toMatch(type === 'counter' ? /_total$/ : /^(?!.*_total$)/);
    if (type === 'histogram') expect(name).toMatch(/_seconds$/);
    for (const label of labels)
      expect(['upload', 'holder', 'account', 'reference', 'work', 'id', 'le']).not.toContain(label);
  }
});
