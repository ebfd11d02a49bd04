import { Action, derivedId, Policy, referenceKey } from '@vigil/contracts';
import {
  evidenceOf,
  findReference,
  findReferences,
  findWork,
  listPolicies,
  type PolicyRow,
  type PolicyScope,
  policiesFor,
  policyVersions,
  savePolicy,
} from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { type Compared, dryRun } from '../dry-run.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { actorOf, holderFilter, holderFor, ownRow, type Principal } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, Reference, Seconds, When } from '../schemas.ts';

const DAY_MS = 24 * 3600 * 1000;
const MAX_UPLOADS = 5000;
const MAX_LISTED = 200;

const Territory = z.string().regex(/^(\*|[A-Z]{2}(-[A-Z0-9]{1,3})?)$/, 'ISO 3166 like DE or US-CA, or *');
/** The contract's policy as a holder may write it: stricter, and without what is not for a holder to say. */
const Wanted = z
  .strictObject({
    ...Policy.omit({ id: true, version: true, contested: true }).shape,
    territories: z.array(Territory).min(1).max(300).default(['*']),
    excluded: z
      .array(z.strictObject({ reference: Id, span: Seconds }))
      .max(1000)
      .default([]),
    allowlist: z.array(Id).max(10_000).default([]),
  })
  .meta({ id: 'Policy' });
const scope = { work: Id.optional(), reference: Id.optional(), holder: Holder.optional() };

const PolicyShown = z
  .object({
    id: z.string(),
    version: z.number().int(),
    holder: z.string(),
    work: z.string().nullable(),
    reference: z.string().nullable().describe('the narrowest that there is holds: reference, work, holder'),
    policy: Wanted,
    createdAt: When,
  })
  .meta({ id: 'PolicyVersion' });

const Difference = z.object({
  upload: z.string(),
  reference: Reference,
  before: z.object({ action: Action, rule: z.string() }),
  after: z.object({ action: Action, rule: z.string(), why: z.string() }),
  longest: z.number(),
  total: z.number(),
});

const show = ({ id, version, holder, work, reference, policy, createdAt }: PolicyRow) => {
  const { id: _, version: __, contested: ___, ...wanted } = Policy.parse(policy);
  return { id, version, holder, work, reference, policy: wanted, createdAt };
};
const params = z.object({ policy: Id });

