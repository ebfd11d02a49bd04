import type { Postgres, Queryable } from '@vigil/runtime';
import { decodeDeaths, encodeDeaths, type Plan, released } from './deaths.ts';
import { type Owned, type Progress, planFor, type WorkLimits } from './partition-work.ts';
import type { Topic } from './postgres-topics.ts';
import { type Member, shareOf } from './shares.ts';

export interface Seat {
  group: string;
  member: string;
  topics: readonly Topic[];
  leaseMs: number;
  limits: WorkLimits;
}

export interface Claimed {
  topic: string;
  partition: number;
  generation: number;
  progress: Progress;
  plan: Plan;
}

export interface Beat {
  /** Ours no more: somebody took it after our lease had ended. */
  lost: Owned[];
  /** To be given back, others have too few. */
  surplus: Owned[];
  claimed: Claimed[];
  /** Somebody came or went since the beat before, so others may have something to do as well. */
  members: string;
}

interface OwnerRow {
  topic: number;
  partition: number;
  member: string | null;
  generation: number;
  committed: number;
  end: number;
  deaths: string;
}

export async function join(postgres: Postgres, { group, topics }: Seat): Promise<void> {
  await postgres.query('INSERT INTO vigil_log_group (name) VALUES ($1) ON CONFLICT DO NOTHING', [group]);
  await postgres.query(
    `INSERT INTO vigil_log_owner (group_name, topic, partition)
     SELECT $1, topic, partition FROM vigil_log_partition WHERE topic = ANY($2) ORDER BY topic, partition
     ON CONFLICT DO NOTHING`,
    [group, topics.map((t) => t.id)],
  );
}

/**
 * Renews the lease, drops members whose lease has ended, looks at who owns what, and takes what is free and due to us. One
 * at a time in each group, so that everybody decides on what the one before left. Leases are counted by the server's clock.
 * @param held what we own; `claim` false while leaving
 */
export function beat(postgres: Postgres, seat: Seat, held: ReadonlySet<Owned>, claim: boolean): Promise<Beat> {
  const { group, member, topics, leaseMs } = seat;
  const ids = topics.map((t) => t.id);
  return postgres.transaction(async (tx) => {
    // A member that is stopped in here (SIGSTOP, a sleeping laptop) must not keep the lock from all the others.
    await tx.query(
      `SELECT set_config('idle_in_transaction_session_timeout', $1, true), set_config('lock_timeout', $1, true)`,
      [`${Math.ceil(leaseMs / 4)}ms`],
    );
    await tx.query('SELECT 1 FROM vigil_log_group WHERE name = $1 FOR UPDATE', [group]);
    await tx.query(
      `INSERT INTO vigil_log_member (id, group_name, topics, lease_until)
       VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 ms')
       ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until`,
      [member, group, ids, leaseMs],
    );
    await tx.query('DELETE FROM vigil_log_member WHERE group_name = $1 AND lease_until < clock_timestamp()', [group]);
    const members = await tx.query<Member>(
      'SELECT id, topics FROM vigil_log_member WHERE group_name = $1 ORDER BY id',
      [group],
    );
    const rows = await tx.query<OwnerRow>(
      `SELECT topic, partition, o.member, o.generation, o.deaths, greatest(o.committed, p.start_position) AS committed,
         p.next_position AS end
       FROM vigil_log_owner o JOIN vigil_log_partition p USING (topic, partition)
       WHERE o.group_name = $1 AND topic = ANY($2) ORDER BY topic, partition`,
      [group, ids],
    );
    const sorted = sort(seat, members, rows, held);
    const { lost, surplus, due, orphans } = sorted;
    if (orphans.length > 0) await release(tx, seat, orphans);
    const claimed = claim && due.length > 0 ? await take(tx, seat, due) : [];
    return { lost, surplus, claimed, members: members.map((m) => m.id).join() };
  });
}

function sort(seat: Seat, members: readonly Member[], rows: readonly OwnerRow[], held: ReadonlySet<Owned>) {
  const alive = new Set(members.map((m) => m.id));
  const shares = shareOf(seat.topics, members, seat.member);
  const lost = new Set(held);
  const surplus: Owned[] = [];
  const due: OwnerRow[] = [];
  const orphans: OwnerRow[] = [];
  for (const topic of seat.topics) {
    let more = shares.get(topic.id) ?? 0;
    const free: OwnerRow[] = [];
    for (const row of rows) {
      if (row.topic !== topic.id) continue;
      if (row.member === null || !alive.has(row.member)) free.push(row);
      if (row.member !== seat.member) continue;
      const owned = [...held].find((o) => o.topic === topic.name && o.partition === row.partition);
      if (owned?.generation === row.generation) {
        lost.delete(owned);
        if (more-- <= 0) surplus.push(owned);
      } else {
        // Ours by the table but not held: we let go of it while the database was away, or never heard that we got it.
        orphans.push(row);
        free.push(row);
      }
    }
    due.push(...free.slice(0, Math.max(0, more)));
  }
  return { lost: [...lost], surplus, due, orphans };
}

