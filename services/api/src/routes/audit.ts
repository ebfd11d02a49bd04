import { AuditRoot } from '@vigil/contracts';
import { countChains, newestRoots, unrooted } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { MAX_PAGE } from '../page.ts';
import { type Route, route } from '../route.ts';
import { MaybeWhen, When } from '../schemas.ts';

const Count = z.number().int();
const AuditShown = z
  .object({
    roots: z.array(AuditRoot).describe('newest first; one an hour in which something happened'),
    unrooted: z
      .object({
        chains: Count,
        events: Count,
        oldest: MaybeWhen.describe(
          'when the chain that waits for longest last grew: more than an hour ago, and a root is late',
        ),
      })
      .describe('what no root covers yet'),
    total: z.object({ chains: Count, events: Count, countedAt: When }).describe('counted once a minute'),
  })
  .meta({ id: 'Audit' });
const COUNTED_MS = 60_000;

/** How the audit stands. Whether all of it is whole is for `vigil audit verify`, which reads everything. */
export function auditRoutes({ database }: Deps): Route[] {
  const db = database.postgres;
  let counted: { at: number; total: ReturnType<typeof countChains> } | null = null;
  /** Reads every case, so it is shared by all who ask within a minute. */
  async function total(now: number) {
    if (!counted || now - counted.at >= COUNTED_MS) {
      const mine = { at: now, total: countChains(db) };
      mine.total.catch(() => {
        if (counted === mine) counted = null;
      });
      counted = mine;
    }
    const { at, total: count } = counted;
    return { ...(await count), countedAt: at };
  }
  return [
    route({
      method: 'GET',
      path: '/v1/audit',
      tag: 'audit',
      summary: 'Show the newest audit roots, what no root covers yet, and how many chains there are',
      details:
        'Each root hashes the heads of all chains that grew since the one before: keep copies of them elsewhere, and nothing before them can be rewritten unseen. `vigil audit verify` checks all of it.',
      verb: 'audit:read',
      query: z.object({
        limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(24).describe('roots at most'),
        below: z.coerce
          .number()
          .int()
          .min(1)
          .max(2 ** 31 - 1)
          .optional()
          .describe('roots with a smaller number than this'),
      }),
      answer: { status: 200, describe: 'How it stands', schema: AuditShown },
      async run({ query: { limit, below } }, { now }) {
        const [roots, open, all] = await Promise.all([newestRoots(db, limit, below), unrooted(db), total(now)]);
        return { body: { roots, unrooted: open, total: all } };
      },
    }),
  ];
}
