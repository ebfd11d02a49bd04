import {
  addConflictMessage,
  CONFLICT_OUTCOMES,
  type Conflict,
  type ConflictOutcome,
  type ConflictSide,
  conflictMessages,
  findConflict,
  listConflicts,
  offerOutcome,
  settleConflict,
} from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import type { Principal } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Id, MaybeWhen, Reference, Seconds, Statement, When } from '../schemas.ts';

const Side = z.enum(['earlier', 'newcomer']);
const Outcome = z.enum(CONFLICT_OUTCOMES);
const Shown = z
  .object({
    id: z.string(),
    side: Side.nullable().describe("this key's; null for operators"),
    reference: Reference.nullable().describe('your own'),
    other: z.object({ holder: z.string() }).describe("the other side, reached by the conflict's messages"),
    spans: z.array(z.object({ yours: Seconds, theirs: Seconds })),
    openedAt: When,
    dueAt: When.describe('nobody said anything by then: the earlier reference keeps acting'),
    outcome: Outcome.nullable(),
    offers: z.object({ earlier: Outcome.nullable(), newcomer: Outcome.nullable() }),
    settledAt: MaybeWhen,
    settledBy: z.string().nullable(),
  })
  .meta({ id: 'Conflict' });
const Message = z
  .object({
    id: z.string(),
    side: z.enum(['earlier', 'newcomer', 'operator']),
    body: z.string().nullable().describe('null once it was erased'),
    sentAt: When,
    erasedAt: MaybeWhen,
    erasedWhy: z.string().nullable(),
  })
  .meta({ id: 'ConflictMessage' });
const params = z.object({ conflict: Id });

const sideOf = (who: Principal, c: Conflict): ConflictSide | null => {
  if (who.role !== 'holder') return null;
  return c.earlier.holder === who.holder ? 'earlier' : 'newcomer';
};

/** What one side may see: its own reference, and of the other's only where in time it lies. */
function show(who: Principal, c: Conflict): z.output<typeof Shown> {
  const side = sideOf(who, c);
  const mine = side ?? 'newcomer';
  const theirs = mine === 'earlier' ? 'newcomer' : 'earlier';
  const { id, openedAt, dueAt, outcome, offers, settledAt, settledBy } = c;
  const reference = side ? { id: c[mine].id, version: c[mine].version } : null;
  const spans = c.spans.map((s) => ({ yours: s[mine], theirs: s[theirs] }));
  const other = { holder: c[theirs].holder };
  return { id, side, reference, other, spans, openedAt, dueAt, outcome, offers, settledAt, settledBy };
}

export function conflictRoutes({ database }: Deps): Route[] {
  const db = database.postgres;
  async function find(who: Principal, id: string): Promise<Conflict> {
    const found = await findConflict(db, id);
    const isSide = found && [found.earlier.holder, found.newcomer.holder].includes(who.holder ?? '');
    if (!found || (who.role === 'holder' && !isSide)) throw notFound('conflict', id);
    return found;
  }
  return [
    route({
      method: 'GET',
      path: '/v1/conflicts',
      tag: 'conflicts',
      summary: 'List conflicts with other holders, newest first',
      details:
        'Two references show the same. The one that was live first keeps acting; of the newcomer only what is not in the other acts, the rest goes to a person until it is settled.',
      verb: 'references:read',
      query: z.object(pageQuery),
      answer: { status: 200, describe: 'Conflicts', schema: pageSchema(Shown) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const rows = await listConflicts(db, { holder: who.holder, ...asked });
        return {
          body: page(
            rows,
            asked,
            (c) => [c.openedAt, c.id],
            (c) => show(who, c),
          ),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/conflicts/{conflict}',
      tag: 'conflicts',
      summary: 'Show a conflict',
      verb: 'references:read',
      params,
      answer: { status: 200, describe: 'The conflict', schema: Shown },
      async run({ params }, { who }) {
        const found = await find(who, params.conflict);
        return { body: show(who, found), version: found.version };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/conflicts/{conflict}/settle',
      tag: 'conflicts',
      summary: 'Say how it should end',
      details:
        'earlier: the earlier reference goes on alone where both show the same; newcomer: the other way round; both: each acts. It is settled when a side gives way, when both sides say the same, or when an operator says so; else it is noted as an offer.',
      verb: 'references:write',
      params,
      body: z.strictObject({ outcome: Outcome }),
      answer: { status: 200, describe: 'The conflict', schema: Shown },
      async run({ params, body }, { who, now }) {
        await find(who, params.conflict);
        await database.transaction(async (tx) => {
          const c = (await findConflict(tx, params.conflict, true))!;
          if (c.outcome !== null) throw new Problem('conflict', `it is settled: ${c.outcome}`, { allowed: [] });
          const side = sideOf(who, c);
          if (side) await offerOutcome(tx, c.id, side, body.outcome);
          const agreed =
            side === null || body.outcome === otherSide(side) || c.offers[otherSide(side)] === body.outcome;
          if (agreed) await settleConflict(tx, c.id, { outcome: body.outcome, by: side ?? 'operator', now });
        });
        const found = await find(who, params.conflict);
        return { body: show(who, found), version: found.version };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/conflicts/{conflict}/messages',
      tag: 'conflicts',
      summary: 'Write to the other side, through the platform',
      verb: 'references:write',
      params,
      body: z.strictObject({ body: Statement.min(1) }),
      answer: { status: 201, describe: 'The message', schema: Message },
      async run({ params, body }, { who, now, newId }) {
        const c = await find(who, params.conflict);
        const side = sideOf(who, c) ?? ('operator' as const);
        const message = { id: newId('msg'), side, body: body.body, sentAt: now };
        return { body: await addConflictMessage(db, c.id, message) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/conflicts/{conflict}/messages',
      tag: 'conflicts',
      summary: 'What both sides wrote',
      verb: 'references:read',
      params,
      answer: { status: 200, describe: 'Oldest first', schema: z.object({ items: z.array(Message) }) },
      async run({ params }, { who }) {
        const c = await find(who, params.conflict);
        return { body: { items: await conflictMessages(db, c.id) } };
      },
    }),
  ];
}

const otherSide = (side: ConflictSide): ConflictOutcome & ConflictSide => (side === 'earlier' ? 'newcomer' : 'earlier');
