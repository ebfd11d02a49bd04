import type { Alignment, Fingerprint } from '@vigil/contracts';
import {
  FRAME_FLAT,
  isFit,
  MalformedEvent,
  type Opened,
  type Proposal,
  referenceKey,
  type SliceAlignments,
  SliceCodes,
  type Step,
} from '@vigil/contracts';
import { alignAll, keyframesReach, searches } from '@vigil/decision';
import type { Clock } from '@vigil/runtime';
import type { SimilarityIndex } from '@vigil/similarity';
import { ownerKey, proposalId, proposed, sliceMatched } from '../events.ts';
import { done, type Outcome, skipped } from '../outcome.ts';
import { matcher } from '../readers.ts';
import type { Stage } from '../run-stage.ts';

export interface MatchDeps {
  index: Pick<SimilarityIndex, 'searchAsync'>;
  /** How far the index has read the library. */
  checkpoint(): number;
  shard: { number: number; of: number };
  clock: Clock;
  concurrency: number;
}

/** Searches the codes of one slice and says what aligns, unthresholded; what aligns is proposed for a closer look. */
export function matchSlice({ index, checkpoint, shard: layout, clock, concurrency }: MatchDeps): Stage<SliceCodes> {
  const shard = layout.number;

  async function run({ event, codes }: Opened<SliceCodes>): Promise<Outcome> {
    const startedAt = clock.now();
    const slice = event.data;
    if (slice.owner.type !== 'upload') return skipped('not an upload');
    if (slice.shards !== layout.of)
      return skipped(`for a library in ${slice.shards} shards; this one has ${layout.of}`);
    const at = checkpoint();
    const upload = ownerKey(slice.owner);
    const result = (outcome: SliceAlignments['outcome'], note: string): SliceAlignments => ({
      upload,
      slice: slice.slice,
      shards: layout.of,
      shard,
      span: slice.span,
      checkpoint: at,
      outcome,
      frames: countFrames(codes),
      steps: [...slice.steps, stepOf(startedAt, clock.now(), outcome.status, note)],
    });

    if (slice.outcome.status === 'failed') {
      return done([sliceMatched(result(slice.outcome, `${slice.outcome.reason}: ${slice.outcome.detail}`))]);
    }
    if (!codes) throw new MalformedEvent(`codes of ${upload}/${slice.slice} are missing`);
    const alignments = await searchSlice(index, codes);
    if (alignments.length === 0) {
      const why = countFrames(codes).usable === 0 ? 'no frame is fit to be judged' : 'nothing in the library is alike';
      return done([sliceMatched(result({ status: 'nothing', why }, why))]);
    }
    const proposal: Proposal = {
      id: proposalId(upload, slice.slice, layout, at),
      upload,
      media: slice.media,
      probe: slice.probe,
      slice: slice.slice,
      slices: slice.slices,
      shards: layout.of,
      shard,
      span: slice.span,
      checkpoint: at,
      alignments,
      receivedAt: slice.receivedAt,
      steps: [],
    };
    const outcome = { status: 'alignments', alignments, proposal: proposal.id } as const;
    const note = alignments.map(noteOf).join(', ');
    const matched = result(outcome, note);
    const along = codesToConfirm(codes, alignments);
    return done([sliceMatched(matched), proposed({ ...proposal, steps: matched.steps }, along)]);
  }

  return {
    ...matcher(layout),
    concurrency,
    schema: SliceCodes,
    run,
  };
}

const noteOf = (a: Alignment): string =>
  `${a.reference.id}: ${a.frames} frames${a.inliers === undefined ? '' : `, ${a.inliers} places`}`;

/** Hits per query code that are looked at; a code with more relatives than this says little about any of them. */
const HITS_PER_CODE = { picture: 64, patch: 32, sound: 64 };

export async function searchSlice(
  index: Pick<SimilarityIndex, 'searchAsync'>,
  codes: Fingerprint,
): Promise<Alignment[]> {
  const found = searches(codes).map(async (s) => ({
    ...s,
    hits: await index.searchAsync(s.kind, s.queries.bits, HITS_PER_CODE[s.kind]),
  }));
  return alignAll(codes, await Promise.all(found));
}

/**
 * What the closer look can do with the codes that are there: all of them where the slice was read densely, so that nothing is
 * decoded twice; the pictures of keyframes that may prove it by themselves; else null.
 */
export function codesToConfirm(codes: Fingerprint, alignments: readonly Alignment[]): Fingerprint | null {
  if (codes.sampling === 'keyframes') {
    const open = new Set(alignments.map((a) => referenceKey(a.reference)));
    for (const a of alignments) if (a.kind === 'picture') open.delete(referenceKey(a.reference));
    if (open.size > 0 || !keyframesReach(codes)) return null;
    return { ...codes, tables: codes.tables.filter(({ kind }) => kind === 'picture') };
  }
  // Patches are compared by thumbnails, so those must be there.
  return codes.thumbnails.time.length > 0 || alignments.every((a) => a.kind !== 'patch') ? codes : null;
}

/** Frames looked at, and those with something in them to be judged by. */
export function countFrames(codes: Fingerprint | null): { seen: number; usable: number } {
  if (!codes) return { seen: 0, usable: 0 };
  const usable = codes.frames.flags.reduce((n, f) => n + (f & FRAME_FLAT ? 0 : 1), 0);
  return { seen: codes.frames.flags.length, usable };
}

/** Frames that protect: neither flat nor, in a film, a page of text, which too many innocents share. */
export function countProtecting(codes: Fingerprint): number {
  return codes.frames.flags.reduce((n, _, frame) => n + (isFit(codes, frame) ? 1 : 0), 0);
}

const stepOf = (startedAt: number, endedAt: number, outcome: string, note: string): Step => ({
  stage: 'match',
  startedAt,
  endedAt,
  outcome,
  note,
});
