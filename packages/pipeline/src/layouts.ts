import type { BlobStore } from '@vigil/blob-store';
import { TOPICS } from '@vigil/contracts';
import {
  type Database,
  forgetWitness,
  type LayoutRow,
  listLayouts,
  listReplicas,
  openUploads,
  type ReplicaRow,
  removeReplica,
  switchLayout,
} from '@vigil/database';
import { type EventLog, lagOf } from '@vigil/event-log';
import type { Clock } from '@vigil/runtime';
import { OWN_BUCKET } from './emit.ts';
import { READ } from './library.ts';
import { type Shard, snapshotKey } from './library-snapshot.ts';
import { matchGroup, READERS } from './readers.ts';

export interface ReplicaView extends ReplicaRow {
  /** loading: it has not read to the end of the log yet. silent: it was there, and has said nothing for some time. */
  state: 'ready' | 'loading' | 'silent';
  /** Records of the library that it had not read when it was last seen. */
  behind: number;
}

/**
 * current: uploads are planned for it. preparing, ready: its matchers may take over not yet, or at once. draining, drained: it was
 * current; its matchers are needed still, or no more.
 */
export interface LayoutView {
  shards: number;
  state: 'current' | 'preparing' | 'ready' | 'draining' | 'drained';
  /** Planned for it and not judged yet. */
  uploads: number;
  /** What keeps it from being ready or drained; of the current one what is amiss. In words. */
  waitsFor: string[];
}

export interface FleetView {
  layouts: LayoutView[];
  replicas: ReplicaView[];
}

/** In how many shards the library is searched, by whom, and how that is changed while uploads are on their way. */
export interface Layouts {
  view(): Promise<FleetView>;
  /**
   * From now on uploads are planned for so many shards; those that were planned before are finished by the matchers of the old
   * layout, which run on until it is drained. Refused, with reasons, until each shard has a matcher that keeps up.
   */
  change(shards: number): Promise<{ done: boolean; layout: LayoutView }>;
  /** Takes away a replica that is gone for good, of any shard or of this one. @throws LayoutError */
  remove(name: string, options?: { shard?: Shard; force?: boolean }): Promise<{ removed: ReplicaView; live: number }>;
}

/** It cannot be done; the message says why, and what would help. */
export class LayoutError extends Error {
  override name = 'LayoutError';
  readonly retriable = false;
}

/** A matcher says that it is there every 2 s. */
const SILENT_MS = 15_000;
/** What may be left to read by a shard that takes over. */
const NEARLY = 1000;
/** A planner asks once a second, and ends rather than append for longer than this. */
const PLANNERS_MS = 60_000;

