import {
  ENGINE_VERSION,
  isLeft,
  leftOf,
  type Manifest,
  type Opened,
  type Proposal,
  placeOf,
  type ReadUploads,
  type ReferenceKey,
  type Slice,
  type SliceAlignments,
  type SliceCodes,
  type SliceEvidence,
  visitOrder,
} from '@vigil/contracts';
import { canonical, type KnownUpload } from '@vigil/database';
import type { IndexHit, SimilarityIndex } from '@vigil/similarity';
import { sliceCut } from '../events.ts';
import { givingUp, type Patience } from '../give-up.ts';
import type { Outcome, Output } from '../outcome.ts';
import type { Stage } from '../run-stage.ts';
import type { SecondLook } from '../stages/decide-upload.ts';
import { matchSlice } from '../stages/match-slice.ts';

/** Why an upload is left as it is though it should have been looked at: its media are gone, or cannot be read any more. */
export interface Trouble {
  kind: 'media-gone' | 'failed';
  detail: string;
}

/** What a second look at some slices came to. */
export interface Looked {
  /** That differ from what is recorded. */
  results: SecondLook['results'][number][];
  /** Searched again with the same answer. */
  same: SliceAlignments[];
  trouble: Trouble | null;
  manifest: Manifest | null;
  /** Slices that were looked at, of so many. */
  seen: number[];
  slices: number;
}

/** The library as a replay searches it. */
export interface Searched {
  index: Pick<SimilarityIndex, 'searchAsync'>;
  checkpoint(): number;
}

export interface SecondLookDeps extends Patience {
  /** All shards of one layout, in order. */
  libraries: readonly Searched[];
  /** The stages of the route, by which everything is done: those that read media only where that is needed. */
  plan: Stage<ReadUploads>;
  fingerprint: Stage<Slice>;
  confirm: Stage<Proposal>;
}

/** The stages of the route once more, whose outputs go nowhere but to the next stage, and in the end to whoever asked. */
export interface SecondLooks {
  ofCodes(input: Opened<SliceCodes>, known: KnownUpload | null, signal: AbortSignal): Promise<Looked>;
  /** Decoded anew; with the slices that were to follow it and of which nothing is known. */
  ofSlice(slice: Slice, known: KnownUpload | null, signal: AbortSignal): Promise<Looked>;
  /** The whole upload, from its announcement on; null when it announces none. */
  ofUpload(
    input: Opened<ReadUploads>,
    known: (upload: string) => Promise<KnownUpload | null>,
    signal: AbortSignal,
  ): Promise<{ upload: string; looked: Looked }[]>;
  ofProposal(input: Opened<Proposal>, known: KnownUpload | null, signal: AbortSignal): Promise<Looked>;
  /** A result as it lies on the log, which nobody has recorded. */
  ofResult(result: SliceAlignments | SliceEvidence, known: KnownUpload | null): Looked;
}

