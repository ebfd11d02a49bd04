import { LayoutError, type Layouts } from '@vigil/pipeline';
import { z } from 'zod';
import type { App, Problem } from './door.ts';

const Change = z.object({ count: z.coerce.number().int().min(1).max(256) });
const Removal = z.object({
  /** Such as 0/2. */
  shard: z
    .string()
    .regex(/^\d{1,3}\/\d{1,3}$/, 'give a shard as 0/2: the first of two')
    .optional(),
  force: z.enum(['true', 'false']).default('false'),
});

/** How the library is laid out over matchers, and changed. */
export function fleetRoutes(app: App, layouts: Layouts, problem: Problem): void {
  app.get('/v1/fleet', () => layouts.view());

  app.post('/v1/shards', async (request, reply) => {
    const { count } = Change.parse(request.query);
    const { done, layout } = await layouts.change(count);
    if (done) return layout;
    const title = `${count} shards are not ready to take over`;
    return problem(reply, 409, 'not-ready', title, layout.waitsFor.join('; '));
  });

  app.delete<{ Params: { name: string } }>('/v1/replicas/:name', async (request, reply) => {
    const { shard, force } = Removal.parse(request.query);
    const [number = 0, of = 0] = shard?.split('/').map(Number) ?? [];
    const options = { force: force === 'true', ...(shard ? { shard: { number, of } } : {}) };
    try {
      return await layouts.remove(request.params.name, options);
    } catch (error) {
      if (!(error instanceof LayoutError)) throw error;
      return problem(reply, 409, 'not-removed', 'The replica was not removed', error.message);
    }
  });
}
