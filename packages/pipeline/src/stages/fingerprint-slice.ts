import type { BlobStore } from '@vigil/blob-store';
import {
  encodeFingerprint,
  type Fingerprint,
  FRAMES_FORMAT,
  type Opened,
  type Rejection,
  Slice,
  type Step,
} from '@vigil/contracts';
import type { Clock } from '@vigil/runtime';
import { OWN_BUCKET } from '../emit.ts';
import { ownerKey, sliceAfter, sliceFingerprinted } from '../events.ts';
import type { FrameLists } from '../frame-lists.ts';
import type { Lane, Lanes } from '../lanes.ts';
import type { Media } from '../media.ts';
import { done, type Outcome, type Output, skipped } from '../outcome.ts';
import { READERS } from '../readers.ts';
import type { Stage } from '../run-stage.ts';
import { createSliceRuns, type ReadRun } from '../slice-runs.ts';

export interface FingerprintDeps {
  media: Media;
  frames: FrameLists;
  /** Has the platform deleted the upload since it announced what this is a slice of? */
  isGone(slice: Slice): Promise<boolean>;
  blobs: BlobStore;
  lanes: Lanes;
  clock: Clock;
  /** Each topic of slices has consumers of its own, so that what waits in one never keeps another from being read. */
  from: 'slicesFirst' | 'slicesRest' | 'slicesBatch';
  concurrency: number;
}

/** Decodes and hashes one slice, then sends the slice that is `SLICES_IN_FLIGHT` further on its way. */
export function fingerprintSlice(deps: FingerprintDeps): Stage<Slice> {
  const { media, frames, isGone, blobs, lanes, clock, from, concurrency } = deps;
  const runs = createSliceRuns(lanes);

  function results(
    slice: Slice,
    startedAt: number,
    result: { codes: Fingerprint } | { reason: Rejection; detail: string },
  ) {
    const outcome =
      'codes' in result
        ? ({ status: 'codes' } as const)
        : ({ status: 'failed', reason: result.reason, detail: result.detail } as const);
    const codes = 'codes' in result ? result.codes : null;
    const note = codes
      ? `${codes.sampling}, ${codes.frames.time.length} frames, ${codes.tables.reduce((n, t) => n + t.count, 0)} codes`
      : `${outcome.status === 'failed' ? `${outcome.reason}: ${outcome.detail}` : ''}`;
    const step: Step = { stage: 'fingerprint', startedAt, endedAt: clock.now(), outcome: outcome.status, note };
    return [sliceFingerprinted(slice, { outcome, steps: [...slice.steps, step] }, codes), ...sliceAfter(slice)];
  }

  async function run({ event }: Opened<Slice>, signal: AbortSignal, alive = () => undefined): Promise<Outcome> {
    const slice = event.data;
    const { owner, probe, span } = slice;
    const isList = owner.type === 'upload' && probe.format === FRAMES_FORMAT;
    // The first slice of an upload goes alone, so that nothing makes its takedown wait.
    const shares = from === 'slicesRest' && probe.kind === 'video' && !isList;
    using expected = shares ? runs.expect(slice) : null;
    // The verdict is given already: nobody waits for the rest. What is one slice only is done as fast as asked about.
    if (owner.type === 'upload' && slice.slices > 1 && (await isGone(slice))) return skipped('deleted meanwhile');
    if (expected) {
      let startedAt = clock.now();
      const read: ReadRun = (slices) => {
        startedAt = clock.now();
        return media.fingerprintRun(slice.media, { probe, spans: slices.map((s) => s.span) }, signal);
      };
      const made = await expected.codes({ lane: laneOf(slice), signal, alive, read });
      return done(results(slice, startedAt, made.status === 'codes' ? { codes: made.fingerprint } : made));
    }
    const work = async () => {
      const startedAt = clock.now();
      const purpose = owner.type === 'reference' ? 'reference' : 'upload';
      const made = isList
        ? await media.fingerprinter.fingerprintFrames(
            await frames.between(ownerKey(owner), slice.media, probe, span),
            { probe, span },
            signal,
          )
        : await media.fingerprint(slice.media, { probe, span, purpose }, signal);
      if (made.status === 'rejected') return done(results(slice, startedAt, made));
      if (slice.owner.type === 'reference') {
        await blobs.put(OWN_BUCKET, codesKey(ownerKey(slice.owner), slice.slice), encodeFingerprint(made.fingerprint));
      }
      return done(results(slice, startedAt, { codes: made.fingerprint }));
    };
    return lanes.run(laneOf(slice), signal, work, alive);
  }

  return {
    ...READERS[from],
    takesIn: true,
    concurrency,
    schema: Slice,
    run,
    giveUp: ({ event }, reason): Output[] => results(event.data, clock.now(), { reason: 'corrupt', detail: reason }),
  };
}

/** Where a slice of a reference's codes lie, for those who compare frame by frame. */
export const codesKey = (reference: string, slice: number): string => `codes/${reference}/${slice}`;

function laneOf(slice: Slice): Lane {
  if (slice.owner.type === 'reference') return 'batch';
  if (slice.probe.kind === 'image') return 'still';
  return slice.position === 0 ? 'first' : 'rest';
}
