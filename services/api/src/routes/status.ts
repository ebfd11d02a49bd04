import type { Status } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { type Route, route } from '../route.ts';

/** How all of it is, in one answer. For operators alone. */
export function statusRoutes({ status }: Deps): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/status',
      tag: 'fleet',
      summary: 'Show the state of all: rates, queues, time to takedown, library, alarms, disks',
      details: 'What could not be told is in `unknown`, with why.',
      verb: 'fleet:write',
      answer: {
        status: 200,
        describe: 'The state at this moment',
        schema: z.looseObject({ at: z.number(), ready: z.boolean() }).meta({ id: 'Status' }),
      },
      run: async () => ({ body: (await status.read()) satisfies Status }),
    }),
  ];
}
