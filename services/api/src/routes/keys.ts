import { findKey, KEY_ROLES, listKeys, replaceKey, revokeKey } from '@vigil/database';
import { z } from 'zod';
import { createKey, keyId } from '../credentials.ts';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { mustHave, type Principal, ROLE_VERBS, VERBS, type Verb } from '../principal.ts';
import { notFound, Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, MaybeWhen, Name, When } from '../schemas.ts';

const DAY_MS = 24 * 3600 * 1000;

const Key = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(KEY_ROLES),
    holder: z.string().nullable(),
    verbs: z.array(z.string()),
    createdAt: When,
    expiresAt: When,
    revokedAt: MaybeWhen,
    lastUsedAt: MaybeWhen.describe('to the minute'),
    replacedBy: z.string().nullable().describe('the key that took its place; until it expires both open'),
  })
  .meta({ id: 'Key' });
const NewKey = Key.extend({
  secret: z
    .string()
    .nullable()
    .describe(
      'the key itself: shown now and never again; null when the answer is repeated. Where there was no answer, the same request makes another secret of the same key, until somebody has used it',
    ),
}).meta({ id: 'NewKey' });

const params = z.object({ key: Id });
const Days = z.number().int().min(1).max(730);

export function keyRoutes({ database }: Deps): Route[] {
  const db = database.postgres;
  /** Holders see their holder's keys, others all that are no more than they are. */
  async function ownKey(who: Principal, id: string) {
    const key = await findKey(db, id);
    if (!key || (who.role !== 'operator' && (key.role !== who.role || key.holder !== who.holder)))
      throw notFound('key', id);
    return key;
  }
  const show = (key: z.output<typeof Key>) => Key.parse(key);

  return [
    route({
      method: 'POST',
      path: '/v1/keys',
      tag: 'keys',
      summary: 'Make a key',
      details:
        'A key can make keys of its own kind, with no more verbs than it has itself; an operator makes any. None lasts longer than the key that made it: see `expiresAt`.',
      verb: 'keys:write',
      body: z.strictObject({
        name: Name.describe('what it is for'),
        role: z.enum(KEY_ROLES).optional(),
        holder: Holder.optional(),
        verbs: z.array(z.enum(VERBS)).min(1).optional().describe('default: all that the role may do'),
        expiresInDays: Days.default(365),
      }),
      answer: { status: 201, describe: 'The key, with its secret', schema: NewKey },
      secret: ['secret'],
      async run({ body }, { who, now, newId }) {
        const about = { id: keyId(newId('key')), ...mayMake(who, body) };
        const expiresAt = lastsUntil(who, now, body.expiresInDays);
        const { key, secret } = await database.transaction((tx) =>
          createKey(tx, { name: body.name, ...about, createdBy: who.id, expiresAt }, now),
        );
        return { body: { ...show(key), secret } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/keys',
      tag: 'keys',
      summary: 'List keys, newest first',
      verb: 'keys:read',
      query: z.object(pageQuery),
      answer: { status: 200, describe: 'Keys, without their secrets', schema: pageSchema(Key) },
      async run({ query }, { who }) {
        const asked = pageOf(query);
        const role = who.role === 'operator' ? null : who.role;
        const rows = await listKeys(db, { holder: who.holder, role, ...asked });
        return { body: page(rows, asked, (k) => [k.createdAt, k.id], show) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/keys/{key}',
      tag: 'keys',
      summary: 'Show a key',
      verb: 'keys:read',
      params,
      answer: { status: 200, describe: 'The key, without its secret', schema: Key },
      run: async ({ params }, { who }) => ({ body: show(await ownKey(who, params.key)) }),
    }),
    route({
      method: 'POST',
      path: '/v1/keys/{key}/rotate',
      tag: 'keys',
      summary: 'Put a new key in the place of one',
      details:
        'Same verbs, which the key that asks must have as well. The old one goes on for the overlap, so that what uses it can be changed without a gap. The new one lasts no longer than the key that asks: a key that rotates itself gets another secret, not more time; for that, rotate it with a key that lasts longer.',
      verb: 'keys:write',
      params,
      body: z.strictObject({
        overlapHours: z.number().min(0).max(720).default(24),
        expiresInDays: Days.default(365),
      }),
      answer: { status: 201, describe: 'The new key, with its secret', schema: NewKey },
      secret: ['secret'],
      async run({ params, body }, { who, now, newId }) {
        const old = await ownKey(who, params.key);
        mustHave(who, old.verbs);
        const id = keyId(newId('key'));
        // This very request may have ended it.
        if (old.replacedBy !== id && (old.revokedAt !== null || old.expiresAt <= now))
          throw new Problem('conflict', 'it is revoked or expired: make a new one', { allowed: [] });
        const { name, role, holder } = old;
        const about = { id, name, role, holder, verbs: old.verbs as Verb[], createdBy: who.id };
        const made = await database.transaction(async (tx) => {
          const fresh = await createKey(tx, { ...about, expiresAt: lastsUntil(who, now, body.expiresInDays) }, now);
          await replaceKey(tx, old.id, fresh.key.id, now + Math.round(body.overlapHours * 3600_000));
          return fresh;
        });
        return { body: { ...show(made.key), secret: made.secret } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/keys/{key}/revoke',
      tag: 'keys',
      summary: 'Revoke a key, at once',
      verb: 'keys:write',
      params,
      answer: { status: 200, describe: 'The key', schema: Key },
      async run({ params }, { who, now }) {
        await ownKey(who, params.key);
        const revoked = await database.transaction((tx) => revokeKey(tx, params.key, now));
        return { body: show(revoked!) };
      },
    }),
  ];
}

/** A stolen key must not live on in another one: what a key makes ends with it at the latest. */
const lastsUntil = (who: Principal, now: number, days: number): number =>
  Math.min(now + days * DAY_MS, who.expiresAt ?? Number.POSITIVE_INFINITY);

/** @throws Problem when the asker may not make such a key */
function mayMake(
  who: Principal,
  wanted: { role?: Principal['role'] | undefined; holder?: string | undefined; verbs?: Verb[] | undefined },
): { role: Principal['role']; holder: string | null; verbs: Verb[] } {
  const role = wanted.role ?? (wanted.holder || who.role === 'holder' ? 'holder' : who.role);
  const holder = role === 'holder' ? (wanted.holder ?? who.holder) : null;
  if (role === 'holder' && !holder) throw new Problem('bad-request', 'name the holder whose key it is');
  if (role !== 'holder' && wanted.holder) throw new Problem('bad-request', `a ${role}'s key belongs to no holder`);
  if (who.role !== 'operator' && (role !== who.role || holder !== who.holder))
    throw new Problem('not-allowed', 'this key makes keys of its own kind only');
  const possible = ROLE_VERBS[role].filter((v) => who.verbs.includes(v));
  const verbs = wanted.verbs ?? possible;
  const beyond = verbs.filter((v) => !possible.includes(v));
  if (beyond.length > 0) throw new Problem('not-allowed', `not to be given: ${beyond.join(', ')}`);
  return { role, holder, verbs };
}