export function createSecondLooks(deps: SecondLookDeps): SecondLooks {
  const { libraries, clock } = deps;
  const [plan, fingerprint] = [givingUp(deps.plan, deps), givingUp(deps.fingerprint, deps)];
  const confirm = givingUp(deps.confirm, deps);
  const matchers = new Map<string, Stage<SliceCodes>>();

  function matcher(number: number, of: number): Stage<SliceCodes> {
    const key = `${number}/${of}`;
    const known = matchers.get(key);
    if (known) return known;
    const checkpoint = () => Math.min(...libraries.map((l) => l.checkpoint()));
    const index = of === libraries.length ? libraries[number]!.index : partOf(libraries, number, of);
    const made = matchSlice({ index, checkpoint, shard: { number, of }, clock, concurrency: 1 });
    matchers.set(key, made);
    return made;
  }

  /** Evidence, and what was left of the slice, which is to be searched as well. */
  async function confirmed(input: Opened<Proposal>, signal: AbortSignal) {
    const outputs = outputsOf(await confirm.run(input, signal));
    const left = outputs.find((o) => o.to === 'fingerprints');
    return {
      evidence: outputs.find((o) => o.to === 'evidence')!.data as SliceEvidence,
      left: left ? openedOf<SliceCodes>(left) : null,
    };
  }

  /** @param anew what was found is confirmed again, though the same is proposed */
  async function ofCodes(
    input: Opened<SliceCodes>,
    known: KnownUpload | null,
    signal: AbortSignal,
    anew = false,
  ): Promise<Looked> {
    const slice = input.event.data;
    const isWhole = !isLeft(slice.slice, slice.slices);
    const looked: Looked = { ...nothing(slice.slices), seen: [slice.slice] };
    if (input.codes && input.codes.engine !== ENGINE_VERSION) {
      // What is left of it is found again where the slice itself is read again.
      if (!isWhole) return looked;
      // Codes of another engine are not compared with those of this one: the media are read anew.
      const { outcome: _o, ...rest } = slice;
      const position = Math.max(0, visitOrder(slice.slices).indexOf(slice.slice));
      const steps = slice.steps.filter((s) => s.stage === 'plan');
      return ofSlice({ ...rest, position, steps }, known, signal, { follow: false, anew: true });
    }
    let [leaves, stands] = [false, false];
    for (let number = 0; number < slice.shards; number++) {
      const outputs = outputsOf(await matcher(number, slice.shards).run(input, signal));
      const alignments = outputs.find((o) => o.to === 'alignments')!.data as SliceAlignments;
      const recorded = recordedOf(known, { ...slice, shard: number });
      const isFound = recorded?.outcome.status === 'alignments';
      if (recorded && !(anew && isFound) && isSame(recorded, alignments) && isAnswered(recorded, known!.evidence)) {
        looked.same.push(alignments);
        stands ||= isFound;
        continue;
      }
      const proposal = outputs.find((o) => o.to === 'proposals');
      const { evidence, left } = proposal
        ? await confirmed(openedOf(proposal), signal)
        : { evidence: null, left: null };
      if (evidence?.outcome.status === 'failed') {
        // What is left of a slice keeps no upload from being judged, here as there.
        if (isWhole) looked.trouble ??= troubleOf(evidence.outcome);
        stands = true;
        continue;
      }
      looked.results.push({ alignments, evidence });
      if (!left) continue;
      leaves = true;
      addTo(looked, await ofCodes(left, known, signal, anew));
    }
    if (isWhole && !leaves && !stands) looked.results.push(...emptied(known, slice));
    return looked;
  }

  /** What is recorded of what was left of a slice, where nothing is left of it any more. */
  function emptied(known: KnownUpload | null, { slice, slices, shards }: SliceCodes): Looked['results'] {
    const n = leftOf(slice, slices);
    return (known?.alignments ?? [])
      .filter((a) => a.shards === shards && a.slice === n && a.outcome.status !== 'nothing')
      .map((a) => ({
        alignments: { ...a, outcome: { status: 'nothing', why: 'nothing is left of the slice any more' } },
        evidence: null,
      }));
  }

  async function ofSlice(
    slice: Slice,
    known: KnownUpload | null,
    signal: AbortSignal,
    { follow = true, anew = false } = {},
  ): Promise<Looked> {
    const outputs = outputsOf(
      await fingerprint.run(openedOf({ key: '', id: 'again', type: 'again', data: slice }), signal),
    );
    const made = outputs.find((o) => o.to === 'fingerprints');
    // Deleted meanwhile.
    if (!made) return { ...nothing(slice.slices), seen: [slice.slice] };
    const codes = openedOf<SliceCodes>(made);
    const { outcome } = codes.event.data;
    const before = known?.alignments.find((a) => a.slice === slice.slice);
    if (outcome.status === 'failed' && before && before.outcome.status !== 'failed') {
      return { ...nothing(slice.slices), seen: [slice.slice], trouble: troubleOf(outcome) };
    }
    const looked = await ofCodes(codes, known, signal, anew);
    if (!follow) return looked;
    for (const next of outputs.filter((o) => o.to !== 'fingerprints').map((o) => o.data as Slice)) {
      if (known?.alignments.some((a) => a.slice === next.slice)) continue;
      addTo(looked, await ofSlice(next, known, signal));
    }
    return looked;
  }

  return {
    ofCodes: (input, known, signal) => ofCodes(input, known, signal),
    ofSlice: (slice, known, signal) => ofSlice(slice, known, signal),

    async ofUpload(input, knownOf, signal) {
      const outputs = outputsOf(await plan.run(input, signal));
      const all: { upload: string; looked: Looked }[] = [];
      for (const { data } of outputs.filter((o) => o.to === 'manifests')) {
        const manifest = data as Manifest;
        const known = await knownOf(manifest.upload);
        const { upload, outcome } = manifest;
        if (outcome.status === 'rejected') {
          const trouble = known?.manifest?.outcome.status === 'planned' ? troubleOf(outcome) : null;
          all.push({ upload, looked: { ...nothing(0), manifest, trouble } });
          continue;
        }
        const first = outputs
          .map((o) => o.data as Slice)
          .find((s) => s.owner?.type === 'upload' && s.owner.id === upload)!;
        // As it was planned then, so that its results take the place of those.
        const shards = known?.manifest?.outcome.status === 'planned' ? known.manifest.outcome.shards : outcome.shards;
        const { slice: _n, position: _p, span: _s, ...rest } = first;
        const looked: Looked = { ...nothing(outcome.slices), manifest };
        for (let position = 0; position < outcome.slices; position++) {
          const slice = sliceCut({ ...rest, shards }, position).data as Slice;
          addTo(looked, await ofSlice(slice, known, signal, { follow: false }));
        }
        all.push({ upload, looked });
      }
      return all;
    },

    async ofProposal(input, known, signal) {
      const { id, slice, slices } = input.event.data;
      const looked: Looked = { ...nothing(slices), seen: [slice] };
      const alignments = recordedOf(known, input.event.data);
      // Proposed by a look that another has taken the place of.
      if (alignments?.outcome.status !== 'alignments' || alignments.outcome.proposal !== id) return looked;
      const { evidence, left } = await confirmed(input, signal);
      const before = known!.evidence.find((e) => e.proposal === id);
      if (evidence.outcome.status === 'failed' && before?.outcome.status !== 'failed') {
        return { ...looked, trouble: troubleOf(evidence.outcome) };
      }
      if (before && canonical(before.outcome) === canonical(evidence.outcome)) looked.same.push(alignments);
      else looked.results.push({ alignments, evidence });
      if (left) addTo(looked, await ofCodes(left, known, signal));
      return looked;
    },

    ofResult(result, known) {
      const looked: Looked = { ...nothing(0), seen: [result.slice] };
      const recorded = recordedOf(known, result);
      if ('frames' in result) {
        if (recorded && recorded.checkpoint >= result.checkpoint) return looked;
        return { ...looked, results: [{ alignments: result, evidence: null }] };
      }
      const asked = recorded?.outcome.status === 'alignments' && recorded.outcome.proposal === result.proposal;
      if (!asked || known!.evidence.some((e) => e.proposal === result.proposal)) return looked;
      return { ...looked, results: [{ alignments: recorded, evidence: result }] };
    },
  };
}

