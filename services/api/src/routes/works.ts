import { addWork, changeWork, findWork, listWorks, type WorkRow } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { holderFilter, holderFor, ownRow } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, Name, When } from '../schemas.ts';

const Details = z
  .record(z.string().min(1).max(100), z.string().max(1000))
  .refine((d) => Object.keys(d).length <= 50, 'at most 50 of them')
  .describe('whatever tells it from others: ISAN, EIDR, year, director, your own number');

export const Work = z
  .object({ id: z.string(), holder: z.string(), title: z.string(), details: Details, createdAt: When })
  .meta({ id: 'Work' });

const show = ({ id, holder, title, details, createdAt }: WorkRow) => ({ id, holder, title, details, createdAt });
const params = z.object({ work: Id });

export function workRoutes({ database }: Deps): Route[] {
  const db = database.postgres;
  return [
    route({
      method: 'POST',
      path: '/v1/works',
      tag: 'works',
      summary: 'Register a work',
      details: 'It protects nothing until it has a live reference.',
      verb: 'works:write',
      body: z.strictObject({ title: Name, details: Details.default({}), holder: Holder.optional() }),
      answer: { status: 201, describe: 'The work', schema: Work },
      async run({ body }, { who, now, newId }) {
        const holder = holderFor(who, body.holder);
        const work = { id: newId('work'), holder, title: body.title, details: body.details, createdAt: now };
        await database.transaction((tx) => addWork(tx, work));
        const made = (await findWork(db, work.id))!;
        return { body: show(made), version: made.version, headers: { location: `/v1/works/${made.id}` } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/works',
      tag: 'works',
      summary: 'List works, newest first',
      verb: 'works:read',
      query: z.object({ ...pageQuery, holder: Holder.optional() }),
      answer: { status: 200, describe: 'Works', schema: pageSchema(Work) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const rows = await listWorks(db, { holder: holderFilter(who, query.holder), ...asked });
        return { body: page(rows, asked, (w) => [w.createdAt, w.id], show) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/works/{work}',
      tag: 'works',
      summary: 'Show a work',
      verb: 'works:read',
      params,
      answer: { status: 200, describe: 'The work', schema: Work },
      async run({ params }, { who }) {
        const work = ownRow(who, await findWork(db, params.work), 'work', params.work);
        return { body: show(work), version: work.version };
      },
    }),
    route({
      method: 'PATCH',
      path: '/v1/works/{work}',
      tag: 'works',
      summary: 'Change title or details of a work',
      verb: 'works:write',
      needsIfMatch: true,
      params,
      body: z.strictObject({ title: Name.optional(), details: Details.optional() }),
      answer: { status: 200, describe: 'The work as it is now', schema: Work },
      async run({ params, body }, { who, mustMatch }) {
        const work = ownRow(who, await findWork(db, params.work), 'work', params.work);
        mustMatch(work.version);
        const changed = await database.transaction((tx) => changeWork(tx, work.id, work.version, body));
        if (!changed) throw new Problem('changed-meanwhile', 'somebody else changed it just now: read it again');
        return { body: show(changed), version: changed.version };
      },
    }),
  ];
}
