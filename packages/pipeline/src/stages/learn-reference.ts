import { MAX_SLICES, type Opened, ReferenceEvent, sliceCount } from '@vigil/contracts';
import { type Database, planReference, rejectReference } from '@vigil/database';
import { MIN_SECONDS } from '@vigil/decision';
import type { Clock } from '@vigil/runtime';
import { firstSlices } from '../events.ts';
import type { Layout } from '../layout.ts';
import type { Media } from '../media.ts';
import { done, type Outcome, skipped } from '../outcome.ts';
import { READERS } from '../readers.ts';
import type { Stage } from '../run-stage.ts';
import { probeMedia } from './plan-upload.ts';

export interface LearnDeps {
  media: Media;
  database: Database;
  clock: Clock;
  layout: Layout;
  concurrency: number;
}

/** Looks at a new reference's container and sends its slices through the patient lane. */
export function learnReference({ media, database, clock, layout, concurrency }: LearnDeps): Stage<ReferenceEvent> {
  async function run({ event }: Opened<ReferenceEvent>, signal: AbortSignal): Promise<Outcome> {
    const { action, reference, media: location, receivedAt } = event.data;
    if (action !== 'registered') return skipped(`${action} concerns the index, not the media`);
    const startedAt = clock.now();
    const looked = await probeMedia(media, location, signal);
    const refuse = async (reason: string) => {
      await rejectReference(database.postgres, reference, reason);
      return done();
    };
    if (looked.status === 'rejected') return refuse(`${looked.reason}: ${looked.detail}`);
    const { probe } = looked;
    const slices = probe.kind === 'image' ? 1 : sliceCount(probe.duration);
    if (probe.kind === 'video' && probe.duration < MIN_SECONDS)
      return refuse(`too-little: ${probe.duration.toFixed(1)} s of film are too few to judge by`);
    if (slices > MAX_SLICES) return refuse(`too-long: ${Math.round(probe.duration)} seconds`);
    await planReference(database.postgres, reference, { kind: probe.kind, duration: probe.duration, slices });
    const steps = [{ stage: 'plan', startedAt, endedAt: clock.now(), outcome: 'planned' }];
    const owner = { type: 'reference' as const, ...reference };
    const shards = await layout();
    return done(firstSlices({ owner, media: location, probe, slices, shards, epoch: shards, receivedAt, steps }));
  }

  /** Whoever registered it sees that it protects nothing. */
  async function giveUp({ event }: Opened<ReferenceEvent>, why: string): Promise<[]> {
    const { action, reference } = event.data;
    if (action === 'registered') await rejectReference(database.postgres, reference, `given-up: ${why}`);
    return [];
  }

  return { ...READERS.learn, takesIn: true, concurrency, schema: ReferenceEvent, run, giveUp };
}