/** What is recorded of a slice, by that shard of that layout. */
export const recordedOf = (
  known: KnownUpload | null,
  { shards, slice, shard }: Pick<SliceAlignments, 'shards' | 'slice' | 'shard'>,
): SliceAlignments | undefined =>
  known?.alignments.find((a) => a.shards === shards && a.slice === slice && a.shard === shard);

/** Of an upload of so many slices, none of which was looked at. */
export const nothing = (slices: number): Looked => ({
  results: [],
  same: [],
  trouble: null,
  manifest: null,
  seen: [],
  slices,
});

export function addTo(all: Looked, more: Looked): void {
  all.results.push(...more.results);
  all.same.push(...more.same);
  all.seen.push(...more.seen);
  all.trouble ??= more.trouble;
  all.manifest ??= more.manifest;
}

export const troubleOf = ({ reason, detail }: { reason: string; detail: string }): Trouble => ({
  kind: reason === 'missing' || reason === 'deleted' ? 'media-gone' : 'failed',
  detail: `${reason}: ${detail}`,
});

function outputsOf(outcome: Outcome): Output[] {
  if (outcome.kind === 'done') return outcome.outputs;
  if (outcome.kind === 'rejected') return outcome.outputs;
  return [];
}

/** An output as the next stage would have read it. */
export const openedOf = <T>({
  id,
  type,
  key,
  data,
  codes = null,
}: Pick<Output, 'id' | 'type' | 'key' | 'data' | 'codes'>): Opened<T> => ({
  event: { id, type, source: 'vigil', subject: key, time: 0, data: data as T },
  codes,
});

/** The same library says the same; why nothing was alike is not compared. */
function isSame({ outcome: a }: SliceAlignments, { outcome: b }: SliceAlignments): boolean {
  if (a.status === 'nothing' || b.status === 'nothing') return a.status === b.status;
  if (a.status === 'failed' || b.status === 'failed')
    return a.status === 'failed' && b.status === 'failed' && a.reason === b.reason;
  return canonical(a.alignments) === canonical(b.alignments);
}

function isAnswered({ outcome }: SliceAlignments, evidence: readonly SliceEvidence[]): boolean {
  if (outcome.status !== 'alignments' || outcome.proposal === null) return true;
  return evidence.some((e) => e.proposal === outcome.proposal && e.outcome.status !== 'failed');
}

/** Part `number` of `of` of a library that is held in another number of parts: what was planned for that layout is answered in it. */
function partOf(libraries: readonly Searched[], number: number, of: number): Searched['index'] {
  const mine = ({ origin }: IndexHit) => placeOf(origin.reference.id, of) === number;
  return {
    async searchAsync(kind, bits, limit) {
      const found = await Promise.all(libraries.map((l) => l.index.searchAsync(kind, bits, limit)));
      return found.flat().filter(mine).sort(inOrder);
    },
  };
}

const nameOf = ({ id, version }: ReferenceKey) => `${id}@${String(version).padStart(10, '0')}`;

function inOrder(a: IndexHit, b: IndexHit): number {
  if (a.query !== b.query) return a.query - b.query;
  if (a.distance !== b.distance) return a.distance - b.distance;
  const [x, y] = [nameOf(a.origin.reference), nameOf(b.origin.reference)];
  return x === y ? a.origin.time - b.origin.time : x < y ? -1 : 1;
}
