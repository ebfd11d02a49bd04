import { findCase, findConflict, findNotice, type PaperRow } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { actorOf, ownRow, type Principal } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Id, MaybeWhen, Statement, When } from '../schemas.ts';

/** What people wrote in a case or notice, without a word of it. */
export const PaperShown = z
  .object({
    id: z.string(),
    kind: z.string(),
    writtenAt: When,
    erasedAt: MaybeWhen.describe('since then nobody can read it any more'),
    erasedWhy: z.string().nullable(),
  })
  .meta({ id: 'Paper' });
export const showPaper = ({ id, kind, writtenAt, erasedAt, erasedWhy }: PaperRow): z.output<typeof PaperShown> => ({
  ...{ id, kind, writtenAt, erasedAt, erasedWhy },
});

const Wanted = z.strictObject({
  paper: Id.optional().describe('one of its `papers`; default: all of them'),
  why: Statement.trim()
    .min(1)
    .max(500)
    .describe('the number of the request, say; it stays for ever, so nothing personal'),
});
const Erased = z
  .object({
    erased: z.number().int().describe('papers that are gone now; 0 when they were before'),
    papers: z.array(z.string()).describe('which'),
  })
  .meta({ id: 'Erased' });
const shared = {
  method: 'POST',
  verb: 'papers:erase',
  body: Wanted,
  answer: { status: 200, describe: 'What is gone', schema: Erased },
} as const;
const details =
  'For requests of data protection: content and salt are deleted, the digest stays, so that every chain is whole as before. That it was erased, when, by whom and why is a link of the chain. It cannot be taken back.';

/** What people wrote, erased at their wish. For operators. */
export function erasureRoutes({ database, cases }: Deps): Route[] {
  const db = database.postgres;
  async function erase(who: Principal, subject: string, { paper, why }: z.output<typeof Wanted>) {
    const outcome = await cases.erase({ subject, paper, why }, actorOf(who));
    if (outcome.status === 'unknown') throw notFound('paper of it', paper ?? '');
    if (outcome.status === 'refused') throw new Problem('bad-request', outcome.why);
    return { body: { erased: outcome.papers.length, papers: outcome.papers } };
  }
  return [
    route({
      ...shared,
      path: '/v1/cases/{case}/erase',
      tag: 'cases',
      summary: 'Erase what people wrote in a case: all of it, or one paper',
      details: `${details} A notice that the case rests on is erased by itself.`,
      params: z.object({ case: Id }),
      run: async ({ params, body }, { who }) =>
        erase(who, ownRow(who, await findCase(db, params.case), 'case', params.case).id, body),
    }),
    route({
      ...shared,
      path: '/v1/notices/{notice}/erase',
      tag: 'notices',
      summary: 'Erase what its sender wrote in a notice',
      details: `${details} It stands in the chain of each case that rests on the notice; claims stay what they are.`,
      params: z.object({ notice: Id }),
      run: async ({ params, body }, { who }) =>
        erase(who, ownRow(who, await findNotice(db, params.notice), 'notice', params.notice).id, body),
    }),
    route({
      ...shared,
      path: '/v1/conflicts/{conflict}/erase',
      tag: 'conflicts',
      summary: 'Erase what holders wrote to each other about a conflict: all of it, or one message',
      details:
        'For requests of data protection: the message is deleted; that it was sent, when and by which side, stays. It cannot be taken back.',
      params: z.object({ conflict: Id }),
      async run({ params, body }, { who }) {
        if (!(await findConflict(db, params.conflict))) throw notFound('conflict', params.conflict);
        return erase(who, params.conflict, body);
      },
    }),
  ];
}