export function createLayouts(deps: { database: Database; log: EventLog; blobs: BlobStore; clock: Clock }): Layouts {
  const { database, log, blobs, clock } = deps;
  const db = database.postgres;

  async function replicas(): Promise<ReplicaView[]> {
    const ends = await Promise.all(READ.map((t) => log.ends(t)));
    const end = ends.flat().reduce((sum, e) => sum + e.end, 0);
    const stateOf = ({ seenAt }: ReplicaRow) =>
      seenAt === null ? 'loading' : clock.now() - seenAt > SILENT_MS ? 'silent' : 'ready';
    return (await listReplicas(db)).map((r) => ({ ...r, state: stateOf(r), behind: Math.max(0, end - r.checkpoint) }));
  }

  /** Fingerprints that the matchers of a shard have yet to look at. */
  const unread = (shard: Shard) => lagOf(log, matchGroup(shard), TOPICS.fingerprints.name);

  async function lacks(shards: number, all: readonly ReplicaView[]): Promise<string[]> {
    const words: string[] = [];
    for (let number = 0; number < shards; number++) {
      const mine = all.filter((r) => r.shards === shards && r.shard === number);
      const at = `shard ${number} of ${shards}`;
      const ready = mine.filter((r) => r.state === 'ready').sort((a, b) => a.behind - b.behind)[0];
      if (mine.length === 0)
        words.push(`${at} has no matcher: start one with VIGIL_SHARDS=${shards} VIGIL_SHARD=${number}`);
      else if (!ready) words.push(`${at}: ${mine.map((r) => `${r.replica} is ${r.state}`).join(', ')}`);
      else if (ready.behind > NEARLY)
        words.push(`${at}: ${ready.replica} has ${ready.behind} records of the library to read`);
      else {
        const left = await unread({ number, of: shards });
        if (left > NEARLY) words.push(`${at} has ${left} fingerprints to read`);
      }
    }
    return words;
  }

  /** What may still come for a layout that uploads are planned for no more. */
  async function remains({ endedAt }: { endedAt: number }, uploads: number): Promise<string[]> {
    const words = uploads > 0 ? [`${uploads} uploads planned for it have no verdict yet`] : [];
    const until = endedAt + PLANNERS_MS;
    if (clock.now() < until) return [...words, 'a minute has to pass after the change'];
    const { name } = TOPICS.manifests;
    let left = 0;
    for (const { partition, offset } of await log.committed(READERS.manifests.group, name)) {
      left += Math.max(0, (await log.offsetAt(name, partition, until)) - (offset ?? 0));
    }
    return left > 0 ? [...words, `${left} uploads are planned, and not heard of by decide`] : words;
  }

  async function viewOf(
    shards: number,
    rows: readonly LayoutRow[],
    all: readonly ReplicaView[],
    open: ReadonlyMap<number, number>,
  ): Promise<LayoutView> {
    const uploads = open.get(shards) ?? 0;
    const row = rows.find((r) => r.shards === shards);
    const endedAt = row?.endedAt ?? null;
    if (row && endedAt === null) return { shards, state: 'current', uploads, waitsFor: await lacks(shards, all) };
    if (endedAt !== null) {
      const waitsFor = await remains({ endedAt }, uploads);
      return { shards, state: waitsFor.length > 0 ? 'draining' : 'drained', uploads, waitsFor };
    }
    const waitsFor = await lacks(shards, all);
    return { shards, state: waitsFor.length > 0 ? 'preparing' : 'ready', uploads, waitsFor };
  }

  async function view(): Promise<FleetView> {
    const [rows, all, open] = await Promise.all([listLayouts(db), replicas(), openUploads(db)]);
    const known = new Set([...rows, ...all].map((r) => r.shards));
    const layouts: LayoutView[] = [];
    for (const shards of [...known].sort((a, b) => a - b)) layouts.push(await viewOf(shards, rows, all, open));
    return { layouts, replicas: all };
  }

  return {
    view,

    async change(shards) {
      const { layouts, replicas: all } = await view();
      const found = layouts.find((l) => l.shards === shards);
      if (found?.state === 'current') return { done: true, layout: found };
      const waitsFor = await lacks(shards, all);
      const layout: LayoutView = found ?? { shards, state: 'preparing', uploads: 0, waitsFor };
      if (waitsFor.length > 0) return { done: false, layout: { ...layout, waitsFor } };
      await database.transaction((tx) => switchLayout(tx, shards, clock.now()));
      return { done: true, layout: { ...layout, state: 'current', waitsFor: [] } };
    },

    async remove(name, { shard, force = false } = {}) {
      const { layouts, replicas: all } = await view();
      const named = all.filter((r) => r.replica === name);
      const mine = named.filter((r) => !shard || (r.shard === shard.number && r.shards === shard.of));
      const places = named.map((r) => `${r.shard}/${r.shards}`).join(', ');
      if (mine.length === 0) {
        throw new LayoutError(
          named.length > 0
            ? `${name} is a replica of ${places}`
            : `there is no replica ${name}: vigil replicas lists them`,
        );
      }
      if (mine.length > 1) throw new LayoutError(`${name} is a replica of ${places}: say which with --shard`);
      const removed = mine[0]!;
      if (removed.state === 'ready' && !force) {
        const ago = Math.round((clock.now() - removed.seenAt!) / 1000);
        throw new LayoutError(`${name} was seen ${ago} s ago: stop it first, or it comes back by itself`);
      }
      const live = await database.transaction(async (tx) => {
        // What it said of itself goes with it: nobody would take it back.
        await forgetWitness(tx, `index-${removed.shard}-of-${removed.shards}@${removed.replica}`);
        return (await removeReplica(tx, removed)) ?? 0;
      });
      const { shards } = removed;
      const left = all.some((r) => r !== removed && r.shards === shards);
      const current = layouts.some((l) => l.shards === shards && l.state === 'current');
      if (!left && !current) {
        for (let n = 0; n < shards; n++) await blobs.delete(OWN_BUCKET, snapshotKey({ number: n, of: shards }));
      }
      return { removed, live };
    },
  };
}
