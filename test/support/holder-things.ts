import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { plannedUpload, type TestApi, until } from './test-api.ts';

/**
 * One thing of a holder of every noun that stands in a route, by that noun, and the paper of the notice; their names and ids say `mark`.
 * Of the conflict, `holder` and a third one are the sides.
 */
export async function holderThings(
  api: TestApi,
  about: { holder: string; key: string; mark: string; upload: string },
): Promise<Record<string, string>> {
  const { holder, key, mark, upload } = about;
  const post = async (route: string, json: unknown) => {
    const reply = await api.call('POST', route, { key, json });
    expect(reply.status, `${route}: ${JSON.stringify(reply.body)}`).toBeLessThan(300);
    return reply.body;
  };
  const work = (await post('/v1/works', { title: mark })).id;
  const hash = randomBytes(32).toString('hex');
  const [reference] = (await post('/v1/hash-lists', { work, items: [{ hash, name: mark }] })).references;
  const referenceUpload = (await post('/v1/reference-uploads', { name: mark, size: 100, work })).id;
  const policy = (await post('/v1/policies', { work, policy: { allowlist: [mark] } })).id;
  await plannedUpload(api.instance, upload, mark);
  const notice = {
    ...{ signature: mark, name: mark, address: 'a', phone: '1', email: 'b@example.org', work: mark },
    ...{ goodFaith: true, accurate: true },
  };
  const filed = await post('/v1/notices', { kind: 'dmca', notice, uploads: [upload], work });
  expect(filed.status).toBe('accepted');
  const [paper] = (await api.call('GET', `/v1/notices/${filed.notice}`, { key })).body.papers;
  const webhook = (await post('/v1/webhooks', { url: `https://${mark.toLowerCase()}.example.org/hook` })).id;
  const ownKey = (await post('/v1/keys', { name: mark })).id;
  const shared = randomBytes(32).toString('hex');
  for (const side of [holder, `${holder}-rival`])
    await api.call('POST', '/v1/hash-lists', { json: { holder: side, items: [{ hash: shared, name: mark }] } });
  const conflict = await until(async () => (await api.call('GET', '/v1/conflicts', { key })).body.items[0]?.id);
  await post(`/v1/conflicts/${conflict}/messages`, { body: mark });
  return {
    ...{ work, reference, referenceUpload, policy, upload, webhook, key: ownKey, conflict },
    ...{ case: filed.cases[0], claim: filed.claims[0], notice: filed.notice, paper: paper.id },
  };
}
