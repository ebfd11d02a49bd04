import type { BlobStore } from '@vigil/blob-store';
import {
  type Alignment,
  CODE_BYTES,
  derivedId,
  openEnvelope,
  type Proposal,
  placeOf,
  type ReferenceKey,
  referenceKey,
  type SliceAlignments,
  SliceCodes,
  type SliceEvidence,
  TOPICS,
  tableOf,
} from '@vigil/contracts';
import {
  type Database,
  findingsAmong,
  type KnownUpload,
  knownUploads,
  type NewReference,
  type RunPlace,
  type RunRow,
} from '@vigil/database';
import type { EventLog, LogRecord } from '@vigil/event-log';
import { createTurns } from '@vigil/runtime';
import { createIndex, createSieve, type Index, isReferenceCode, MOST_SIEVE_CODES } from '@vigil/similarity';
import { unspilled } from '../emit.ts';
import { cannotBeDone, givingUp, type Patience, patiently } from '../give-up.ts';
import { hashCodesOf } from '../hash-lists.ts';
import { indexedCodes } from '../indexed-codes.ts';
import { matchGroup, READERS } from '../readers.ts';
import type { ReferenceCodes } from '../reference-codes.ts';
import type { Stage } from '../run-stage.ts';
import type { decideUpload, SecondLook } from '../stages/decide-upload.ts';
import { codesToConfirm, searchSlice } from '../stages/match-slice.ts';
import { type Finding, findingOf, leftAlone, troubled } from './finding.ts';
import { goThrough, inParallel, type Note, noteFinding, type Piece, type RunProgress, type Worker } from './run.ts';
import { openedOf, recordedOf, type Trouble, troubleOf } from './second-look.ts';
import { createSift, type NearNew, searchedInFull } from './sift.ts';

export interface LookBackDeps extends Patience {
  database: Database;
  log: EventLog;
  blobs: BlobStore;
  references: ReferenceCodes;
  confirm: Stage<Proposal>;
  again: ReturnType<typeof decideUpload>['again'];
  /** Of the layout that uploads are searched in now. */
  shards(): Promise<number>;
}

/** New references, in a form that stored codes stream past. */
export interface NewOnes extends Disposable {
  references: readonly NewReference[];
  sieve: NearNew;
  index: Index;
}

/** References beyond this make a batch of their own. */
const MOST_CODES = 10_000;
const MOST_REFERENCES = 5000;

/** As many of them, from the first on, as fit one pass: 10 000 picture codes, and one reference at least, however long it is. */
export async function loadNewOnes(
  references: readonly NewReference[],
  codes: Pick<ReferenceCodes, 'slice'>,
): Promise<NewOnes> {
  const index = createIndex();
  const bits: Uint8Array[] = [];
  let count = 0;
  let taken = 0;
  const turns = createTurns();
  for (const one of references.slice(0, MOST_REFERENCES)) {
    for (let slice = 0; slice < one.slices; slice++) {
      const found = hashCodesOf(one.media) ?? (await codes.slice(one, slice));
      if (!found) continue;
      const kept = indexedCodes(found);
      index.add(one, slice, one.kind ?? 'video', kept);
      const table = tableOf(kept, 'picture');
      for (let i = 0; i < table.count; i++) {
        if (!isReferenceCode(kept, table, i)) continue;
        // Beyond that no sieve is made.
        if (count < MOST_SIEVE_CODES) bits.push(table.bits.subarray(CODE_BYTES * i, CODE_BYTES * (i + 1)));
        count++;
      }
    }
    taken++;
    if (count >= MOST_CODES) break;
    // Hashes come without a look at any store: whoever else works in this process is not kept waiting by thousands of them.
    if (turns.due()) await turns.rest();
  }
  index.compact();
  const sieve =
    count > MOST_SIEVE_CODES ? searchedInFull(index, count) : await createSieve(new Uint8Array(Buffer.concat(bits)));
  return { references: references.slice(0, taken), sieve, index, [Symbol.dispose]: () => index[Symbol.dispose]() };
}

export const lookBackId = (references: readonly ReferenceKey[], apply: boolean): string =>
  derivedId('look-back', String(apply), ...references.map(referenceKey).sort());

/**
 * Compares new references with all that was uploaded before they went live. What was uploaded since is compared by the matchers;
 * what lies between is waited for, so that nothing falls between the two.
 * @throws RunInUse, the signal's reason
 */
export async function lookBack(
  deps: LookBackDeps,
  newOnes: NewOnes,
  { apply, restart = false }: { apply: boolean; restart?: boolean },
  signal: AbortSignal,
  onProgress?: (progress: RunProgress) => void,
): Promise<RunRow> {
  const references = newOnes.references.map(({ id, version }) => ({ id, version }));
  const id = lookBackId(references, apply);
  return goThrough(
    deps,
    {
      ...{ id, kind: 'look-back', apply, restart },
      spec: { references },
      places: () => searchedBefore(deps, signal),
    },
    createWorker(deps, id, newOnes, apply, signal),
    signal,
    onProgress,
  );
}

