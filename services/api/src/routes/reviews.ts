import { CLAIM_STATES, Evidence, GROUNDS, RuleTrial } from '@vigil/contracts';
import { findClaim, listQueue, type ReviewLock } from '@vigil/database';
import { MAX_HELD, type Reviewer, type ReviewOutcome, SKIP_REASONS } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { actorOf, ownRow, type Principal, seatOf } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { reviewItem } from '../review-item.ts';
import { type Route, route } from '../route.ts';
import { Id, MaybeWhen, Reference, Statement, When } from '../schemas.ts';
import { Picture } from './pictures.ts';

const Lock = z.object({
  item: z.string(),
  until: When.describe('held until then, unless there is a heartbeat before'),
});
const Point = z.tuple([z.number(), z.number()]);
const Outline = z.tuple([Point, Point, Point, Point]);
const Side = z.object({
  kind: z.enum(['image', 'video']).nullable(),
  duration: z.number().nullable(),
  width: z.number().nullable(),
  height: z.number().nullable(),
  play: z
    .string()
    .nullable()
    .describe('address of the media; null once they are gone, or where they may not be played'),
  contentType: z.string().nullable(),
});
export const Item = z
  .object({
    item: z.string().describe("the claim's id"),
    case: z.string(),
    upload: z.string(),
    account: z.string().nullable(),
    openedAt: When,
    state: z.enum(CLAIM_STATES),
    ground: z.enum(GROUNDS),
    territories: z.array(z.string()),
    lock: Lock.nullable(),
    work: z.object({ id: z.string(), title: z.string(), holder: z.string() }),
    reference: Reference.extend({ name: z.string().nullable() }).nullable(),
    uploadMedia: Side,
    referenceMedia: Side.nullable(),
    evidence: Evidence.nullable(),
    geometry: z
      .object({ inUpload: Outline, inReference: Outline, mirrored: z.boolean(), fitted: z.boolean() })
      .nullable()
      .describe('the outline of each picture in the other, corner by corner from the top left, as fractions'),
    altered: z.string().nullable().describe('how the copy was altered, in words'),
    rule: z.string().nullable(),
    trials: z.array(RuleTrial),
    policy: z.object({ id: z.string(), version: z.number().int() }).nullable(),
    hits: z
      .array(z.object({ upload: z.number(), reference: z.number(), distance: z.number().int() }))
      .describe('frames that agreed, in order; bits of 256 that differ'),
    pictures: z.array(Picture.extend({ distance: z.number().int().nullable() })),
    others: z.array(z.object({ claim: z.string(), case: z.string(), title: z.string(), state: z.enum(CLAIM_STATES) })),
    order: z
      .object({ harm: z.number(), confidence: z.number(), accounts: z.number().int(), waitingMs: z.number().int() })
      .describe('why it stands where it does: harm 0..1, accounts that showed its reference in a week, waiting'),
    skips: z.array(z.object({ reason: z.enum(SKIP_REASONS), at: When })),
    allowed: z.array(z.string()),
  })
  .meta({ id: 'ReviewItem' });
export const Summary = z
  .object({
    item: z.string(),
    case: z.string(),
    upload: z.string(),
    account: z.string().nullable(),
    title: z.string(),
    holder: z.string(),
    openedAt: When,
    confidence: z.number().nullable(),
    harm: z.number(),
    heldUntil: MaybeWhen,
    mine: z.boolean(),
  })
  .meta({ id: 'ReviewSummary' });
const Locks = z.object({ locks: z.array(Lock) });
const Decision = z.discriminatedUnion('decision', [
  z.strictObject({ decision: z.literal('take-down') }),
  z.strictObject({ decision: z.literal('dismiss'), statement: Statement.optional() }),
  z.strictObject({ decision: z.literal('skip'), reason: z.enum(SKIP_REASONS), statement: Statement.optional() }),
]);
const Decided = z.object({
  item: z.string(),
  decision: z.enum(['take-down', 'dismiss', 'skip']),
  state: z.enum(CLAIM_STATES),
  case: z.string(),
  undoUntil: MaybeWhen.describe('it can be taken back until then; null after a skip'),
});

const params = z.object({ claim: Id });
const DAY_MS = 24 * 3600_000;

