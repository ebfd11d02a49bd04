import { randomBytes } from 'node:crypto';
import {
  addEndpoint,
  disableEndpoint,
  findEndpoint,
  listDeliveries,
  listEndpoints,
  removeEndpoint,
  replayDeliveries,
  roomForEndpoint,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { page, pageOf, pageQuery, pageSchema } from '../page.ts';
import { holderFor, ownRow, type Principal } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, Id, MaybeWhen, When } from '../schemas.ts';

const Endpoint = z
  .object({
    id: z.string(),
    holder: z.string(),
    url: z.string(),
    types: z.array(z.string()).describe('of events; none: all'),
    createdAt: When,
    disabledAt: MaybeWhen,
    disabledWhy: z.string().nullable(),
    failingSince: MaybeWhen.describe('nothing was taken there since; after five days it is disabled'),
  })
  .meta({ id: 'Webhook' });
const NewEndpoint = Endpoint.extend({
  secret: z.string().nullable().describe('signs what is sent (Standard Webhooks); shown once'),
}).meta({ id: 'NewWebhook' });
const Delivery = z
  .object({
    id: z.string().describe('the webhook-id that it is sent under'),
    event: z.string(),
    type: z.string(),
    payload: z.unknown(),
    createdAt: When,
    attempts: z.number().int(),
    dueAt: MaybeWhen,
    deliveredAt: MaybeWhen,
    failedAt: MaybeWhen,
    status: z.number().int().nullable(),
    error: z.string().nullable(),
  })
  .meta({ id: 'WebhookDelivery' });

const params = z.object({ webhook: Id });
/** Of one holder: each of them gets a message in the transaction that makes something happen. */
const MAX_ENDPOINTS = 20;
const full = (holder: string): Problem =>
  new Problem(
    'conflict',
    `${holder} has ${MAX_ENDPOINTS} webhooks, and may have no more: remove one that is not needed`,
  );
const show = ({ secret: _, ...endpoint }: WebhookEndpoint) => endpoint;
const showDelivery = ({ endpoint: _, ...delivery }: WebhookDelivery) => delivery;

export function webhookRoutes({ database }: Deps): Route[] {
  const db = database.postgres;
  const find = async (who: Principal, id: string) => ownRow(who, await findEndpoint(db, id), 'webhook', id);
  return [
    route({
      method: 'POST',
      path: '/v1/webhooks',
      tag: 'webhooks',
      summary: 'Be told of what happens, at an address of yours',
      details: `Signed by the Standard Webhooks specification, sent again with back-off until it is answered with 2xx. An endpoint that takes nothing for five days, or answers 410, is disabled: the others of the holder are told (\`webhook.disabled\`). Addresses in private networks are refused when something is sent. A holder has at most ${MAX_ENDPOINTS}.`,
      verb: 'webhooks:write',
      body: z.strictObject({
        url: z.url({ protocol: /^https?$/ }).max(2000),
        types: z.array(z.string().min(1).max(200)).max(100).default([]),
        holder: Holder.optional(),
      }),
      answer: { status: 201, describe: 'The webhook, with its secret', schema: NewEndpoint },
      problems: ['conflict'],
      secret: ['secret'],
      async run({ body }, { who, now, newId }) {
        const url = new URL(body.url);
        if (url.username || url.password) throw new Problem('bad-request', 'no user names in addresses');
        const holder = holderFor(who, body.holder);
        const secret = `whsec_${randomBytes(32).toString('base64')}`;
        const endpoint = { id: newId('hook'), holder, url: url.href, types: body.types, createdAt: now };
        const made = await database.transaction(async (tx) => {
          if (!(await roomForEndpoint(tx, endpoint, MAX_ENDPOINTS))) throw full(holder);
          return addEndpoint(tx, { ...endpoint, secret });
        });
        return { body: made };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/webhooks',
      tag: 'webhooks',
      summary: 'List webhooks',
      verb: 'webhooks:read',
      query: z.object({ holder: Holder.optional() }),
      answer: { status: 200, describe: 'Without their secrets', schema: z.object({ items: z.array(Endpoint) }) },
      run: async ({ query }, { who }) => ({
        body: { items: (await listEndpoints(db, holderFor(who, query.holder))).map(show) },
      }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/webhooks/{webhook}',
      tag: 'webhooks',
      summary: 'Remove a webhook, with what was to be sent to it',
      verb: 'webhooks:write',
      params,
      answer: { status: 204, describe: 'It is gone' },
      async run({ params }, { who }) {
        const { id, holder } = await find(who, params.webhook);
        await database.transaction((tx) => removeEndpoint(tx, { id, holder }));
        return {};
      },
    }),
    route({
      method: 'POST',
      path: '/v1/webhooks/{webhook}/enable',
      tag: 'webhooks',
      summary: 'Try a webhook again that was given up',
      verb: 'webhooks:write',
      params,
      answer: { status: 200, describe: 'The webhook', schema: Endpoint },
      async run({ params }, { who, now }) {
        const { id } = await find(who, params.webhook);
        await database.transaction((tx) => disableEndpoint(tx, id, null, now));
        return { body: show(await find(who, id)) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/webhooks/{webhook}/deliveries',
      tag: 'webhooks',
      summary: 'Show what was sent, newest first, and what came back',
      verb: 'webhooks:read',
      params,
      query: z.object(pageQuery),
      answer: { status: 200, describe: 'Deliveries', schema: pageSchema(Delivery) },
      async run({ params, query }, { who }) {
        const { id } = await find(who, params.webhook);
        const asked = pageOf(query);
        const before = asked.after ? { createdAt: asked.after[0], id: asked.after[1] } : undefined;
        const rows = await listDeliveries(db, { endpoint: id, before, limit: asked.limit });
        return { body: page(rows, asked, (d) => [d.createdAt, d.id], showDelivery) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/webhooks/{webhook}/replay',
      tag: 'webhooks',
      summary: 'Send again: one delivery, or all since a time',
      verb: 'webhooks:write',
      params,
      body: z.strictObject({ delivery: Id.optional(), since: When.optional() }),
      answer: { status: 202, describe: 'How many', schema: z.object({ replayed: z.number().int() }) },
      async run({ params, body }, { who, now }) {
        const { id } = await find(who, params.webhook);
        const { delivery, since } = body;
        const about = { endpoint: id, ...(delivery ? { message: delivery } : {}), ...(since ? { since } : {}) };
        return { body: { replayed: await database.transaction((tx) => replayDeliveries(tx, about, now)) } };
      },
    }),
  ];
}