/** Was anything fingerprinted that new references are to be compared with? */
export const isAnyStored = async ({ log }: Pick<LookBackDeps, 'log'>): Promise<boolean> =>
  (await log.ends(TOPICS.fingerprints.name)).some(({ start, end }) => start < end);

const WAIT_MS = 200;
/** Where matchers or decide get nothing done for so long, there is nobody to wait for. */
const PATIENCE_MS = 60_000;

/** The matchers have yet to search what was uploaded before, and get nothing done. */
export class NothingMoves extends Error {
  override name = 'NothingMoves';
  /** Whoever waits may find them back at work. */
  readonly retriable = true;
}

/**
 * All that was fingerprinted up to now, with the references live. Whoever searches any of it from now on has them in the index; what
 * was searched before may still be on its way to decide, and would take the place of what is found here: it is waited for.
 */
async function searchedBefore({ log, clock, shards }: LookBackDeps, signal: AbortSignal): Promise<RunPlace[]> {
  const topic = TOPICS.fingerprints.name;
  const ends = await log.ends(topic);
  const of = await shards();
  const waitFor = async (
    group: string,
    name: string,
    to: readonly { partition: number; start: number; end: number }[],
  ) => {
    let [least, fellAt] = [Number.POSITIVE_INFINITY, clock.now()];
    for (;;) {
      signal.throwIfAborted();
      const read = new Map((await log.committed(group, name)).map(({ partition, offset }) => [partition, offset]));
      const left = to.reduce((sum, e) => sum + Math.max(0, e.end - Math.max(e.start, read.get(e.partition) ?? 0)), 0);
      if (left === 0) return;
      if (left < least) [least, fellAt] = [left, clock.now()];
      if (clock.now() - fellAt > PATIENCE_MS)
        throw new NothingMoves(
          `${group} has ${left} events of ${name} yet to read, and gets nothing done: start it first`,
        );
      await clock.sleep(WAIT_MS, signal);
    }
  };
  for (let number = 0; number < of; number++) await waitFor(matchGroup({ number, of }), topic, ends);
  const { name } = TOPICS.alignments;
  await waitFor(READERS.alignments.group, name, await log.ends(name));
  return ends
    .filter(({ start, end }) => start < end)
    .map(({ partition, start, end }) => ({ topic, partition, start, end, next: start }));
}

/** Uploads with something found whose other slices may yet come; beyond this they are judged by what there is. */
const OPEN_AT_MOST = 1000;

interface Held {
  first: number;
  /** Nothing more can come of it: of a film, other slices, and what was left of one. */
  isWhole: boolean;
  results: SecondLook['results'][number][];
  trouble: Trouble | null;
  /** A slice that shows something new has no result that it could be added to. */
  unsearched: boolean;
}

