import type { Postgres, Queryable } from '@vigil/runtime';
import { PostgresError } from '@vigil/runtime';

export interface Cuttable extends Postgres {
  freeze(): void;
  thaw(): void;
  kill(): void;
  /** Sees the rows that every query outside of transactions has brought. */
  onRows?: (text: string, rows: readonly unknown[]) => void;
}

/** A database whose line can be cut: for tests of what happens to a process that is stopped or killed. */
export function cuttable(inner: Postgres): Cuttable {
  let frozen: PromiseWithResolvers<void> | undefined;
  let dead = false;
  const through = async () => {
    while (frozen) await frozen.promise;
    if (dead) throw new PostgresError('the line is cut', { retriable: true, code: '08006' });
  };
  const over = (on: Queryable): Queryable => ({
    async query(text, params) {
      await through();
      return on.query(text, params);
    },
  });
  const self: Cuttable = {
    url: inner.url,
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
        if (!frozen && !dead) tell(payload);
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
