import {
  derivedId,
  ENGINE_VERSION,
  type Fingerprint,
  leftOf,
  type Manifest,
  type Owner,
  type Pictures,
  type Proposal,
  type ReferenceEvent,
  SLICES_IN_FLIGHT,
  type Slice,
  type SliceAlignments,
  type SliceCodes,
  type SliceEvidence,
  sliceSpan,
  type UploadEvent,
  uploadId,
  visitOrder,
} from '@vigil/contracts';
import type { Output } from './outcome.ts';

/**
 * How each event is named and addressed. Ids derive from the input, the stage and the engine's version, so that work
 * done twice says the same thing under the same name.
 */
export const ownerKey = (owner: Owner): string => (owner.type === 'upload' ? owner.id : `${owner.id}@${owner.version}`);

export function uploadReceived(event: UploadEvent): Output {
  const upload = uploadId(event.media);
  const id = derivedId('ev', upload, 'upload', event.action);
  return { to: 'uploads', key: upload, id, type: `vigil.upload.${event.action}`, data: event };
}

export function referenceChanged(event: ReferenceEvent): Output {
  const { id, version } = event.reference;
  return {
    to: 'references',
    key: `${id}@${version}`,
    id: derivedId('ev', id, version, event.action, event.receivedAt),
    type: `vigil.reference.${event.action}`,
    data: event,
  };
}

export function manifestMade(inputId: string, manifest: Manifest): Output {
  const id = derivedId('ev', inputId, 'plan', ENGINE_VERSION, manifest.event.action);
  return { to: 'manifests', key: manifest.upload, id, type: 'vigil.upload.planned', data: manifest };
}

type SlicePlan = Omit<Slice, 'slice' | 'position' | 'span'>;

/** The slice that is read at `position` in the order of visiting, in the lane that it belongs to. */
export function sliceCut(plan: SlicePlan, position: number): Output {
  const n = visitOrder(plan.slices)[position]!;
  const span: [number, number] = plan.probe.kind === 'image' ? [0, 0] : sliceSpan(n, plan.probe.duration);
  const data: Slice = { ...plan, slice: n, position, span };
  const lane = plan.owner.type === 'reference' ? 'slicesBatch' : position === 0 ? 'slicesFirst' : 'slicesRest';
  const key = `${ownerKey(plan.owner)}/${n}`;
  return {
    to: lane,
    key,
    id: derivedId('ev', key, 'slice', ENGINE_VERSION, plan.epoch),
    type: 'vigil.slice.cut',
    data,
  };
}

/** The slices to send at first; each one that ends sends another (`sliceAfter`), so that a bounded number is in flight. */
export function firstSlices(plan: SlicePlan): Output[] {
  return Array.from({ length: Math.min(SLICES_IN_FLIGHT, plan.slices) }, (_, position) => sliceCut(plan, position));
}

export function sliceAfter(slice: Slice): Output[] {
  const position = slice.position + SLICES_IN_FLIGHT;
  if (position >= slice.slices) return [];
  const { slice: _n, position: _p, span: _s, ...plan } = slice;
  // Steps of one slice are not the next one's: only how the upload was planned is.
  return [sliceCut({ ...plan, steps: plan.steps.filter((s) => s.stage === 'plan') }, position)];
}

export function sliceFingerprinted(
  slice: Omit<Slice, 'position'> & { position?: number },
  result: Pick<SliceCodes, 'outcome' | 'steps'>,
  codes: Fingerprint | null,
): Output {
  const { position: _p, sequencer: _s, ...rest } = slice;
  const data: SliceCodes = { ...rest, ...result };
  const own = ownerKey(slice.owner);
  const id = derivedId('ev', own, slice.slice, 'fingerprint', ENGINE_VERSION, slice.epoch);
  const type = 'vigil.slice.fingerprinted';
  return slice.owner.type === 'upload'
    ? { to: 'fingerprints', key: own, id, type, data, codes }
    : { to: 'referenceCodes', key: `${own}/${slice.slice}`, id, type, data, codes };
}

/** What a closer look at a slice left over, as a slice of its own beyond the upload's: it is matched as any other. */
export function leftFingerprinted(proposal: Proposal, codes: Fingerprint): Output {
  const { upload, media, probe, slice, slices, span, shards, receivedAt, steps } = proposal;
  const about = { media, probe, slice: leftOf(slice, slices), slices, span, shards, epoch: shards, receivedAt };
  const planned = steps.filter((s) => s.stage === 'plan');
  const owner = { type: 'upload' as const, id: upload };
  return sliceFingerprinted(
    { owner, ...about, steps: planned },
    { outcome: { status: 'codes' }, steps: planned },
    codes,
  );
}

/** One result a slice, layout, shard and checkpoint: searching again in a library that has grown is another result. */
export function sliceMatched(data: SliceAlignments): Output {
  const id = derivedId(
    'ev',
    data.upload,
    data.slice,
    data.shards,
    data.shard,
    'match',
    ENGINE_VERSION,
    data.checkpoint,
  );
  return { to: 'alignments', key: data.upload, id, type: 'vigil.slice.matched', data };
}

export const proposalId = (
  upload: string,
  slice: number,
  shard: { number: number; of: number },
  checkpoint: number,
): string => derivedId('pr', upload, slice, shard.of, shard.number, ENGINE_VERSION, checkpoint);

export function proposed(data: Proposal, codes: Fingerprint | null): Output {
  return { to: 'proposals', key: data.upload, id: derivedId('ev', data.id), type: 'vigil.match.proposed', data, codes };
}

export function sliceConfirmed(data: SliceEvidence): Output {
  const id = derivedId('ev', data.proposal, 'confirm', ENGINE_VERSION);
  return { to: 'evidence', key: data.upload, id, type: 'vigil.slice.confirmed', data };
}

export function picturesWanted(data: Pictures): Output {
  const id = derivedId('ev', data.claim, 'pictures');
  return { to: 'pictures', key: data.upload, id, type: 'vigil.pictures.wanted', data };
}
