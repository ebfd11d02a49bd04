import { describe, expect, test } from 'vitest';
import { createLogger, silentLogger } from './logger.ts';
import {
  beginTrace,
  currentTrace,
  formatTraceparent,
  inTrace,
  parseTraceparent,
  traceHeaders,
  traceOf,
} from './trace.ts';
import { openTracer } from './tracer.ts';

const ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${ID}-00f067aa0ba902b7-01`;

describe('traceparent', () => {
  test.each([
    ['too short', '00-4bf9-00f067aa0ba902b7-01'],
    ['capitals', PARENT.toUpperCase()],
    ['no trace', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['no span', `00-${ID}-${'0'.repeat(16)}-01`],
    ['version ff', `ff${PARENT.slice(2)}`],
    ['more than version 00 has', `${PARENT}-what`],
    ['nothing', ''],
  ])('%s is none', (_what, text) => {
    expect(parseTraceparent(text)).toBeNull();
  });

  test('is the same after a round trip; later versions may hold more', () => {
    expect(formatTraceparent(parseTraceparent(PARENT)!)).toBe(PARENT);
    expect(parseTraceparent(`01${PARENT.slice(2)}-what`)).toMatchObject({ traceId: ID, sampled: true });
    expect(traceOf({ ce_traceparent: PARENT, ce_tracestate: 'a=b' })).toMatchObject({ traceId: ID, state: 'a=b' });
    // What no log of ours would take is not handed on; the trace is.
    for (const ce_tracestate of ['a=\0', 'a=\ud800', 'a=\u00e9', 'x'.repeat(513)])
      expect(traceOf({ ce_traceparent: PARENT, ce_tracestate })).toEqual(parseTraceparent(PARENT));
    expect(traceOf({})).toBeNull();
  });

  test('an event without one begins the same trace each time that it is read', () => {
    const begun = beginTrace('vigil.uploads/3/17');
    expect(begun).toEqual(beginTrace('vigil.uploads/3/17'));
    expect(begun.traceId).not.toBe(beginTrace('vigil.uploads/3/18').traceId);
    expect(parseTraceparent(formatTraceparent(begun))).toMatchObject({ traceId: begun.traceId, sampled: false });
  });
});

test('what is sent belongs to the trace that is under way, unless its upload has another', async () => {
  expect(traceHeaders()).toEqual({});
  expect(traceHeaders(PARENT).traceparent).toBe(PARENT);
  const other = beginTrace('another');
  await inTrace(other, async () => {
    await Promise.resolve();
    expect(currentTrace()).toEqual(other);
    expect(traceHeaders().traceparent).toContain(other.traceId);
    expect(traceHeaders(PARENT).traceparent).toBe(PARENT);
  });
  const deeper = { ...parseTraceparent(PARENT)!, spanId: 'a'.repeat(16) };
  inTrace(deeper, () => expect(traceHeaders(PARENT).traceparent).toBe(formatTraceparent(deeper)));
});

test('log lines name the trace; without an address no span is made and nothing is loaded', async () => {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({ to: { write: (line) => lines.push(JSON.parse(line)) } });
  const tracer = await openTracer(null, { service: 'vigil', version: '1', logger: silentLogger });
  const parent = parseTraceparent(PARENT)!;
  await tracer.span('plan', parent, {}, async () => logger.info({}, 'inside'));
  logger.info({}, 'outside');
  expect(lines.map((l) => l.trace)).toEqual([ID, undefined]);
  await expect(tracer.span('plan', parent, {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('a collector that is away holds nothing up, and is said once in a while', async () => {
  const lines: string[] = [];
  const logger = createLogger({ to: { write: (line) => void lines.push(line) } });
  const tracer = await openTracer('http://127.0.0.1:9', { service: 'vigil', version: '1', logger });
  const said = await tracer.span('plan', parseTraceparent(PARENT)!, {}, async () => traceHeaders());
  expect(said.traceparent).toContain(ID);
  expect(said.traceparent).not.toBe(PARENT);
  // More than go out at once.
  for (let n = 0; n < 600; n++) await tracer.span('plan', parseTraceparent(PARENT)!, {}, async () => undefined);
  const startedAt = Date.now();
  await tracer[Symbol.asyncDispose]();
  expect(Date.now() - startedAt).toBeLessThan(5000);
  expect(lines.filter((line) => line.includes('spans are not sent'))).toHaveLength(1);
});