function createWorker(
  deps: LookBackDeps,
  run: string,
  { references, sieve, index }: NewOnes,
  apply: boolean,
  signal: AbortSignal,
): Worker {
  const { database, blobs, again, logger } = deps;
  const confirm = givingUp(deps.confirm, deps);
  const about = new Map(references.map((r) => [referenceKey(r), r]));
  const open = new Map<string, Held>();
  const read = (record: LogRecord) => patiently(() => unspilled(record, blobs), deps, signal);
  const sifted = createSift(sieve, read, logger);

  async function look(record: LogRecord, known: KnownUpload | null): Promise<void> {
    const { event, codes } = openEnvelope(SliceCodes, await read(record));
    const { owner, slice, slices, shards, span, media, probe, receivedAt } = event.data;
    if (owner.type !== 'upload' || !codes || !known || known.deleted) return;
    const found = await searchSlice(index, codes);
    for (let shard = 0; shard < shards; shard++) {
      const recorded = recordedOf(known, { shards, slice, shard });
      const fresh = found.filter((a) => placeOf(a.reference.id, shards) === shard && isNews(a, recorded));
      if (fresh.length === 0) continue;
      const held: Held = open.get(owner.id) ?? {
        ...{ first: record.offset, isWhole: probe.kind === 'image', results: [], trouble: null, unsearched: false },
      };
      // Two are looked at at once: the later one may be done first.
      held.first = Math.min(held.first, record.offset);
      open.set(owner.id, held);
      if (!recorded) {
        held.unsearched = true;
        continue;
      }
      const before = evidenceFor(recorded, known.evidence);
      // Where the evidence of before is missing, all that was proposed is looked at, so that the slice is judged as a whole.
      const again =
        recorded.outcome.status === 'alignments' &&
        before?.outcome.status !== 'confirmed' &&
        before?.outcome.status !== 'nothing';
      const alignments =
        again && recorded.outcome.status === 'alignments' ? [...recorded.outcome.alignments, ...fresh] : fresh;
      const proposal: Proposal = {
        id: derivedId(
          'pr',
          owner.id,
          slice,
          shards,
          shard,
          'look-back',
          recorded.checkpoint,
          ...fresh.map((a) => referenceKey(a.reference)),
        ),
        ...{ upload: owner.id, media, probe, slice, slices, shards, shard, span, receivedAt },
        ...{ checkpoint: recorded.checkpoint, alignments, steps: event.data.steps },
      };
      const outcome = await confirm.run(
        openedOf({
          key: owner.id,
          id: proposal.id,
          type: 'look-back',
          data: proposal,
          codes: codesToConfirm(codes, alignments),
        }),
        signal,
      );
      const made = outcome.kind === 'done' ? outcome.outputs.find((o) => o.to === 'evidence') : undefined;
      if (!made) throw new Error(`confirm says nothing of ${owner.id}/${slice}`);
      const evidence = made.data as SliceEvidence;
      if (evidence.outcome.status === 'failed') held.trouble ??= troubleOf(evidence.outcome);
      if (evidence.outcome.status === 'confirmed')
        held.results.push(merge(recorded, again ? null : before, fresh, evidence));
    }
  }

  /** Not searched with the reference in the index already, nor found by an earlier look back. */
  function isNews({ reference }: Alignment, recorded: SliceAlignments | undefined): boolean {
    const { checkpoint } = about.get(referenceKey(reference))!;
    if (recorded && checkpoint !== null && recorded.checkpoint >= checkpoint) return false;
    if (recorded?.outcome.status !== 'alignments') return true;
    return !recorded.outcome.alignments.some((a) => referenceKey(a.reference) === referenceKey(reference));
  }

  async function settle(
    upload: string,
    { results, trouble, unsearched }: Held,
    known: KnownUpload | null,
  ): Promise<Finding> {
    const verdict = known?.verdict ?? null;
    if (known?.deleted) return leftAlone(upload, verdict, 'deleted');
    if (results.length === 0 && !trouble && unsearched) return leftAlone(upload, verdict, 'incomplete');
    if (results.length === 0)
      return trouble ? troubled(upload, verdict, trouble) : leftAlone(upload, verdict, 'unchanged');
    const detail = trouble?.detail ?? null;
    const note: Note = (tx, judged) => noteFinding(tx, run, { ...findingOf(upload, judged), detail });
    return { ...findingOf(upload, await again(upload, { results, cause: 'look-back', dry: !apply, note })), detail };
  }

  async function settleAll(which: readonly (readonly [string, Held])[], tally: Record<string, number>): Promise<Piece> {
    const piece: Piece = { findings: [], tally, open: null };
    const ids = which.map(([upload]) => upload);
    const known = await knownUploads(database.postgres, ids);
    const told = await findingsAmong<Finding>(database.postgres, run, ids);
    for (const [upload, held] of which) {
      const finding = told.get(upload) ?? (await settle(upload, held, known.get(upload) ?? null));
      piece.findings.push(finding);
      tally[finding.outcome] = (tally[finding.outcome] ?? 0) + 1;
      open.delete(upload);
    }
    if (open.size > 0) piece.open = Math.min(...[...open.values()].map((o) => o.first));
    return piece;
  }

  return {
    async take(records) {
      const found = await sifted(records);
      const known = await knownUploads(database.postgres, [...new Set(found.near.map((r) => r.key))]);
      await inParallel(2, found.near, async (record) => {
        signal.throwIfAborted();
        try {
          await look(record, known.get(record.key) ?? null);
        } catch (error) {
          if (!cannotBeDone(error)) throw error;
          found.unreadable++;
          logger.warn({ offset: record.offset, error: error.message }, 'cannot be read, and is left out');
        }
      });
      const ready = [...open].filter(([, held]) => held.isWhole);
      if (open.size - ready.length > OPEN_AT_MOST) ready.push(...[...open].slice(0, open.size - OPEN_AT_MOST));
      const { codes, unreadable } = found;
      const tally = { slices: records.length, codes, near: found.near.length };
      return settleAll([...new Map(ready)], unreadable > 0 ? { ...tally, unreadable } : tally);
    },
    finish: () => settleAll([...open], {}),
  };
}

function evidenceFor({ outcome }: SliceAlignments, evidence: readonly SliceEvidence[]): SliceEvidence | null {
  if (outcome.status !== 'alignments' || outcome.proposal === null) return null;
  return evidence.find((e) => e.proposal === outcome.proposal) ?? null;
}

/** What was recorded of a slice, and what new references add to it. Its checkpoint stays: of other references no more is known than before. */
function merge(
  recorded: SliceAlignments,
  before: SliceEvidence | null,
  fresh: readonly Alignment[],
  evidence: SliceEvidence,
): SecondLook['results'][number] {
  const old = recorded.outcome.status === 'alignments' ? recorded.outcome.alignments : [];
  const confirmed = [before, evidence].flatMap((e) => (e?.outcome.status === 'confirmed' ? e.outcome.evidence : []));
  return {
    alignments: {
      ...recorded,
      outcome: { status: 'alignments', alignments: [...old, ...fresh], proposal: evidence.proposal },
    },
    evidence: { ...evidence, outcome: { status: 'confirmed', evidence: confirmed } },
  };
}
