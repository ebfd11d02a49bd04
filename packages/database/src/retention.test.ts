import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { claimsOf } from './claims.ts';
import { purgeDeliveries, purgeResults } from './retention.ts';
import { addOidcSignIn, addSession, purgeSessions } from './sessions.ts';
import { alignments, evidence, manifest, openClaim, verdict } from './testing.ts';
import {
  lockUpload,
  recordAlignments,
  recordEvidence,
  resultsOf,
  saveManifest,
  saveVerdict,
  verdictsOf,
} from './uploads.ts';
import { addEndpoint, disableEndpoint, enqueueDelivery, listDeliveries, recordDelivery } from './webhooks.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;

test('what old uploads were found to hold is forgotten; what was decided stays', async () => {
  for (const [id, receivedAt] of [
    ['up_old', 100],
    ['up_new', 200],
  ] as const) {
    await database.transaction(async (tx) => {
      await lockUpload(tx, id);
      const made = manifest(id);
      await saveManifest(tx, id, { ...made, event: { ...made.event, receivedAt } });
      await recordAlignments(tx, alignments(id, 0, 1));
      await recordEvidence(tx, evidence(id, 0, 1));
      await saveVerdict(tx, verdict(id, 1));
      await openClaim(tx, { upload: id });
    });
  }
  expect(await purgeResults(db, 200)).toBe(1);
  expect(await purgeResults(db, 200)).toBe(0);
  expect(await resultsOf(db, 'up_old')).toEqual({ alignments: [], evidence: [] });
  expect((await resultsOf(db, 'up_new')).alignments).toHaveLength(1);
  expect(await verdictsOf(db, 'up_old')).toHaveLength(1);
  expect((await claimsOf(db, 'up_old'))[0]!.decision).not.toBeNull();
});

test('messages are forgotten once nothing more is tried', async () => {
  await addEndpoint(db, { id: 'ep', holder: 'h', url: 'https://x/', secret: 's', types: [], createdAt: 1 });
  for (const event of ['a', 'b']) await enqueueDelivery(db, { holder: 'h', event, type: 't', payload: {}, now: 10 });
  const [one] = await listDeliveries(db, { endpoint: 'ep', limit: 1 });
  await recordDelivery(db, one!.id, { status: 200, error: null, deliveredAt: 11, dueAt: null, failedAt: null });
  expect(await purgeDeliveries(db, 10)).toBe(0);
  expect(await purgeDeliveries(db, 11)).toBe(1);
  expect((await listDeliveries(db, { endpoint: 'ep', limit: 9 })).map((d) => d.dueAt)).toEqual([10]);
  // To a disabled endpoint nothing is sent, so that it is forgotten like what was.
  await disableEndpoint(db, 'ep', 'gone', 20);
  expect(await purgeDeliveries(db, 11)).toBe(1);
});

test('whoever does not come back from the provider is forgotten at once, who was signed in only later', async () => {
  const bytes = (n: number) => Uint8Array.of(n);
  for (const [n, expiresAt] of [
    [1, 1000],
    [2, 1001],
  ] as const) {
    await addOidcSignIn(db, {
      state: bytes(n),
      browser: bytes(n),
      verifier: 'v',
      nonce: 'n',
      returnTo: '/',
      expiresAt,
    });
    const who = {
      principal: 'p',
      key: null,
      keyExpiresAt: null,
      name: 'n',
      role: 'reviewer' as const,
      holder: null,
      verbs: [],
    };
    const times = { createdAt: 1, renewBy: expiresAt, expiresAt };
    await addSession(db, { ...{ id: `s${n}`, hash: bytes(n), csrf: 'c' }, ...who, ...times });
  }
  const left = async (table: string) => (await db.query(`SELECT expires_at FROM ${table}`)).map((r) => r.expires_at);
  await purgeSessions(db, { before: 1000, now: 1000 });
  expect([await left('oidc_sign_ins'), await left('sessions')]).toEqual([[1001], [1000, 1001]]);
  await purgeSessions(db, { before: 1001, now: 5000 });
  expect([await left('oidc_sign_ins'), await left('sessions')]).toEqual([[], [1001]]);
});
