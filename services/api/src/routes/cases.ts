import { DISPUTE_GROUNDS, statementOf } from '@vigil/cases';
import {
  type Actor,
  CaseEvent,
  CLAIM_STATES,
  CounterNotice,
  DISPUTE_GROUND_IDS,
  DmcaNotice,
  Evidence,
  GROUNDS,
  type Paper,
  RuleTrial,
  StatementOfReasons,
} from '@vigil/contracts';
import {
  CASE_STATES,
  type CaseRow,
  type ClaimRow,
  caseEvents,
  findCase,
  findPapers,
  listCases,
  listClaims,
  type PaperRow,
  papersOf,
  tookStep,
} from '@vigil/database';
import type { StepOutcome, StepRequest } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { actorOf, holderFilter, ownRow, type Principal } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { type Context, type Route, route } from '../route.ts';
import { Holder, Id, MaybeWhen, Statement, When } from '../schemas.ts';
import { PaperShown, showPaper } from './erasure.ts';

const SAID = {
  at: When,
  statement: z.string().nullable(),
  erasedAt: MaybeWhen.describe('when the statement was erased, where it was'),
};
const ClaimShown = z
  .object({
    id: z.string(),
    case: z.string(),
    upload: z.string(),
    reference: z.string().nullable(),
    version: z.number().int().nullable(),
    notice: z.string().nullable().describe('the notice that it rests on, where it rests on one'),
    ground: z.enum(GROUNDS),
    territories: z.array(z.string()),
    state: z.enum(CLAIM_STATES),
    action: z.string().nullable(),
    evidence: Evidence.nullable().describe('matched segments, and how the copy was altered'),
    why: z.array(RuleTrial).describe('each rule that was looked at, in order; the first that fired decided'),
    openedAt: When,
    changedAt: When,
    takenDownAt: MaybeWhen,
    answerBy: MaybeWhen.describe('until then the holder can answer; silence releases'),
    putBack: z.object({ from: When, until: When }).nullable(),
    dispute: z.object({ ...SAID, grounds: z.array(z.string()) }).nullable(),
    appeal: z.object({ ...SAID, grounds: z.array(z.string()) }).nullable(),
    counterNotice: z.looseObject({}).nullable().describe('once it was forwarded; nothing but `erasedAt` once erased'),
    complaint: z
      .object({ ...SAID, upheld: z.boolean().nullable() })
      .nullable()
      .describe('DSA Art. 20: of the uploader; of a claim that was dismissed, by whoever sent the notice'),
    ended: z.object({ at: When, why: z.string() }).nullable(),
    statement: StatementOfReasons.nullable().describe('what the uploader is told; null where nothing was taken down'),
    allowed: z.array(z.string()).describe('steps that are possible now, for this key'),
  })
  .meta({ id: 'Claim' });

export const CaseSummary = z
  .object({
    id: z.string(),
    account: z.string().nullable(),
    work: z.string(),
    title: z.string().describe("the work's"),
    holder: z.string(),
    openedAt: When,
    changedAt: When.describe('when something last happened in it'),
    state: z.enum(CASE_STATES),
    claims: z.number().int().describe('how many'),
    answerBy: MaybeWhen.describe('the earliest time until which somebody has to answer'),
  })
  .meta({ id: 'CaseSummary' });
/** Each comes with its evidence. */
const CLAIMS_SHOWN = 100;
const MOST_EVENTS = 1000;
export const CaseShown = CaseSummary.extend({
  claims: z
    .array(ClaimShown)
    .describe(`in the order in which they were opened; of more than ${CLAIMS_SHOWN} those that were opened last`),
  claimCount: z.number().int().describe('how many there are in all'),
  moreClaims: z
    .string()
    .nullable()
    .describe('where there are more than are shown: go on at /v1/claims?case=…&cursor= with this, newest first'),
  papers: z.array(PaperShown).describe('what people wrote in it, oldest first; erased, or not'),
}).meta({ id: 'Case' });

const caseParams = z.object({ case: Id });
const narrowed = {
  claims: z.array(Id).min(1).max(1000).optional().describe('default: every claim for which the step is possible'),
};
const said = { statement: Statement.optional() };
const grounds = z
  .array(z.enum(DISPUTE_GROUND_IDS))
  .min(1)
  .describe(DISPUTE_GROUNDS.map((g) => `${g.id}: ${g.text}`).join('; '));

