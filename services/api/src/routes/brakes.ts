import { CanaryRound } from '@vigil/contracts';
import { findBrake, findReference } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { actingId } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, MaybeWhen, Statement, When } from '../schemas.ts';

const Brake = z
  .object({
    id: z.string(),
    brake: z.enum(['hot-reference', 'flood-reference', 'flood-holder', 'all']),
    subject: z.string().describe("a reference's id, a holder, or *"),
    why: z.string(),
    everything: z.boolean().describe('holds long confirmed copies as well'),
    cause: z.string().describe('person, counts, or the witness that was red'),
    setBy: z.string(),
    setAt: When,
    releasedBy: z.string().nullable(),
    releasedAt: MaybeWhen,
    rejudged: z.boolean().nullable().describe('what it held was judged again'),
    held: z.number().int().describe('takedowns that it keeps, or kept, back'),
  })
  .meta({ id: 'Brake' });
const Witness = z
  .object({
    name: z.string(),
    state: z.enum(['green', 'red']),
    message: z.string(),
    at: When,
    since: When,
    streak: z.number().int().describe('how often in a row it has said so'),
  })
  .meta({ id: 'Witness' });
const Limits = z.object({
  hot: z.number().int(),
  floodReference: z.number().int(),
  floodHolder: z.number().int(),
  cap: z.number().int(),
});
const Held = z.object({ upload: z.string(), reference: z.string(), heldAt: When });
const params = z.object({ brake: Id });

/** Brakes on takedowns, and the word of canaries. For operators, and a canary's key. */
export function brakeRoutes({ database, brakes, witnesses }: Deps): Route[] {
  const db = database.postgres;
  return [
    route({
      method: 'GET',
      path: '/v1/brakes',
      tag: 'brakes',
      summary: 'Show the brakes in force, why they are set, and who says that finds may be wrong',
      verb: 'brakes:read',
      query: z.object({ all: z.enum(['true', 'false']).default('false').describe('released ones as well') }),
      answer: {
        status: 200,
        describe: 'Newest first',
        schema: z.object({
          brakes: z.array(Brake),
          witnesses: z.array(Witness),
          distrusted: z.array(z.string()).describe('while there are any, long copies are counted and held as well'),
          limits: Limits,
        }),
      },
      run: async ({ query }) => ({ body: await brakes.view({ all: query.all === 'true' }) }),
    }),
    route({
      method: 'GET',
      path: '/v1/brakes/{brake}',
      tag: 'brakes',
      summary: 'Show a brake, and the takedowns that it keeps back',
      verb: 'brakes:read',
      params,
      query: z.object({ after: Id.optional().describe('an upload: those after it') }),
      answer: { status: 200, describe: 'At most a hundred', schema: Brake.extend({ items: z.array(Held) }) },
      async run({ params, query }) {
        const found = await findBrake(db, params.brake);
        if (!found) throw notFound('brake', params.brake);
        return { body: { ...found, items: await brakes.held(found.id, query.after) } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/brakes',
      tag: 'brakes',
      summary: 'Set a brake by hand: takedowns of a reference, of a holder, or all, go to a person from now on',
      verb: 'brakes:write',
      body: z
        .strictObject({ reference: Id.optional(), holder: Holder.optional(), why: Statement.min(1) })
        .refine((b) => !(b.reference && b.holder), 'give a reference or a holder; neither means all'),
      answer: { status: 201, describe: 'The brake, or one that was there already', schema: Brake },
      problems: ['not-found'],
      async run({ body: { reference, holder, why } }, { who }) {
        if (reference && !(await findReference(db, reference))) throw notFound('reference', reference);
        const [brake, subject] = reference
          ? (['flood-reference', reference] as const)
          : holder
            ? (['flood-holder', holder] as const)
            : (['all', '*'] as const);
        return { body: await brakes.set(brake, subject, why, actingId(who)) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/brakes/{brake}/release',
      tag: 'brakes',
      summary: 'Release a brake; what it held is judged again or left to review',
      details:
        'Default: judged again, but for brakes on everything, whose cause may have spoilt what was found: that is for a replay.',
      verb: 'brakes:write',
      params,
      body: z.strictObject({ rejudge: z.boolean().optional() }),
      answer: { status: 200, describe: 'The brake', schema: Brake },
      problems: ['conflict'],
      async run({ params, body }, { who }) {
        const released = await brakes.release(params.brake, actingId(who), body.rejudge);
        if (released === null) throw notFound('brake', params.brake);
        if (released === false) throw new Problem('conflict', 'it is not in force any more');
        return { body: released };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/canary/rounds',
      tag: 'brakes',
      summary: "Say what came of a canary's round",
      details:
        'A red one is an alarm; a clean clip that was taken down sets the brake on all takedowns. So is silence after three times `everySeconds`, but after a round with `once`.',
      verb: 'canary:write',
      body: CanaryRound,
      answer: { status: 202, describe: 'It is written down', schema: z.object({ heard: z.literal(true) }) },
      async run({ body }) {
        await witnesses.round(body);
        return { body: { heard: true } };
      },
    }),
  ];
}
