import type { BlobStore } from '@vigil/blob-store';
import type { Slice, UploadMapping } from '@vigil/contracts';
import type { Database } from '@vigil/database';
import type { Clock, Role } from '@vigil/runtime';
import type { Ledger } from './claims/ledger.ts';
import { ownerKey } from './events.ts';
import { createFrameLists } from './frame-lists.ts';
import type { Lanes } from './lanes.ts';
import type { Layout } from './layout.ts';
import type { Library } from './library.ts';
import type { Media } from './media.ts';
import type { ReferenceCodes } from './reference-codes.ts';
import { wentAfter } from './removal.ts';
import type { Stage } from './run-stage.ts';
import { confirmProposal } from './stages/confirm-proposal.ts';
import type { decideUpload } from './stages/decide-upload.ts';
import { fingerprintSlice } from './stages/fingerprint-slice.ts';
import { learnReference } from './stages/learn-reference.ts';
import { matchSlice } from './stages/match-slice.ts';
import { planUpload } from './stages/plan-upload.ts';
import type { recordAcknowledgement } from './stages/record-acknowledgement.ts';
import { takePictures } from './stages/take-pictures.ts';

export interface RouteDeps {
  /** null where nothing is decoded. */
  media: Media | null;
  mapping: UploadMapping;
  blobs: BlobStore;
  database: Database;
  /** null where nothing is matched. */
  library: Library | null;
  references: ReferenceCodes;
  lanes: Lanes;
  clock: Clock;
  ledger: Ledger;
  decide: ReturnType<typeof decideUpload>;
  acknowledge: ReturnType<typeof recordAcknowledgement>;
  /** The part of the library that this process searches, if it does. */
  shard: { number: number; of: number };
  layout: Layout;
  /** Slices that are decoded at once. */
  decoders: number;
  /** Does this process have any of these roles? */
  has(...roles: Role[]): boolean;
}

/**
 * The map. An upload goes down this list; each line says what a stage reads and what it sends.
 *
 *   stage        reads                          sends
 *   plan         uploads                        manifests, slices.first, slices.rest
 *   learn        references                     slices.batch
 *   fingerprint  slices.first, .rest, .batch    fingerprints | reference-codes, and the next slice
 *   match        fingerprints                   alignments, proposals
 *   confirm      proposals                      evidence
 *   decide       manifests, alignments,         rows; takedowns, verdicts and alarms through the outbox
 *                evidence
 *   record       acknowledgements               rows
 *   pictures     pictures                       rows, and JPEGs in the store; asked for by decide
 *
 * Beside it: `library` feeds reference-codes to the index, `relay` carries the outbox to the log, `timers` bring deadlines
 * and send again what no surface has acknowledged.
 */
export function route(deps: RouteDeps): Stage<never>[] {
  const {
    media,
    mapping,
    blobs,
    database,
    library,
    references,
    lanes,
    clock,
    ledger,
    decide,
    acknowledge,
    shard,
    layout,
    decoders,
    has,
  } = deps;
  // Images must come to the lanes however many films wait in the same topic; what else waits may as well wait in the log.
  const urgent = 256;
  const patient = decoders * 2;
  // Few probes of films run at a time, so this many may wait for them; more would wait for longer than the log allows.
  const planned = 32;
  const frames = media && createFrameLists(blobs, media);
  const isGone = (slice: Slice) => wentAfter(database.postgres, ownerKey(slice.owner), slice);
  const stages: unknown[] = [];
  if (has('plan') && media && frames) {
    stages.push(planUpload({ media, frames, mapping, clock, layout, concurrency: planned }));
    stages.push(learnReference({ media, database, clock, layout, concurrency: decoders }));
  }
  if (has('fingerprint') && media && frames) {
    const parts = { media, frames, isGone, blobs, lanes, clock };
    stages.push(fingerprintSlice({ ...parts, from: 'slicesFirst', concurrency: urgent }));
    stages.push(fingerprintSlice({ ...parts, from: 'slicesRest', concurrency: patient }));
    stages.push(fingerprintSlice({ ...parts, from: 'slicesBatch', concurrency: patient }));
  }
  if (library) {
    const { index, checkpoint } = library;
    stages.push(matchSlice({ index, checkpoint, shard, clock, concurrency: patient }));
  }
  if (has('confirm') && media) {
    stages.push(confirmProposal({ media, references, lanes, clock, concurrency: urgent }));
    stages.push(takePictures({ media, blobs, database, ledger, lanes, clock, concurrency: patient }));
  }
  if (has('decide')) stages.push(...Object.values(decide.stages), acknowledge);
  return stages as Stage<never>[];
}
