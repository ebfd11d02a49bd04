import {
  countMatches,
  findReference,
  findWork,
  listReferencesOf,
  REFERENCE_STATES,
  type ReferenceRow,
} from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { actingId, holderFilter, holderFor, ownRow } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, MaybeWhen, Name, Reference, Statement, When } from '../schemas.ts';

const Finding = z.object({
  check: z.enum(['length', 'overlap-own', 'overlap-other']),
  detail: z.string(),
  other: z.string().optional().describe('of overlap-own: the other reference'),
  conflict: z.string().optional().describe('of overlap-other: what to settle, see /v1/conflicts'),
});

export const ReferenceShown = z
  .object({
    id: z.string(),
    version: z.number().int(),
    work: z.string(),
    title: z.string().describe("the work's"),
    holder: z.string(),
    name: z.string().nullable(),
    kind: z.enum(['image', 'video']).nullable().describe('null until it was looked at'),
    duration: z.number().nullable().describe('seconds'),
    state: z
      .enum(REFERENCE_STATES)
      .describe(
        'received: its media lie there; fingerprinted: its codes are there; checked: compared with all other references; live: every upload is compared with it',
      ),
    reason: z.string().nullable().describe('of rejected and disabled'),
    findings: z.array(Finding).describe('of the checks at ingest'),
    progress: z.object({ slices: z.number().int().nullable(), loaded: z.number().int() }),
    life: z.object({
      received: When,
      fingerprinted: MaybeWhen,
      checked: MaybeWhen,
      live: MaybeWhen,
      disabled: MaybeWhen,
    }),
  })
  .meta({ id: 'Reference' });

export function showReference(r: ReferenceRow): z.output<typeof ReferenceShown> {
  const { id, version, work, title, holder, name, kind, duration, state, reason, findings } = r;
  return {
    ...{ id, version, work, title, holder, name, kind, duration, state, reason, findings },
    progress: { slices: r.slices, loaded: r.loaded },
    life: {
      received: r.receivedAt,
      fingerprinted: r.fingerprintedAt,
      checked: r.checkedAt,
      live: r.liveAt,
      disabled: r.disabledAt,
    },
  };
}

export const Registered = z
  .object({
    reference: Reference,
    work: z.string(),
    known: z.boolean().describe('the same bytes of the same holder were there already'),
  })
  .meta({ id: 'Registered' });

const params = z.object({ reference: Id });
const stateOf = (r: ReferenceRow): string => `${r.version}-${r.state}`;

export function referenceRoutes({ database, intake, cases }: Deps): Route[] {
  const db = database.postgres;
  return [
    route({
      method: 'POST',
      path: '/v1/references',
      tag: 'references',
      summary: 'Register a reference by its file',
      details: 'The body is the file itself. For large ones see /v1/reference-uploads, for hashes /v1/hash-lists.',
      verb: 'references:write',
      query: z.object({
        name: Name.describe("the file's name"),
        work: Id.optional().describe('default: a work of its own'),
        title: Name.optional().describe('of that work of its own; default: the name'),
        holder: Holder.optional(),
      }),
      body: { stream: '*/*', describe: 'an image or a film, of any type: what it is the bytes say' },
      answer: { status: 202, describe: 'It is registered; see its life at /v1/references', schema: Registered },
      problems: ['not-found'],
      async run({ query, body }, { who }) {
        const { name, title } = query;
        const work = query.work && ownRow(who, await findWork(db, query.work), 'work', query.work);
        const holder = work
          ? work.holder
          : holderFor(who, query.holder ?? (who.role === 'operator' ? 'operator' : undefined));
        const about = { holder, ...(work ? { work: work.id } : {}), ...(title ? { title } : {}) };
        return { body: await intake.reference(name, body, about) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/references',
      tag: 'references',
      summary: 'List references, newest first',
      verb: 'references:read',
      query: z.object({
        ...pageQuery,
        holder: Holder.optional(),
        work: Id.optional(),
        state: z.enum(REFERENCE_STATES).optional(),
      }),
      answer: { status: 200, describe: 'The newest version of each', schema: pageSchema(ReferenceShown) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const { work, state } = query;
        const rows = await listReferencesOf(db, { holder: holderFilter(who, query.holder), work, state, ...asked });
        return { body: page(rows, asked, (r) => [r.receivedAt, r.id], showReference) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/references/{reference}',
      tag: 'references',
      summary: 'Show a reference and its life',
      verb: 'references:read',
      params,
      answer: { status: 200, describe: 'Its newest version', schema: ReferenceShown },
      async run({ params }, { who }) {
        const found = ownRow(who, await findReference(db, params.reference), 'reference', params.reference);
        return { body: showReference(found), version: `${stateOf(found)}-${found.loaded}` };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/references/{reference}/matches',
      tag: 'references',
      summary: 'Count, along its time line, how many uploads were found to show each part',
      verb: 'references:read',
      params,
      query: z.object({ buckets: z.coerce.number().int().min(1).max(1000).default(120) }),
      answer: {
        status: 200,
        describe: 'Of its newest version: `buckets`, each `seconds` long, from the beginning; of a picture one',
        schema: z.object({
          reference: z.string(),
          version: z.number().int(),
          duration: z.number(),
          uploads: z.number().int().describe('that a claim was opened against'),
          seconds: z.number(),
          buckets: z.array(z.number().int()),
        }),
      },
      async run({ params, query }, { who }) {
        const found = ownRow(who, await findReference(db, params.reference), 'reference', params.reference);
        const { id: reference, version, duration: known } = found;
        const duration = known ?? 0;
        const shape = {
          buckets: duration > 0 ? query.buckets : 1,
          seconds: duration > 0 ? duration / query.buckets : 1,
        };
        const { uploads, buckets } = await countMatches(db, { id: reference, version }, shape);
        const counts = duration > 0 ? buckets : [uploads];
        return { body: { reference, version, duration, uploads, seconds: shape.seconds, buckets: counts } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/references/{reference}/disable',
      tag: 'references',
      summary: 'Disable a reference',
      details:
        'From the moment of the answer no takedown follows from it. Its claims are withdrawn, and media come back where nothing else holds them.',
      verb: 'references:write',
      params,
      body: z.strictObject({ reason: Statement.min(1) }),
      answer: { status: 200, describe: 'The reference', schema: ReferenceShown },
      async run({ params, body }, { who }) {
        const found = ownRow(who, await findReference(db, params.reference), 'reference', params.reference);
        const { id, version } = found;
        const by = { role: 'holder' as const, id: actingId(who) };
        if (!(await cases.withdrawReference({ id, version }, body.reason, by)))
          throw new Problem('conflict', 'it is disabled already', { allowed: [] });
        return { body: showReference((await findReference(db, id, version))!) };
      },
    }),
  ];
}
