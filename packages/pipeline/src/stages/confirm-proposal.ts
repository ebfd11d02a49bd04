import {
  type Evidence,
  type Fingerprint,
  FRAMES_FORMAT,
  isLeft,
  type Opened,
  Proposal,
  referenceKey,
  type SliceEvidence,
  type Span,
  type Step,
} from '@vigil/contracts';
import {
  addsTo,
  confirm,
  confirmKeyframes,
  hasRoom,
  isHalfSeen,
  leftOver,
  openEdges,
  provesAll,
  reachOf,
  withEdges,
} from '@vigil/decision';
import type { FingerprintOutcome } from '@vigil/fingerprint';
import { type Clock, createTurns } from '@vigil/runtime';
import { leftFingerprinted, sliceConfirmed } from '../events.ts';
import type { Lane, Lanes } from '../lanes.ts';
import type { Media } from '../media.ts';
import { type Films, withOtherShots } from '../other-shots.ts';
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

/**
 * Looks again, closely, only where something was proposed: two frames a second against the reference's own codes. Not where
 * the keyframes that were read already leave nothing open: then no more is decoded.
 */
export function confirmProposal(deps: ConfirmDeps): Stage<Proposal> {
  const { media, references, lanes, clock, concurrency, lane = 'confirm' } = deps;
  const films = withOtherShots(references);
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

  async function dense(
    { media: location, probe }: Proposal,
    span: Span,
    signal: AbortSignal,
    alive?: () => void,
  ): Promise<FingerprintOutcome> {
    if (probe.format === FRAMES_FORMAT) {
      return { status: 'rejected', reason: 'no-frames', detail: 'a list has no more frames than were read' };
    }
    const again = () => media.fingerprint(location, { probe, span, purpose: 'confirm' }, signal);
    return lanes.run(lane, signal, again, alive);
  }

  async function run({ event, codes }: Opened<Proposal>, signal: AbortSignal, alive?: () => void): Promise<Outcome> {
    const startedAt = clock.now();
    const proposal = event.data;
    const read = (span: Span) => dense(proposal, span, signal, alive);
    const { outcome, left } = await lookCloser(codes, proposal, films, read);
    const said = sliceConfirmed(evidenceOf(proposal, startedAt, outcome, noteOf(outcome)));
    // What is left of a slice is searched once: of that, nothing is left again.
    const again = left && !isLeft(proposal.slice, proposal.slices) ? [leftFingerprinted(proposal, left)] : [];
    return done([said, ...again]);
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

function noteOf(outcome: SliceEvidence['outcome']): string {
  if (outcome.status === 'failed') return `${outcome.reason}: ${outcome.detail}`;
  if (outcome.status === 'nothing') return 'nothing holds';
  return outcome.evidence.map((e) => `${e.reference.id}: ${e.total.toFixed(1)} s`).join(', ');
}

export interface CloserLook {
  outcome: SliceEvidence['outcome'];
  /** Codes of what was read densely and lies beside all that was found, for the library to be searched by; null where there is none. */
  left: Fingerprint | null;
}

/**
 * What a closer look at a slice says of what was proposed. `codes` are those that are there already (`codesToConfirm`); `read`
 * reads a part of the upload densely, where they leave something open.
 */
export async function lookCloser(
  codes: Fingerprint | null,
  proposal: Pick<Proposal, 'alignments' | 'span'>,
  films: Films,
  read: (span: Span) => Promise<FingerprintOutcome>,
): Promise<CloserLook> {
  const said = (evidence: Evidence[], left: Fingerprint | null = null): CloserLook => ({
    outcome:
      evidence.length > 0
        ? { status: 'confirmed', evidence }
        : { status: 'nothing', why: 'frame by frame, nothing that was proposed holds' },
    left,
  });
  if (codes && codes.sampling !== 'keyframes') {
    const found = await confirmDensely(codes, proposal, films);
    if (!isHalfSeen(codes, proposal.alignments, found)) return said(found);
    const made = await read(proposal.span);
    // What was found stays: `join` takes the nearer of two that say the same.
    return said(
      made.status === 'codes' ? [...found, ...(await confirmDensely(made.fingerprint, proposal, films))] : found,
    );
  }
  const proved = codes ? await confirmByKeyframes(codes, proposal, films, read) : null;
  if (proved) return said(proved);
  const made = await read(proposal.span);
  if (made.status === 'rejected')
    return { outcome: { status: 'failed', reason: made.reason, detail: made.detail }, left: null };
  // The library was searched by keyframes only.
  const found = await confirmDensely(made.fingerprint, proposal, films);
  return said(found, leftOver(made.fingerprint, found));
}

/** Where keyframes prove all that was proposed, and so does what lies at the slice's ends beyond them; else null. */
async function confirmByKeyframes(
  keyframes: Fingerprint,
  { alignments, span }: Pick<Proposal, 'alignments' | 'span'>,
  references: Pick<ReferenceCodes, 'between'>,
  read: (span: Span) => Promise<FingerprintOutcome>,
): Promise<Evidence[] | null> {
  const prove = async (codes: Fingerprint): Promise<Evidence[] | null> => {
    const proved = new Map<string, Evidence>();
    for (const alignment of alignments) {
      const key = referenceKey(alignment.reference);
      if (proved.has(key)) continue;
      const found = confirmKeyframes(
        codes,
        alignment,
        await references.between(alignment.reference, ...reachOf(alignment, span)),
      );
      if (found) proved.set(key, found);
    }
    return alignments.every(({ reference }) => proved.has(referenceKey(reference))) ? [...proved.values()] : null;
  };
  const found = await prove(keyframes);
  const edges = found ? openEdges(keyframes) : [];
  if (edges.length === 0) return found;
  const looked: Fingerprint[] = [];
  for (const edge of edges) {
    const made = await read(edge);
    if (made.status === 'rejected') return null;
    looked.push(made.fingerprint);
  }
  // Black, or nothing at all, says nothing of where the copy ended.
  const all = withEdges(keyframes, looked);
  return openEdges(all).length > 0 ? null : prove(all);
}

/**
 * As `confirmAll`; and where a film is found in a part of the slice only, its other shots in there, which a few keyframes did not propose:
 * all frames that were read are searched for among the codes of that film alone. Each film for itself: one may be there under two names.
 */
async function confirmDensely(
  upload: Fingerprint,
  proposal: Pick<Proposal, 'alignments' | 'span'>,
  films: Films,
): Promise<Evidence[]> {
  const { span } = proposal;
  const found = Map.groupBy(await confirmAll(upload, proposal, films), (e) => referenceKey(e.reference));
  for (const own of found.values()) {
    const [longest] = own.toSorted((a, b) => b.longest - a.longest);
    const { reference, referenceMedia, segments } = longest!;
    if (referenceMedia !== 'video' || !hasRoom(upload, own)) continue;
    const alignments = await films.otherShots(upload, reference, segments[0]!.reference[0]);
    for (const other of await confirmAll(upload, { alignments, span }, films))
      if (addsTo(own, other, upload)) own.push(other);
  }
  return [...found.values()].flat();
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