/** That was no death: we live. */
async function release(tx: Queryable, seat: Seat, orphans: readonly OwnerRow[]): Promise<void> {
  for (const row of orphans) {
    const state = decodeDeaths(row.deaths);
    row.deaths = state ? encodeDeaths(released(state)) : '';
    await tx.query(
      `UPDATE vigil_log_owner SET member = NULL, deaths = $5
       WHERE group_name = $1 AND topic = $2 AND partition = $3 AND member = $4`,
      [seat.group, row.topic, row.partition, seat.member, row.deaths],
    );
  }
}

async function take(tx: Queryable, seat: Seat, due: readonly OwnerRow[]): Promise<Claimed[]> {
  const plans = due.map((row) => planFor(decodeDeaths(row.deaths), row.committed, row.end, seat.limits));
  const rows = await tx.query<{ topic: number; partition: number; generation: number }>(
    `UPDATE vigil_log_owner o SET member = $1, generation = o.generation + 1, deaths = i.deaths
     FROM unnest($3::int[], $4::int[], $5::text[]) AS i (topic, partition, deaths)
     WHERE o.group_name = $2 AND o.topic = i.topic AND o.partition = i.partition
     RETURNING o.topic, o.partition, o.generation`,
    [
      seat.member,
      seat.group,
      due.map((row) => row.topic),
      due.map((row) => row.partition),
      plans.map((p) => encodeDeaths(p.state)),
    ],
  );
  return rows.map(({ topic, partition, generation }) => {
    const at = due.findIndex((row) => row.topic === topic && row.partition === partition);
    return {
      topic: seat.topics.find((t) => t.id === topic)!.name,
      partition,
      generation,
      progress: { committed: due[at]!.committed, deaths: plans[at]!.state },
      plan: plans[at]!.plan,
    };
  });
}

export interface Entry {
  owned: Owned;
  progress: Progress;
}

/**
 * Writes progress of what is still ours, by generation, and returns what is not.
 * @param how `soon`: need not have reached the disk, a restart of the server then means that records are read again.
 * `leave`: gives the partitions up as well, so that the next owner need not wait for our lease to end.
 */
export async function writeProgress(
  postgres: Postgres,
  { group, member, topics }: Seat,
  entries: readonly Entry[],
  how: 'soon' | 'durable' | 'leave',
): Promise<Owned[]> {
  const idOf = (name: string) => topics.find((t) => t.name === name)!.id;
  const rows = await postgres.query<{ topic: number; partition: number }>(
    `UPDATE vigil_log_owner o
     SET committed = i.committed, deaths = i.deaths, member = CASE WHEN $8 THEN NULL ELSE o.member END
     FROM unnest($3::int[], $4::int[], $5::bigint[], $6::bigint[], $7::text[])
            AS i (topic, partition, generation, committed, deaths),
          (SELECT set_config('synchronous_commit', coalesce($9, current_setting('synchronous_commit')), true)) AS s
     WHERE o.group_name = $1 AND o.topic = i.topic AND o.partition = i.partition
       AND o.member = $2 AND o.generation = i.generation
     RETURNING o.topic, o.partition`,
    [
      group,
      member,
      entries.map((e) => idOf(e.owned.topic)),
      entries.map((e) => e.owned.partition),
      entries.map((e) => e.owned.generation),
      entries.map((e) => e.progress.committed),
      entries.map((e) => encodeDeaths(e.progress.deaths)),
      how === 'leave',
      how === 'soon' ? 'off' : null,
    ],
  );
  const written = new Set(rows.map((row) => `${row.topic}/${row.partition}`));
  return entries.map((e) => e.owned).filter((o) => !written.has(`${idOf(o.topic)}/${o.partition}`));
}

export async function leave(postgres: Postgres, { member }: Seat): Promise<void> {
  await postgres.query('DELETE FROM vigil_log_member WHERE id = $1', [member]);
}
