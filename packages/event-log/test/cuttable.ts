import type { Postgres, Queryable } from '@vigil/runtime';
import { PostgresError } from '@vigil/runtime';

export interface Cuttable extends Postgres {
  freeze(): void;
  thaw(): void;
  kill(): void;
  /** Notifications do not come through. */
  deaf: boolean;
  /** Queries fail as if there was no server. */
  away: boolean;
  /** Freezes after a query of a transaction whose text matches. */
  freezeAfter?: RegExp;
  /** Sees the rows that every query outside of transactions has brought. */
  onRows?: (text: string, rows: readonly unknown[]) => void;
}

/** A database whose line can be cut: for tests of what happens to a process that is stopped or killed. */
export function cuttable(inner: Postgres): Cuttable {
  let frozen: PromiseWithResolvers<void> | undefined;
  let dead = false;
  const through = async () => {
    while (frozen) await frozen.promise;
    if (dead || self.away) throw new PostgresError('the line is cut', { retriable: true, code: '08006' });
  };
  const over = (on: Queryable): Queryable => ({
    async query(text, params) {
      await through();
      const rows = await on.query<never>(text, params);
      if (self.freezeAfter?.test(text)) self.freeze();
      return rows;
    },
  });
  const self: Cuttable = {
    url: inner.url,
    deaf: false,
    away: false,
    async query<T>(text: string, params?: readonly unknown[]) {
      await through();
      const rows = await inner.query<T>(text, params);
      self.onRows?.(text, rows);
      return rows;
    },
    async transaction(fn) {
      await through();
      return inner.transaction((tx) => fn(over(tx)));
    },
    listen: (channel, tell) =>
      inner.listen(channel, (payload) => {
        if (!frozen && !dead && !self.deaf) tell(payload);
      }),
    session: inner.session,
    freeze() {
      frozen ??= Promise.withResolvers();
    },
    thaw() {
      frozen?.resolve();
      frozen = undefined;
    },
    kill() {
      dead = true;
      self.thaw();
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  return self;
}
