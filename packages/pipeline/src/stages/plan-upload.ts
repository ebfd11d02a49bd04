import {
  MAX_SLICES,
  type Manifest,
  type MediaLocation,
  type Opened,
  type Rejection,
  type Step,
  sliceCount,
  UploadEvent,
  uploadId,
} from '@vigil/contracts';
import type { Clock } from '@vigil/runtime';
import { firstSlices, manifestMade } from '../events.ts';
import type { Media } from '../media.ts';
import { done, type Outcome } from '../outcome.ts';
import type { Stage } from '../run-stage.ts';

export interface PlanDeps {
  media: Media;
  clock: Clock;
  shards: number;
  epoch: number;
  concurrency: number;
}

/** Answers within this time, and this much more for each second of media; then the verdict is in-review(incomplete). */
const DEADLINE_MS = 120_000;
const DEADLINE_MS_PER_SECOND = 500;

/** Looks at an upload's container, cuts it into slices, and tells `decide` what to expect. */
export function planUpload({ media, clock, shards, epoch, concurrency }: PlanDeps): Stage<UploadEvent> {
  async function run({ event }: Opened<UploadEvent>, signal: AbortSignal): Promise<Outcome> {
    const startedAt = clock.now();
    const upload = uploadId(event.data.media);
    const manifest = (outcome: Manifest['outcome'], seconds = 0, note?: string): Manifest => ({
      upload,
      event: event.data,
      outcome,
      deadline: Math.round(startedAt + DEADLINE_MS + seconds * DEADLINE_MS_PER_SECOND),
      steps: [step(startedAt, outcome.status, note)],
    });
    const step = (from: number, outcome: string, note?: string): Step => ({
      stage: 'plan',
      startedAt: from,
      endedAt: clock.now(),
      outcome,
      ...(note ? { note } : {}),
    });
    const reject = (reason: Rejection, detail: string) =>
      done([manifestMade(event.id, manifest({ status: 'rejected', reason, detail }, 0, `${reason}: ${detail}`))]);

    if (event.data.action === 'deleted') return reject('deleted', 'the platform deleted the upload');
    const looked = await probeMedia(media, event.data.media, signal);
    if (looked.status === 'rejected') return reject(looked.reason, looked.detail);
    const { probe } = looked;
    const slices = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
    if (slices > MAX_SLICES) return reject('too-long', `${Math.round(probe.duration)} seconds`);
    const planned = manifest({ status: 'planned', probe, slices, shards, epoch }, probe.duration);
    const plan = {
      owner: { type: 'upload' as const, id: upload },
      media: event.data.media,
      probe,
      slices,
      shards,
      epoch,
      receivedAt: event.data.receivedAt,
      steps: planned.steps,
    };
    return done([manifestMade(event.id, planned), ...firstSlices(plan)]);
  }

  return { name: 'plan', group: 'plan', consumes: ['uploads'], concurrency, schema: UploadEvent, run };
}

export async function probeMedia(media: Media, location: MediaLocation, signal: AbortSignal) {
  const opened = await media.open(location);
  if (opened.status === 'rejected') return opened;
  return media.fingerprinter.probe(opened.source, signal);
}
