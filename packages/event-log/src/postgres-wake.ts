import { randomUUID } from 'node:crypto';
import type { Postgres } from '@vigil/runtime';

const RECORDS = 'vigil_log_records';
const MEMBERS = 'vigil_log_members';

/**
 * Tells consumers that something came, in this process at once, in others by NOTIFY. A hint and nothing more: whoever
 * misses it finds out at its next poll.
 */
export interface Wake {
  onRecords(topic: string, tell: () => void): () => void;
  onMembers(group: string, tell: () => void): () => void;
  records(topics: readonly string[]): void;
  members(group: string): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The payload to send from within somebody's transaction; it is heard by everyone when that commits. */
export const RECORDS_FROM_TRANSACTION = `SELECT pg_notify('${RECORDS}', '/' || t) FROM unnest($1::text[]) AS t`;

export async function openWake(postgres: Postgres): Promise<Wake> {
  const self = randomUUID();
  const listeners = new Map<string, Set<() => void>>();
  const on = (name: string, tell: () => void) => {
    const set = listeners.get(name) ?? new Set();
    listeners.set(name, set.add(tell));
    return () => void set.delete(tell);
  };
  const tell = (name: string) => {
    for (const listener of listeners.get(name) ?? []) listener();
  };
  const heard = (channel: string) => (payload: string) => {
    // An empty payload: the listener was away for a while.
    if (payload === '') return [...listeners.keys()].filter((name) => name.startsWith(`${channel}:`)).forEach(tell);
    const slash = payload.indexOf('/');
    if (payload.slice(0, slash) !== self) tell(`${channel}:${payload.slice(slash + 1)}`);
  };
  const heads = await Promise.all([postgres.listen(RECORDS, heard(RECORDS)), postgres.listen(MEMBERS, heard(MEMBERS))]);

  // NOTIFY makes commits wait in one line, so it is sent beside the appends, never more than one at a time.
  const pending = new Map<string, [channel: string, name: string]>();
  let sending: Promise<void> | undefined;
  const send = async () => {
    while (pending.size > 0) {
      const batch = [...pending.values()];
      pending.clear();
      await postgres
        .query(
          `SELECT pg_notify(c, $3 || '/' || p) FROM unnest($1::text[], $2::text[]) AS t (c, p),
                  (SELECT set_config('synchronous_commit', 'off', true)) AS s`,
          [batch.map(([channel]) => channel), batch.map(([, name]) => name), self],
        )
        .catch(() => undefined);
    }
    sending = undefined;
  };
  const announce = (channel: string, name: string) => {
    tell(`${channel}:${name}`);
    pending.set(`${channel}:${name}`, [channel, name]);
    sending ??= send();
  };
  return {
    onRecords: (topic, fn) => on(`${RECORDS}:${topic}`, fn),
    onMembers: (group, fn) => on(`${MEMBERS}:${group}`, fn),
    records(topics) {
      for (const topic of topics) announce(RECORDS, topic);
    },
    members: (group) => announce(MEMBERS, group),
    async [Symbol.asyncDispose]() {
      await sending;
      await Promise.all(heads.map((head) => head[Symbol.asyncDispose]()));
    },
  };
}
