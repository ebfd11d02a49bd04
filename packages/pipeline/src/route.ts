import type { BlobStore } from '@vigil/blob-store';
import type { Database } from '@vigil/database';
import type { Clock } from '@vigil/runtime';
import type { SimilarityIndex } from '@vigil/similarity';
import type { Lanes } from './lanes.ts';
import type { Library } from './library.ts';
import type { Media } from './media.ts';
import type { ReferenceCodes } from './reference-codes.ts';
import type { Stage } from './run-stage.ts';
import { confirmProposal } from './stages/confirm-proposal.ts';
import type { decideUpload } from './stages/decide-upload.ts';
import { fingerprintSlice } from './stages/fingerprint-slice.ts';
import { learnReference } from './stages/learn-reference.ts';
import { matchSlice } from './stages/match-slice.ts';
import { planUpload } from './stages/plan-upload.ts';

export interface RouteDeps {
  media: Media;
  blobs: BlobStore;
  database: Database;
  index: SimilarityIndex;
  library: Library;
  references: ReferenceCodes;
  lanes: Lanes;
  clock: Clock;
  decide: ReturnType<typeof decideUpload>;
  shard: { number: number; of: number };
  /** Changes when the number of shards does. */
  epoch: number;
  /** Slices that are decoded at once. */
  decoders: number;
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
 *
 * Beside it: `library` feeds reference-codes to the index, `relay` carries the outbox to the log, `timers` bring deadlines.
 */
export function route(deps: RouteDeps): Stage<never>[] {
  const { media, blobs, database, index, library, references, lanes, clock, decide, shard, epoch, decoders } = deps;
  const shards = shard.of;
  // More slices are taken from the log than are decoded at once, so that the lanes have something to choose from.
  const waiting = decoders * 16;
  const stages = [
    planUpload({ media, clock, shards, epoch, concurrency: decoders * 2 }),
    learnReference({ media, database, clock, shards, epoch, concurrency: decoders }),
    fingerprintSlice({ media, blobs, lanes, clock, concurrency: waiting }),
    matchSlice({ index, checkpoint: library.checkpoint, shard: shard.number, clock, concurrency: 1 }),
    confirmProposal({ media, references, lanes, clock, concurrency: waiting }),
    decide.stages.recordManifest,
    decide.stages.recordSlice,
    decide.stages.recordProposal,
  ];
  return stages as unknown as Stage<never>[];
}