const UploaderStep = z.discriminatedUnion('do', [
  z.strictObject({ do: z.enum(['dispute', 'appeal']), grounds, ...said, ...narrowed }),
  z.strictObject({ do: z.literal('counter-notice'), notice: CounterNotice, ...narrowed }),
  z.strictObject({ do: z.literal('complain'), ...said, ...narrowed }),
]);
const HolderStep = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.enum(['answer-dispute', 'answer-appeal']),
    answer: z.enum(['uphold', 'release']),
    ...said,
    ...narrowed,
  }),
  z.strictObject({ do: z.literal('escalate'), notice: DmcaNotice, ...narrowed }),
  z.strictObject({ do: z.enum(['withdraw', 'take-down', 'forward']), ...narrowed }),
  z.strictObject({ do: z.enum(['dismiss', 'notify-court', 'complain']), ...said, ...narrowed }),
  z.strictObject({ do: z.literal('decide-court'), decidedFor: z.enum(['holder', 'uploader']), ...narrowed }),
  z.strictObject({ do: z.literal('decide-complaint'), upheld: z.boolean(), ...said, ...narrowed }),
]);

export function caseRoutes({ database, cases }: Deps): Route[] {
  const db = database.postgres;
  const find = async (who: Principal, id: string): Promise<CaseRow> => ownRow(who, await findCase(db, id), 'case', id);

  /** Claims as this asker may see them, with what was written about them, by one question for all of it. */
  async function showClaims(who: Principal, claims: readonly ClaimRow[]): Promise<z.output<typeof ClaimShown>[]> {
    const written = claims.flatMap(({ procedure: { dispute, appeal, counterNotice, complaint } }) =>
      [dispute, appeal, counterNotice, complaint].flatMap((it) => it?.paper?.id ?? []),
    );
    const papers = new Map((await findPapers(db, written)).map((p) => [p.id, p]));
    return claims.map((c) => showClaim(who, c, papers));
  }

  function showClaim(who: Principal, c: ClaimRow, papers: ReadonlyMap<string, PaperRow>): z.output<typeof ClaimShown> {
    const { dispute, appeal, counterNotice, complaint, takenDownAt, ended } = c.procedure;
    const waits = [appeal, dispute].find((d) => d && d.decidedAt === null);
    const said = ({ at, paper }: { at: number; paper: Paper | null }) => {
      const found = paper ? papers.get(paper.id) : undefined;
      return { at, statement: textOf(found?.content), erasedAt: found?.erasedAt ?? null };
    };
    const words = (d: typeof dispute) => d && { ...said(d), grounds: [...d.grounds] };
    const forwarded =
      counterNotice && (counterNotice.forwardedAt !== null || who.role !== 'holder') ? counterNotice : null;
    const { id, upload, reference, version, notice, ground, territories, state, openedAt, changedAt } = c;
    return {
      ...{
        id,
        case: c.case,
        upload,
        reference,
        version,
        notice,
        ground,
        territories,
        state,
        openedAt,
        changedAt,
        takenDownAt,
      },
      action: c.decision?.action ?? null,
      evidence: c.decision?.evidence ?? null,
      why: c.decision?.trials ?? [],
      answerBy: waits?.answerBy ?? null,
      putBack: counterNotice && { from: counterNotice.putBackFrom, until: counterNotice.putBackUntil },
      dispute: words(dispute),
      appeal: words(appeal),
      counterNotice: forwarded && contentOf(papers.get(forwarded.paper.id)),
      complaint: complaint && {
        ...said(complaint),
        upheld: complaint.decided?.upheld ?? null,
      },
      ended,
      statement: takenDownAt === null ? null : statementOf(c, c.decision, territories),
      allowed: cases.allowed(c, actorOf(who, c.account)),
    };
  }

  async function show(who: Principal, row: CaseRow): Promise<z.output<typeof CaseShown>> {
    const asked = { after: null, limit: CLAIMS_SHOWN + 1 };
    const [[summary], newest, papers] = await Promise.all([
      listCases(db, { id: row.id, limit: 1 }),
      listClaims(db, { case: row.id, limit: asked.limit }),
      papersOf(db, row.id),
    ]);
    const { seq: _, claims: claimCount, ...about } = summary!;
    const { items, next: moreClaims } = page(
      newest,
      asked,
      (c) => [c.openedAt, c.id],
      (c) => c,
    );
    const claims = await showClaims(who, items.reverse());
    return { ...about, claims, claimCount, moreClaims, papers: papers.map(showPaper) };
  }

  async function take(
    { who, cutOff }: Context,
    row: CaseRow,
    step: { claims?: string[] | undefined } & StepRequest,
    by: Actor,
  ) {
    const { claims, ...wanted } = step;
    const outcome: StepOutcome = await cases.take({ case: row.id, claims }, wanted as StepRequest, by);
    if (outcome.status === 'unknown') throw notFound('claim of this case', (claims ?? []).join(', '));
    // That it cannot be done again is no refusal where this very request has done it.
    const done =
      outcome.status === 'refused' &&
      cutOff !== null &&
      (await tookStep(db, row.id, { kind: wanted.do, by, since: cutOff, claims }));
    if (outcome.status === 'refused' && !done) {
      const { why, allowed, missing } = outcome;
      throw new Problem('conflict', why, { allowed, ...(missing ? { missing } : {}) });
    }
    const now = (await findCase(db, row.id))!;
    return { body: await show(who, now), version: now.seq };
  }

  return [
    route({
      method: 'GET',
      path: '/v1/claims',
      tag: 'cases',
      summary: 'List what was found and acted on, newest first: one reference against one upload each',
      verb: 'cases:read',
      query: z.object({
        ...pageQuery,
        holder: Holder.optional(),
        case: Id.optional(),
        state: z.enum(CLAIM_STATES).optional(),
      }),
      answer: { status: 200, describe: 'Claims', schema: pageSchema(ClaimShown) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const before = asked.after ? { openedAt: asked.after[0], id: asked.after[1] } : undefined;
        const holder = holderFilter(who, query.holder) ?? undefined;
        const rows = await listClaims(db, { holder, case: query.case, state: query.state, before, limit: asked.limit });
        const shown = page(
          rows,
          asked,
          (c) => [c.openedAt, c.id],
          (c) => c,
        );
        return { body: { items: await showClaims(who, shown.items), next: shown.next } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/cases',
      tag: 'cases',
      summary: 'List cases, newest first: the claims of one work against one account',
      verb: 'cases:read',
      query: z.object({
        ...pageQuery,
        holder: Holder.optional(),
        work: Id.optional(),
        account: Id.optional(),
        state: z.enum(CASE_STATES).optional(),
        upload: Id.optional().describe('those with a claim on it'),
      }),
      answer: { status: 200, describe: 'Cases', schema: pageSchema(CaseSummary) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const before = asked.after ? { openedAt: asked.after[0], id: asked.after[1] } : undefined;
        const { work, account, state, upload } = query;
        const holder = holderFilter(who, query.holder) ?? undefined;
        const rows = await listCases(db, { holder, work, account, state, upload, before, limit: asked.limit });
        return {
          body: page(
            rows,
            asked,
            (c) => [c.openedAt, c.id],
            ({ seq: _, ...c }) => c,
          ),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/cases/{case}',
      tag: 'cases',
      summary: 'Show a case: its claims, what was found, and what can be done now',
      verb: 'cases:read',
      params: caseParams,
      answer: { status: 200, describe: 'The case', schema: CaseShown },
      async run({ params }, { who }) {
        const row = await find(who, params.case);
        return { body: await show(who, row), version: row.seq };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/cases/{case}/events',
      tag: 'cases',
      summary: 'Show everything that happened in a case: the links of its chain',
      details: 'Nothing is added but at the end: what came since is behind the links of the last page.',
      verb: 'cases:read',
      params: caseParams,
      query: z.object({
        ...pageQuery,
        limit: z.coerce.number().int().min(1).max(MOST_EVENTS).default(MOST_EVENTS).describe('links at most'),
      }),
      answer: { status: 200, describe: 'Oldest first', schema: pageSchema(CaseEvent) },
      async run({ params, query }, { who }) {
        const row = await find(who, params.case);
        const asked = pageOf(query);
        const rows = await caseEvents(db, row.id, asked.after?.[0] ?? 0, asked.limit);
        const shown = page(
          rows,
          asked,
          (e) => [e.seq, e.case],
          (e) => e,
        );
        return { body: shown, version: row.seq };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/cases/{case}/disputes',
      tag: 'cases',
      summary: "Say what the uploader says: dispute, appeal, counter-notice, complaint (the platform's key)",
      verb: 'disputes:write',
      params: caseParams,
      body: UploaderStep,
      answer: { status: 200, describe: 'The case as it is now', schema: CaseShown },
      problems: ['conflict'],
      async run({ params, body }, context) {
        const row = await find(context.who, params.case);
        return take(context, row, body as StepRequest, { role: 'uploader', id: row.account });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/cases/{case}/steps',
      tag: 'cases',
      summary: 'Answer, withdraw, escalate, complain of a dismissal; for operators also decide, dismiss, forward',
      details: 'What is possible now stands in `allowed` of each claim; anything else is a 409 that says what is.',
      verb: 'cases:write',
      params: caseParams,
      body: HolderStep,
      answer: { status: 200, describe: 'The case as it is now', schema: CaseShown },
      problems: ['conflict'],
      async run({ params, body }, context) {
        const { who } = context;
        const row = await find(who, params.case);
        return take(context, row, body as StepRequest, actorOf(who, row.account));
      },
    }),
  ];
}

/** A document that somebody wrote; of an erased one nothing but that it is. */
const contentOf = (paper: PaperRow | undefined): Record<string, unknown> =>
  paper?.erasedAt ? { erasedAt: paper.erasedAt } : ((paper?.content ?? {}) as Record<string, unknown>);

/** What somebody wrote, as text; null when it was erased, or nothing was written. */
function textOf(content: unknown): string | null {
  if (content === null || content === undefined) return null;
  const { statement } = content as { statement?: unknown };
  return typeof content === 'string' ? content : typeof statement === 'string' ? statement : JSON.stringify(content);
}
