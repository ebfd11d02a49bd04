import {
  derivedId,
  type Envelope,
  MAX_SLICES,
  type Manifest,
  type MediaLocation,
  type Opened,
  type ReadUploads,
  type Rejection,
  readUpload,
  type Step,
  sliceCount,
  type UploadEvent,
  type UploadMapping,
  uploadId,
} from '@vigil/contracts';
import { type Clock, currentTrace, formatTraceparent } from '@vigil/runtime';
import { firstSlices, manifestMade } from '../events.ts';
import type { FrameLists } from '../frame-lists.ts';
import type { Layout } from '../layout.ts';
import type { Media } from '../media.ts';
import { done, type Outcome, type Output, skipped } from '../outcome.ts';
import { READERS } from '../readers.ts';
import type { Stage } from '../run-stage.ts';

export interface PlanDeps {
  media: Media;
  frames: FrameLists;
  mapping: UploadMapping;
  clock: Clock;
  layout: Layout;
  concurrency: number;
}

const traced = () => {
  const trace = currentTrace();
  return trace ? { trace: formatTraceparent(trace) } : {};
};

/** Answers within this time, and this much more for each second of media; then the verdict is in-review(incomplete). */
const DEADLINE_MS = 120_000;
const DEADLINE_MS_PER_SECOND = 500;

/** Looks at an upload's container, cuts it into slices, and tells `decide` what to expect. */
export function planUpload(deps: PlanDeps): Stage<ReadUploads> {
  const { media, frames, mapping, clock, layout, concurrency } = deps;

  /** What can be said of an upload, from now on. */
  function begin(event: UploadEvent) {
    const startedAt = clock.now();
    const upload = uploadId(event.media);
    const id = derivedId('ev', upload, event.action, event.receivedAt, event.sequencer ?? '');
    // The list of frames stays where the slices find it: it is as long as the film.
    const { frames: list, ...announced } = event;
    const manifest = (outcome: Manifest['outcome'], seconds = 0, note?: string): Manifest => ({
      upload,
      event: announced,
      outcome,
      deadline: Math.round(startedAt + DEADLINE_MS + seconds * DEADLINE_MS_PER_SECOND),
      steps: [step(startedAt, outcome.status, note)],
      ...traced(),
    });
    const step = (from: number, outcome: string, note?: string): Step => ({
      stage: 'plan',
      startedAt: from,
      endedAt: clock.now(),
      outcome,
      ...(note ? { note } : {}),
    });
    const reject = (reason: Rejection, detail: string) => [
      manifestMade(id, manifest({ status: 'rejected', reason, detail }, 0, `${reason}: ${detail}`)),
    ];
    return { upload, id, list, manifest, reject };
  }

  async function plan(event: UploadEvent, signal: AbortSignal): Promise<Output[]> {
    const { upload, id, list, manifest, reject } = begin(event);
    if (event.action === 'deleted') return reject('deleted', 'the platform deleted the upload');
    const looked = list
      ? await frames.register(upload, event.media, list, signal)
      : await probeMedia(media, event.media, signal);
    if (looked.status === 'rejected') return reject(looked.reason, looked.detail);
    const { probe } = looked;
    const slices = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
    if (slices > MAX_SLICES) return reject('too-long', `${Math.round(probe.duration)} seconds`);
    // Looking at the media may have taken its time: what is planned now is planned for the layout of now.
    const shards = await layout();
    const epoch = shards;
    const planned = manifest({ status: 'planned', probe, slices, shards, epoch }, probe.duration);
    const first = firstSlices({
      owner: { type: 'upload' as const, id: upload },
      media: event.media,
      probe,
      slices,
      shards,
      epoch,
      receivedAt: event.receivedAt,
      ...(event.sequencer ? { sequencer: event.sequencer } : {}),
      steps: planned.steps,
    });
    return [manifestMade(id, planned), ...first];
  }

  async function run({ event }: Opened<ReadUploads>, signal: AbortSignal, alive?: () => void): Promise<Outcome> {
    const { events, nothing } = event.data;
    if (events.length === 0) return skipped(`no upload: ${nothing}`);
    const outputs: Output[] = [];
    for (const one of events) {
      outputs.push(...(await plan(one, signal)));
      alive?.();
    }
    return done(outputs);
  }

  /** A message of a platform or of an object store; only ours has an id. */
  function schema(envelope: Envelope): Opened<ReadUploads> {
    const { ce_id: id = '', ce_type: type = '', ce_source: source = '' } = envelope.headers;
    return {
      event: { id, type, source, subject: envelope.key, time: 0, data: readUpload(envelope, mapping) },
      codes: null,
    };
  }

  /** An upload that cannot be looked at has a verdict all the same. */
  const giveUp = ({ event }: Opened<ReadUploads>, why: string): Output[] =>
    event.data.events.flatMap((one) => {
      const { reject } = begin(one);
      return one.action === 'deleted' ? reject('deleted', 'the platform deleted the upload') : reject('given-up', why);
    });

  return { ...READERS.plan, takesIn: true, concurrency, schema, run, giveUp };
}

export async function probeMedia(media: Media, location: MediaLocation, signal: AbortSignal) {
  const opened = await media.open(location);
  if (opened.status === 'rejected') return opened;
  return media.fingerprinter.probe(opened.source, signal);
}
