import { DmcaNotice, DsaNotice } from '@vigil/contracts';
import { claimsOfNotice, findNotice, findPapers, findWork, type NoticeRow, noticesOf } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { actingId, holderFor, ownRow } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, When } from '../schemas.ts';
import { PaperShown, showPaper } from './erasure.ts';

const Filed = z
  .object({
    status: z.enum(['accepted', 'incomplete']),
    notice: z.string(),
    standing: z.string().optional(),
    missing: z.array(z.looseObject({})).optional().describe('what it must have, and where that stands in law'),
    cases: z.array(z.string()).optional(),
    claims: z.array(z.string()).optional(),
    unknownUploads: z.array(z.string()),
  })
  .meta({ id: 'FiledNotice' });
const NoticeShown = z
  .object({
    id: z.string(),
    kind: z.enum(['dmca', 'dsa']),
    holder: z.string(),
    work: z.string().nullable(),
    uploads: z.array(z.string()),
    standing: z.enum(['complete', 'substantially-complete', 'defective']),
    missing: z.array(z.unknown()),
    receivedAt: When,
    papers: z.array(PaperShown).describe('what its sender wrote; erased, or not'),
  })
  .meta({ id: 'Notice' });

const about = {
  uploads: z.array(Id).min(1).max(1000),
  work: Id.optional().describe('a registered work, where it is one'),
  holder: Holder.optional(),
  trustedFlagger: z.boolean().optional().describe('DSA Art. 22; for operators to say'),
};

export function noticeRoutes({ database, cases }: Deps): Route[] {
  const db = database.postgres;
  async function show(rows: readonly NoticeRow[]): Promise<z.output<typeof NoticeShown>[]> {
    const papers = await findPapers(
      db,
      rows.map((row) => row.paper),
    );
    return rows.map(({ paper, ...row }) => ({
      ...row,
      papers: papers.filter((p) => p.id === paper).map(showPaper),
    }));
  }
  /** What became of a notice, as its first answer would have said it. */
  async function filed(notice: NoticeRow, named: readonly string[]): Promise<z.output<typeof Filed>> {
    const { id, standing, missing, uploads } = notice;
    const unknownUploads = [...new Set(named)].filter((u) => !uploads.includes(u));
    if (standing !== 'complete')
      return {
        status: 'incomplete',
        notice: id,
        standing,
        missing: missing as Record<string, unknown>[],
        unknownUploads,
      };
    const claims = await claimsOfNotice(db, id);
    const cases = [...new Set(claims.map((c) => c.case))];
    return { status: 'accepted', notice: id, cases, claims: claims.map((c) => c.id), unknownUploads };
  }
  return [
    route({
      method: 'POST',
      path: '/v1/notices',
      tag: 'notices',
      summary: 'File a notice by hand: 17 USC 512(c)(3), or DSA Art. 16',
      details:
        'For whoever has no reference. It is checked for completeness; what is missing is told, and nothing is done until it is there.',
      verb: 'notices:write',
      body: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('dmca'), notice: DmcaNotice, ...about }),
        z.strictObject({ kind: z.literal('dsa'), notice: DsaNotice, ...about }),
      ]),
      answer: { status: 201, describe: 'What became of it', schema: Filed },
      problems: ['not-found'],
      async run({ body }, { who, newId }) {
        const { kind, notice, uploads, work: named, trustedFlagger = false } = body;
        if (trustedFlagger && who.role !== 'operator')
          throw new Problem('not-allowed', 'who is a trusted flagger is for operators to say');
        const work = named ? ownRow(who, await findWork(db, named), 'work', named) : null;
        const holder = work?.holder ?? holderFor(who, body.holder);
        const id = newId('notice');
        const before = await findNotice(db, id);
        if (before) return { body: await filed(before, uploads) };
        const outcome = await cases.fileNotice(
          { id, kind, notice, uploads, holder, work: work?.id ?? null, trustedFlagger },
          { role: 'holder', id: actingId(who) },
        );
        return {
          body: outcome.status === 'accepted' ? { ...outcome, claims: outcome.claims.map((c) => c.id) } : outcome,
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/notices',
      tag: 'notices',
      summary: 'List notices by hand, the newest hundred',
      verb: 'notices:write',
      query: z.object({ holder: Holder.optional() }),
      answer: {
        status: 200,
        describe: 'Notices, without what is personal in them',
        schema: z.object({ items: z.array(NoticeShown) }),
      },
      run: async ({ query }, { who }) => ({
        body: { items: await show(await noticesOf(db, holderFor(who, query.holder))) },
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/notices/{notice}',
      tag: 'notices',
      summary: 'Show a notice',
      verb: 'notices:write',
      params: z.object({ notice: Id }),
      answer: { status: 200, describe: 'Without what is personal in it', schema: NoticeShown },
      async run({ params }, { who }) {
        const [body] = await show([ownRow(who, await findNotice(db, params.notice), 'notice', params.notice)]);
        return { body };
      },
    }),
  ];
}