/** What waits for a person: handed out one reviewer an item, decided, and taken back. */
export function reviewRoutes(deps: Deps): Route[] {
  const { database, reviews } = deps;
  const db = database.postgres;
  const reviewer = (who: Principal): Reviewer => ({ seat: seatOf(who), actor: actorOf(who) });
  const showLocks = (locks: ReviewLock[]) => ({ locks: locks.map(({ claim, until }) => ({ item: claim, until })) });

  async function show(who: Principal, id: string, lock: ReviewLock | null, now: number) {
    const claim = ownRow(who, await findClaim(db, id), 'claim', id);
    // As with its pictures: what is only open is not the holder's to look at yet.
    if (who.role === 'holder' && claim.state === 'open') throw notFound('claim', id);
    return reviewItem(deps, { claim, who, lock, now });
  }

  function done(outcome: ReviewOutcome, id: string) {
    if (outcome.status === 'unknown') throw notFound('claim', id);
    if (outcome.status === 'refused') throw new Problem('conflict', outcome.why, { allowed: [] });
    return outcome;
  }

  return [
    route({
      method: 'GET',
      path: '/v1/reviews',
      tag: 'reviews',
      summary: 'List what waits for a person, in the order in which it is handed out, with what is held',
      verb: 'reviews:write',
      query: z.object(pageQuery),
      answer: { status: 200, describe: 'Open claims', schema: pageSchema(Summary) },
      async run({ query }, { who, now }) {
        const asked = pageOf(query);
        const rows = await listQueue(db, { now, ...asked });
        const seat = seatOf(who);
        return {
          body: page(
            rows,
            asked,
            (r) => [r.reviewAt, r.claim],
            ({ claim, reviewer: by, reviewAt, ...r }) => ({
              ...{ item: claim, ...r },
              ...{ harm: (r.openedAt - reviewAt) / DAY_MS, mine: by === seat },
            }),
          ),
        };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/reviews/next',
      tag: 'reviews',
      summary: 'Take the next items, so that nobody else gets them',
      details: `Up to \`hold\` in all are held; those that are held come first. They are given back after a while without a heartbeat.`,
      verb: 'reviews:write',
      body: z.strictObject({ hold: z.number().int().min(1).max(MAX_HELD).default(1) }),
      answer: {
        status: 200,
        describe: 'What is held now',
        schema: z.object({ items: z.array(Item), waiting: z.number().int(), open: z.number().int() }),
      },
      async run({ body }, { who, now }) {
        const { locks, waiting, open } = await reviews.next(reviewer(who), body.hold);
        const items = await Promise.all(locks.map((lock) => show(who, lock.claim, lock, now)));
        return { body: { items, waiting, open } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/reviews/heartbeat',
      tag: 'reviews',
      summary: 'Hold on to what is held',
      verb: 'reviews:write',
      answer: { status: 200, describe: 'What is held, and until when', schema: Locks },
      run: async (_, { who }) => ({ body: showLocks(await reviews.heartbeat(reviewer(who))) }),
    }),
    route({
      method: 'POST',
      path: '/v1/reviews/release',
      tag: 'reviews',
      summary: 'Give back what is held',
      verb: 'reviews:write',
      body: z.strictObject({ items: z.array(Id).max(100).optional().describe('default: all') }),
      answer: { status: 200, describe: 'What is still held', schema: Locks },
      run: async ({ body }, { who }) => ({
        body: showLocks(await reviews.release(reviewer(who), body.items ?? null)),
      }),
    }),
    route({
      method: 'POST',
      path: '/v1/reviews/{claim}/decide',
      tag: 'reviews',
      summary: 'Decide an item that is held: take down, dismiss, or pass it on',
      verb: 'reviews:write',
      params,
      body: Decision,
      answer: { status: 200, describe: 'What became of it', schema: Decided },
      problems: ['conflict'],
      async run({ params, body }, { who }) {
        const { claim, undoUntil } = done(await reviews.decide(reviewer(who), params.claim, body), params.claim);
        const { id: item, state, case: of } = claim;
        return { body: { item, decision: body.decision, state, case: of, undoUntil } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/reviews/{claim}/undo',
      tag: 'reviews',
      summary: 'Take a decision of your own back, within minutes',
      details: 'A step of its own in the case. Media that were taken down come back; the item is held again.',
      verb: 'reviews:write',
      params,
      answer: { status: 200, describe: 'The item, open again', schema: z.object({ item: Item }) },
      problems: ['conflict'],
      async run({ params }, { who, now }) {
        const { claim } = done(await reviews.undo(reviewer(who), params.claim), params.claim);
        const locks = await reviews.heartbeat(reviewer(who));
        const lock = locks.find((l) => l.claim === claim.id) ?? null;
        return { body: { item: await show(who, claim.id, lock, now) } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/claims/{claim}/review',
      tag: 'reviews',
      summary: 'Show why, as a reviewer sees it: outlines, hits, pictures, rules',
      verb: 'cases:read',
      params,
      answer: { status: 200, describe: 'The claim', schema: Item },
      run: async ({ params }, { who, now }) => ({ body: await show(who, params.claim, null, now) }),
    }),
  ];
}
