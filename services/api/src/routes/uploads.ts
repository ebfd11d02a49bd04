import { referenceKey, TakedownEvent, Verdict } from '@vigil/contracts';
import { acknowledgementsOf, actionsOf, findReferences, findUpload } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import type { Principal } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Id, MaybeWhen, Name, When } from '../schemas.ts';

const UploadShown = z
  .object({
    upload: z.string(),
    verdict: Verdict.nullable().describe(
      "null while it is judged; a holder's key sees the decisions on its own references",
    ),
    mediaState: z.enum(['shown', 'disabled']),
    revisions: z.number().int(),
  })
  .meta({ id: 'Upload' });
const ActionShown = z
  .object({
    id: z.string(),
    action: z.enum(['takedown', 'restore']),
    event: TakedownEvent,
    attempts: z.number().int(),
    sentAt: When,
    closedAt: MaybeWhen,
    closedWhy: z.string().nullable(),
    acknowledgements: z.array(
      z.object({
        surface: z.string(),
        status: z.enum(['done', 'failed']),
        at: z.number(),
        note: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'Action' });
const params = z.object({ upload: Id });

export function uploadRoutes({ database, intake, inspect }: Deps): Route[] {
  const db = database.postgres;

  /** For a holder: only what concerns its references; an upload that does not is one that it knows nothing of. */
  async function seenBy(who: Principal, id: string) {
    const found = await inspect.upload(id);
    if (!found) throw notFound('upload', id);
    if (who.role !== 'holder') return found;
    const { verdict } = found;
    const keys = (verdict?.decisions ?? []).map((d) => d.evidence.reference);
    const own = new Set((await findReferences(db, keys)).filter((r) => r.holder === who.holder).map(referenceKey));
    const decisions = (verdict?.decisions ?? []).filter((d) => own.has(referenceKey(d.evidence.reference)));
    if (!verdict || decisions.length === 0) throw notFound('upload', id);
    return { ...found, verdict: { ...verdict, decisions } };
  }

  return [
    route({
      method: 'POST',
      path: '/v1/uploads',
      tag: 'uploads',
      summary: 'Hand in an upload by its file',
      details: 'For those who have files rather than events; a platform at work writes to `vigil.uploads`.',
      verb: 'uploads:write',
      query: z.object({ name: Name, account: Id.optional().describe('who uploaded it') }),
      body: { stream: '*/*', describe: 'an image or a film' },
      answer: { status: 202, describe: 'Its id', schema: z.object({ upload: z.string() }) },
      run: async ({ query: { name, account }, body }, { newId, cutOff }) => ({
        body: await intake.upload(name, body, {
          id: newId('media'),
          again: cutOff !== null,
          ...(account ? { account } : {}),
        }),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/uploads/{upload}',
      tag: 'uploads',
      summary: 'Show what is said of an upload, with matched segments and why',
      verb: 'uploads:read',
      params,
      answer: { status: 200, describe: 'The newest verdict', schema: UploadShown },
      async run({ params }, { who }) {
        const found = await seenBy(who, params.upload);
        return { body: found, version: `${found.revisions}-${found.mediaState}` };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/uploads/{upload}',
      tag: 'uploads',
      summary: 'Take back an upload that was handed in by its file',
      details: 'As if the platform had said that it was deleted; the file goes as well.',
      verb: 'uploads:write',
      params,
      answer: { status: 202, describe: 'Its id', schema: z.object({ upload: z.string() }) },
      problems: ['conflict'],
      async run({ params: { upload } }) {
        const found = await findUpload(db, upload);
        if (!found) throw notFound('upload', upload);
        if (!(await intake.takeBack(found)))
          throw new Problem(
            'conflict',
            'it was told of by an event, and its media are not ours to delete: send another',
          );
        return { body: { upload } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/uploads/{upload}/actions',
      tag: 'uploads',
      summary: 'Show the takedowns and restorations of an upload, as they were sent',
      details: 'The events of `vigil.takedowns`, and what the surfaces of the platform said of them.',
      verb: 'uploads:read',
      params,
      answer: {
        status: 200,
        describe: 'In the order in which they were sent',
        schema: z.object({ items: z.array(ActionShown) }),
      },
      async run({ params }, { who }) {
        const all = await actionsOf(db, params.upload);
        const mine = all.filter(({ event }) => who.role !== 'holder' || event.holder === who.holder);
        if (mine.length === 0) await seenBy(who, params.upload);
        const items = await Promise.all(
          mine.map(async ({ id, action, event, attempts, sentAt, closedAt, closedWhy }) => {
            const words = await acknowledgementsOf(db, id);
            const acknowledgements = words.map(({ surface, status, at, note }) => ({ surface, status, at, note }));
            return { id, action, event, attempts, sentAt, closedAt, closedWhy, acknowledgements };
          }),
        );
        return { body: { items } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/uploads/{upload}/trace',
      tag: 'uploads',
      summary: 'Show every step that an upload took',
      verb: 'uploads:trace',
      params,
      answer: {
        status: 200,
        describe: 'Steps in order of time',
        schema: z.object({
          upload: z.string(),
          trace: z.string().nullable(),
          receivedAt: z.number(),
          steps: z.array(z.looseObject({})),
        }),
      },
      async run({ params }) {
        if (!(await findUpload(db, params.upload))) throw notFound('upload', params.upload);
        return { body: await inspect.trace(params.upload) };
      },
    }),
  ];
}
