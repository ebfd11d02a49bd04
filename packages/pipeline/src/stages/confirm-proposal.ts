import {
  type Evidence,
  type Fingerprint,
  type Opened,
  Proposal,
  referenceKey,
  type SliceEvidence,
  type Step,
} from '@vigil/contracts';
import { confirm, provesAll, reachOf } from '@vigil/decision';
import { type Clock, createTurns } from '@vigil/runtime';
import { sliceConfirmed } from '../events.ts';
import type { Lane, Lanes } from '../lanes.ts';
import type { Media } from '../media.ts';
import { done, type Outcome } from '../outcome.ts';
import { READERS } from '../readers.ts';
import type { ReferenceCodes } from '../reference-codes.ts';
import type { Stage } from '../run-stage.ts';

export interface ConfirmDeps {
  media: Media;
  references: ReferenceCodes;
  lanes: Lanes;
  clock: Clock;
  concurrency: number;
  /** Whose turn it is to decode: look-back and replay wait in the last one. */
  lane?: Lane;
}

/** Looks again, closely, only where something was proposed: two frames a second against the reference's own codes. */
export function confirmProposal(deps: ConfirmDeps): Stage<Proposal> {
  const { media, references, lanes, clock, concurrency, lane = 'confirm' } = deps;
  const evidenceOf = (
    p: Proposal,
    startedAt: number,
    outcome: SliceEvidence['outcome'],
    note: string,
  ): SliceEvidence => {
    const step: Step = { stage: 'confirm', startedAt, endedAt: clock.now(), outcome: outcome.status, note };
    const { id, upload, slice, shards, shard, checkpoint, steps } = p;
    return { proposal: id, upload, slice, shards, shard, checkpoint, outcome, steps: [...steps, step] };
  };

  function dense({ media: location, probe, span }: Proposal, signal: AbortSignal, alive?: () => void) {
    const again = () => media.fingerprint(location, { probe, span, purpose: 'confirm' }, signal);
    return lanes.run(lane, signal, again, alive);
  }

  async function run({ event, codes }: Opened<Proposal>, signal: AbortSignal, alive?: () => void): Promise<Outcome> {
    const startedAt = clock.now();
    const proposal = event.data;
    const made = codes ? ({ status: 'codes', fingerprint: codes } as const) : await dense(proposal, signal, alive);
    if (made.status === 'rejected') {
      const outcome = { status: 'failed', reason: made.reason, detail: made.detail } as const;
      return done([sliceConfirmed(evidenceOf(proposal, startedAt, outcome, `${made.reason}: ${made.detail}`))]);
    }
    const evidence = await confirmAll(made.fingerprint, proposal, references);
    const outcome: SliceEvidence['outcome'] =
      evidence.length > 0
        ? { status: 'confirmed', evidence }
        : { status: 'nothing', why: 'frame by frame, nothing that was proposed holds' };
    const note = evidence.map((e) => `${e.reference.id}: ${e.total.toFixed(1)} s`).join(', ');
    return done([sliceConfirmed(evidenceOf(proposal, startedAt, outcome, note || 'nothing holds'))]);
  }

  return {
    ...READERS.confirm,
    concurrency,
    schema: Proposal,
    run,
    giveUp: ({ event }, reason) => [
      sliceConfirmed(
        evidenceOf(event.data, clock.now(), { status: 'failed', reason: 'corrupt', detail: reason }, reason),
      ),
    ],
  };
}

/**
 * Evidence for each alignment that holds when every frame is compared. What is left of a reference's alignments is not looked
 * at once one of them proves all of the slice: a film that is copied as it is aligns by its pictures and by several geometries.
 */
export async function confirmAll(
  upload: Fingerprint,
  proposal: Pick<Proposal, 'alignments' | 'span'>,
  references: Pick<ReferenceCodes, 'between'>,
): Promise<Evidence[]> {
  const evidence: Evidence[] = [];
  const proved = new Set<string>();
  const turns = createTurns();
  for (const alignment of proposal.alignments) {
    const key = referenceKey(alignment.reference);
    if (proved.has(key)) continue;
    if (turns.due()) await turns.rest();
    const slices = await references.between(alignment.reference, ...reachOf(alignment, proposal.span));
    const found = slices.length > 0 ? confirm(upload, alignment, slices) : null;
    if (!found) continue;
    evidence.push(found);
    if (provesAll(found, upload)) proved.add(key);
  }
  return evidence;
}
