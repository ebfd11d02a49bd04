import { FRAMES_FORMAT, type Opened, type Slice } from '@vigil/contracts';
import { SAMPLES } from '@vigil/contracts/event-samples';
import type { FingerprintOutcome } from '@vigil/fingerprint';
import { createFakeClock } from '@vigil/runtime';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLanes } from '../lanes.ts';
import type { Outcome } from '../outcome.ts';
import { type FingerprintDeps, fingerprintSlice } from './fingerprint-slice.ts';

/** Faked: media, what was deleted, and time. */
describe('fingerprint', () => {
  let calls: string[];
  let deleted: Set<string>;
  let removedAt: number;
  let made: FingerprintOutcome;
  const signal = new AbortController().signal;
  const owner = SAMPLES.slice.owner;

  const deps = () =>
    ({
      media: {
        fingerprint: async () => {
          calls.push('fingerprint');
          return made;
        },
        fingerprintRun: async (_location: unknown, { spans }: { spans: unknown[] }) => {
          calls.push(...spans.map(() => 'fingerprint'));
          return spans.map(() => made);
        },
        fingerprinter: {
          fingerprintFrames: async (images: unknown[]) => {
            calls.push(`fingerprintFrames ${images.length}`);
            return made;
          },
        },
      },
      frames: { between: async (upload: string) => [upload] },
      isGone: async ({ owner, receivedAt }: Slice) => {
        calls.push('isGone');
        return deleted.has(owner.id) && receivedAt <= removedAt;
      },
      blobs: {},
      lanes: createLanes(1),
      clock: createFakeClock(),
      from: 'slicesRest',
      concurrency: 1,
    }) as unknown as FingerprintDeps;
  const run = (slice: Slice): Promise<Outcome> =>
    fingerprintSlice(deps()).run({ event: { data: slice } } as Opened<Slice>, signal);
  const slice = (more: Partial<Slice> = {}): Slice => ({
    ...SAMPLES.slice,
    slices: 20,
    slice: 9,
    position: 3,
    ...more,
  });

  beforeEach(() => {
    calls = [];
    deleted = new Set();
    removedAt = Number.POSITIVE_INFINITY;
    made = { status: 'rejected', reason: 'corrupt', detail: 'x' };
  });

  test('leaves a slice of an upload that was deleted, and sends none after it', async () => {
    deleted.add(owner.id);
    expect(await run(slice())).toEqual({ kind: 'skipped', reason: 'deleted meanwhile' });
    expect(calls).toEqual(['isGone']);
  });

  test('sends the slice after it as long as the upload is there', async () => {
    const outcome = (await run(slice())) as Extract<Outcome, { kind: 'done' }>;
    expect(outcome.outputs.map((o) => o.to)).toEqual(['fingerprints', 'slicesRest']);
    expect(calls).toEqual(['isGone', 'fingerprint']);
  });

  test('a slice of what was announced after the removal is read, and the next one is sent as it came', async () => {
    deleted.add(owner.id);
    removedAt = SAMPLES.slice.receivedAt;
    expect(await run(slice({ sequencer: '0A' }))).toMatchObject({ kind: 'skipped' });
    const again = { receivedAt: removedAt + 1, sequencer: '0B' };
    const outcome = (await run(slice(again))) as Extract<Outcome, { kind: 'done' }>;
    expect(outcome.outputs.map((o) => o.to)).toEqual(['fingerprints', 'slicesRest']);
    expect(outcome.outputs[1]!.data).toMatchObject(again);
    expect(outcome.outputs[0]!.data).not.toHaveProperty('sequencer');
  });

  test('does not ask about what is one slice, nor about references', async () => {
    await run(slice({ slices: 1, slice: 0, position: 0 }));
    await run(slice({ owner: { type: 'reference', id: 'ref', version: 1 } }));
    expect(calls).not.toContain('isGone');
  });

  test('reads the pictures of a film that comes as pictures', async () => {
    await run(slice({ probe: { ...SAMPLES.slice.probe, format: FRAMES_FORMAT } }));
    expect(calls).toEqual(['isGone', 'fingerprintFrames 1']);
  });
});