export function policyRoutes({ database, cases }: Deps): Route[] {
  const db = database.postgres;

  /** What it is to hold for, each part of it the holder's own. */
  async function scopeOf(
    who: Principal,
    wanted: { work?: string | undefined; reference?: string | undefined; holder?: string | undefined },
  ) {
    if (wanted.reference) {
      const r = ownRow(who, await findReference(db, wanted.reference), 'reference', wanted.reference);
      if (wanted.work && wanted.work !== r.work) throw new Problem('bad-request', 'the reference is of another work');
      return { holder: r.holder, work: r.work, reference: r.id };
    }
    if (wanted.work) {
      const w = ownRow(who, await findWork(db, wanted.work), 'work', wanted.work);
      return { holder: w.holder, work: w.id };
    }
    return { holder: holderFor(who, wanted.holder) };
  }

  async function checkExcluded(who: Principal, { excluded }: z.output<typeof Wanted>): Promise<void> {
    for (const { reference, span } of excluded) {
      ownRow(who, await findReference(db, reference), 'reference', reference);
      if (span[0] < 0 || span[1] < span[0]) throw new Problem('bad-request', `${span.join('-')} is no span`);
    }
  }

  /** false: somebody else has saved that version. */
  const save = (who: Principal, policy: Policy, about: PolicyScope): Promise<boolean> =>
    database.transaction(async (tx) => {
      if (!(await savePolicy(tx, policy, about, { createdBy: who.id }))) return false;
      await cases.applyPolicy(tx, about.holder, actorOf(who));
      return true;
    });

  async function find(who: Principal, id: string): Promise<PolicyRow> {
    const [newest] = await policyVersions(db, id, 1);
    return ownRow(who, newest, 'policy', id);
  }

  return [
    route({
      method: 'POST',
      path: '/v1/policies',
      tag: 'policies',
      summary: 'Say what is to be done about copies: of all your works, of one work, or of one reference',
      verb: 'policies:write',
      body: z.strictObject({ policy: Wanted, ...scope }),
      answer: {
        status: 201,
        describe:
          'Its first version; it holds for what is judged from now on, and gives back what it would not ask for',
        schema: PolicyShown,
      },
      problems: ['not-found'],
      async run({ body }, { who }) {
        const about = await scopeOf(who, body);
        await checkExcluded(who, body.policy);
        const id = derivedId('policy', about.holder, about.work ?? '', about.reference ?? '');
        if (!(await save(who, Policy.parse({ ...body.policy, id, version: 1 }), about)))
          throw new Problem('conflict', `there is one already: change ${id}`, { allowed: ['change'], policy: id });
        return { body: show(await find(who, id)), version: 1, headers: { location: `/v1/policies/${id}` } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/policies',
      tag: 'policies',
      summary: 'List the policies in force',
      verb: 'policies:read',
      query: z.object({ ...pageQuery, holder: Holder.optional() }),
      answer: { status: 200, describe: 'The newest version of each', schema: pageSchema(PolicyShown) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const rows = await listPolicies(db, { holder: holderFilter(who, query.holder), ...asked });
        return { body: page(rows, asked, (p) => [p.createdAt, p.id], show) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/policies/dry-run',
      tag: 'policies',
      summary: 'What would this policy have done?',
      details:
        'Judges what was found in the time by the policy that was in force now, and by this one, and shows the differences. Nothing is changed.',
      verb: 'policies:read',
      body: z.strictObject({
        policy: Wanted,
        ...scope,
        since: When.optional().describe('default: a week ago'),
        until: When.optional().describe('default: now'),
      }),
      answer: {
        status: 200,
        describe: 'Where it differs',
        schema: z.object({
          since: When,
          until: When,
          uploads: z.number().int().describe('looked at'),
          truncated: z.boolean().describe(`there were more than ${MAX_UPLOADS}: the newest were looked at`),
          counts: z.object({ new: z.number(), gone: z.number(), changed: z.number(), same: z.number() }),
          new: z.array(Difference).describe(`the first ${MAX_LISTED}: would be acted on, and is not`),
          gone: z.array(Difference).describe('is acted on, and would not be'),
          changed: z.array(Difference).describe('something else would be done'),
        }),
      },
      problems: ['not-found'],
      async run({ body }, { who, now }) {
        const about = await scopeOf(who, body);
        const { since = now - 7 * DAY_MS, until = now } = body;
        const judged = await evidenceOf(db, { ...about, since, until, limit: MAX_UPLOADS + 1 });
        const uploads = judged.slice(0, MAX_UPLOADS);
        const references = await comparedBy(about, body.policy, uploads);
        const { same, ...lists } = dryRun(uploads, references);
        const count = { new: lists.new.length, gone: lists.gone.length, changed: lists.changed.length, same };
        const shown = {
          new: lists.new.slice(0, MAX_LISTED),
          gone: lists.gone.slice(0, MAX_LISTED),
          changed: lists.changed.slice(0, MAX_LISTED),
        };
        return {
          body: {
            since,
            until,
            uploads: uploads.length,
            truncated: judged.length > MAX_UPLOADS,
            counts: count,
            ...shown,
          },
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/policies/{policy}',
      tag: 'policies',
      summary: 'Show a policy',
      verb: 'policies:read',
      params,
      answer: { status: 200, describe: 'Its newest version', schema: PolicyShown },
      async run({ params }, { who }) {
        const found = await find(who, params.policy);
        return { body: show(found), version: found.version };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/policies/{policy}/versions',
      tag: 'policies',
      summary: 'Show what a policy was before',
      verb: 'policies:read',
      params,
      answer: { status: 200, describe: 'Newest first', schema: z.object({ items: z.array(PolicyShown) }) },
      async run({ params }, { who }) {
        await find(who, params.policy);
        return { body: { items: (await policyVersions(db, params.policy)).map(show) } };
      },
    }),
    route({
      method: 'PUT',
      path: '/v1/policies/{policy}',
      tag: 'policies',
      summary: 'Change a policy: a new version, whole',
      details:
        'What it leaves out is the default again. Claims that nobody contests, and that it would not ask for, are withdrawn soon after; what it would ask for beyond is not taken down in hindsight.',
      verb: 'policies:write',
      needsIfMatch: true,
      params,
      body: Wanted,
      answer: { status: 200, describe: 'The new version', schema: PolicyShown },
      async run({ params, body }, { who, mustMatch }) {
        const old = await find(who, params.policy);
        mustMatch(old.version);
        await checkExcluded(who, body);
        const { id, holder, work, reference } = old;
        const next = Policy.parse({ ...body, id, version: old.version + 1 });
        const about = { holder, ...(work ? { work } : {}), ...(reference ? { reference } : {}) };
        if (!(await save(who, next, about)))
          throw new Problem('changed-meanwhile', 'somebody else changed it just now: read it again');
        return { body: show(await find(who, id)), version: next.version };
      },
    }),
  ];

  /** References that were found, by the policy that holds for them now, and by the candidate where no narrower one would hold. */
  async function comparedBy(
    about: { holder: string; work?: string; reference?: string },
    wanted: z.output<typeof Wanted>,
    uploads: Awaited<ReturnType<typeof evidenceOf>>,
  ): Promise<Map<string, Compared>> {
    const keys = new Map<string, { id: string; version: number }>();
    for (const { evidence } of uploads)
      for (const e of evidence ?? [])
        if (e.outcome.status === 'confirmed')
          for (const f of e.outcome.evidence) keys.set(referenceKey(f.reference), f.reference);
    const rows = (await findReferences(db, [...keys.values()])).filter(
      (r) =>
        r.holder === about.holder &&
        (!about.work || r.work === about.work) &&
        (!about.reference || r.id === about.reference),
    );
    const current = await policiesFor(
      db,
      rows.map(({ holder, work, id }) => ({ holder, work, reference: id })),
    );
    const inForce = await listPolicies(db, { holder: about.holder, after: null, limit: 10_000 });
    const narrower = (row: { id: string; work: string }) =>
      inForce.some((p) =>
        p.reference !== null
          ? !about.reference && p.reference === row.id
          : p.work !== null && !about.work && !about.reference && p.work === row.work,
      );
    return new Map(
      rows.map((row, n) => {
        const now = current[n]!;
        const candidate = Policy.parse({ ...wanted, id: now.id, version: now.version });
        const then = narrower(row) ? now : { ...candidate, contested: now.contested };
        return [referenceKey(row), { duration: row.duration ?? 0, current: now, candidate: then }];
      }),
    );
  }
}
