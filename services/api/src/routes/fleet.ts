import { LayoutError } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Id } from '../schemas.ts';

const Layout = z
  .object({
    shards: z.number().int(),
    state: z.enum(['current', 'preparing', 'ready', 'draining', 'drained']),
    uploads: z.number().int().describe('planned for it and not judged yet'),
    waitsFor: z.array(z.string()).describe('what keeps it from being ready or drained'),
  })
  .meta({ id: 'Layout' });
const ReplicaShown = z
  .looseObject({
    shards: z.number().int(),
    shard: z.number().int(),
    replica: z.string(),
    state: z.enum(['ready', 'loading', 'silent']),
    behind: z.number(),
  })
  .meta({ id: 'Replica' });

/** How the library is laid out over matchers, and changed. For operators alone. */
export function fleetRoutes({ layouts }: Deps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/fleet',
      tag: 'fleet',
      summary: 'Show in how many shards the library is searched, and by whom',
      verb: 'fleet:write',
      answer: {
        status: 200,
        describe: 'Layouts and replicas',
        schema: z.object({ layouts: z.array(Layout), replicas: z.array(ReplicaShown) }),
      },
      run: async () => ({ body: await layouts.view() }),
    }),
    route({
      method: 'POST',
      path: '/v1/shards',
      tag: 'fleet',
      summary: 'Plan uploads for so many shards from now on, stranding none',
      verb: 'fleet:write',
      query: z.object({ count: z.coerce.number().int().min(1).max(256) }),
      answer: { status: 200, describe: 'The layout', schema: Layout },
      problems: ['conflict'],
      async run({ query }) {
        const { done, layout } = await layouts.change(query.count);
        if (done) return { body: layout };
        const why = `${query.count} shards are not ready to take over: ${layout.waitsFor.join('; ')}`;
        throw new Problem('conflict', why, { waitsFor: layout.waitsFor });
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/replicas/{replica}',
      tag: 'fleet',
      summary: 'Take away a replica that is gone for good: new references go live without it',
      verb: 'fleet:write',
      params: z.object({ replica: Id }),
      query: z.object({
        shard: z
          .string()
          .regex(/^\d{1,3}\/\d{1,3}$/, 'give a shard as 0/2: the first of two')
          .optional(),
        force: z.enum(['true', 'false']).default('false'),
      }),
      answer: {
        status: 200,
        describe: 'What was taken away, and how many references are live by that',
        schema: z.object({ removed: ReplicaShown, live: z.number().int() }),
      },
      problems: ['conflict'],
      async run({ params, query }) {
        const [number = 0, of = 0] = query.shard?.split('/').map(Number) ?? [];
        const options = { force: query.force === 'true', ...(query.shard ? { shard: { number, of } } : {}) };
        try {
          return { body: await layouts.remove(params.replica, options) };
        } catch (error) {
          if (error instanceof LayoutError) throw new Problem('conflict', error.message);
          throw error;
        }
      },
    }),
  ];
}
