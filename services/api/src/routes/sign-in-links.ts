import { KEY_ROLES } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { mustHave, ROLE_VERBS } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Name, When } from '../schemas.ts';
import { invite } from '../sign-in.ts';

export const signInLinkRoutes = ({ database }: Deps): Route[] => [
  route({
    method: 'POST',
    path: '/v1/sign-in-links',
    tag: 'keys',
    summary: 'Make a link that signs somebody in at the page, once and within the hour',
    details:
      'For operators, where there is no identity provider. What is done by it is done in the name of the link. A key lets in nobody who may do more than itself, and the session ends with it.',
    verb: 'keys:write',
    body: z.strictObject({
      role: z.enum(KEY_ROLES),
      holder: Holder.optional(),
      name: Name.optional().describe('whom it is for'),
    }),
    answer: {
      status: 201,
      describe: 'The link',
      schema: z.object({ url: z.url().nullable().describe('null when the answer is repeated'), expiresAt: When }),
    },
    secret: ['url'],
    async run({ body }, { who, now, base }) {
      if (who.role !== 'operator') throw new Problem('not-allowed', 'only operators let people in');
      const { role, holder = null } = body;
      if ((role === 'holder') !== (holder !== null))
        throw new Problem('bad-request', role === 'holder' ? 'name the holder' : `a ${role} belongs to no holder`);
      mustHave(who, ROLE_VERBS[role]);
      const name = body.name ?? holder ?? `a ${role}`;
      const { path, expiresAt } = await invite(database.postgres, { name, role, holder, createdBy: who.id }, now);
      return { body: { url: `${base}${path}`, expiresAt } };
    },
  }),
];
