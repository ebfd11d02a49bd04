/** For tests of the page: claims that wait for a person, with evidence that is made up, and browsers that sign in. */
import { type Alignment, type Decision, derivedId, NEW_PROCEDURE } from '@vigil/contracts';
import { appendCaseEvents, caseId, insertClaim, lockCase, recordAlignments, registerReference } from '@vigil/database';
import type { Instance } from '@vigil/pipeline';
import { plannedUpload, type Reply, type TestApi } from './test-api.ts';

export interface Waiting {
  upload: string;
  account?: string;
  holder?: string;
  work?: string;
  title?: string;
  reference?: string;
  confidence?: number;
  /** Of a film of 600 s. */
  seconds?: number;
  altered?: Decision['evidence']['altered'];
  openedAt?: number;
}

/** One open claim, as `decide` would have opened it; returns its id. */
export async function openClaim({ database }: Instance, about: Waiting): Promise<string> {
  const { upload, account = `acc_${upload}`, holder = 'holder-b', work = 'work_b', title = 'A Film' } = about;
  const { reference = 'ref_b', confidence = 0.6, seconds = 6, altered = {}, openedAt = Date.now() } = about;
  await plannedUpload({ database } as Instance, upload, account);
  const key = { id: reference, version: 1 };
  const media = { source: 'test', bucket: 'references', key: `${reference}.mp4`, version: '' };
  await database.transaction(async (tx) => {
    await registerReference(tx, { reference: key, work, title, holder, media, now: 1 });
    // By another nothing would have been found, and nothing is taken down; what was uploaded before it is of no interest here.
    await tx.query(`UPDATE reference_versions SET state = 'live', live_at = 1 WHERE id = $1 AND state = 'received'`, [
      reference,
    ]);
  });
  const line = { offset: 100, speed: 1 };
  const evidence: Decision['evidence'] = {
    ...{ reference: key, referenceMedia: 'video', kind: 'picture', altered },
    segments: [
      {
        ...{ upload: [2, 2 + seconds], reference: [102, 102 + seconds], ...line },
        frames: { matched: 2 * seconds, eligible: 2 * seconds + 1 },
        ...{ distance: { mean: 12, worst: 25 }, distinct: 5, timed: true },
      },
    ],
    ...{ longest: seconds, total: seconds, share: { upload: seconds / 30, reference: seconds / 600 }, confidence },
  };
  const decision: Decision = {
    ...{ action: 'review', manifest: false, rule: 'film-short' },
    trials: [
      { rule: 'film-contiguous', fired: false, why: `${seconds} s in one piece are fewer than 15` },
      { rule: 'film-short', fired: true, why: `${seconds} s match` },
    ],
    ...{ policy: { id: 'default', version: 1 }, territories: ['*'], evidence },
  };
  const hits: Alignment['hits'] = [];
  for (let at = 2; at < 2 + seconds; at += 0.5)
    hits.push({ at, ref: at + 100, distance: 8 + Math.round(at), quality: 90, code: '0'.repeat(64) });
  // Another line that nothing confirmed.
  hits.push({ at: 3, ref: 400, distance: 30, quality: 60, code: '0'.repeat(64) });
  const alignment: Alignment = {
    ...{ reference: key, kind: 'picture', referenceMedia: 'video', altered, ...line, frames: hits.length, hits },
  };
  const id = derivedId('claim', upload, reference);
  await database.transaction(async (tx) => {
    await recordAlignments(tx, {
      ...{ upload, slice: 0, shards: 1, shard: 0, span: [0, 30], checkpoint: 1, steps: [] },
      ...{
        frames: { seen: 60, usable: 60 },
        outcome: { status: 'alignments', alignments: [alignment], proposal: 'pr' },
      },
    });
    const about = { id: caseId(upload, account, work), account, work, holder, openedAt };
    await lockCase(tx, about);
    await insertClaim(tx, {
      ...{ id, case: about.id, upload, reference, version: 1, notice: null, ground: 'rights-holder-rule' },
      ...{ territories: ['*'], state: 'open', procedure: NEW_PROCEDURE, decision, openedAt, changedAt: openedAt },
    });
    const by = { role: 'system', id: null } as const;
    await appendCaseEvents(tx, about.id, [
      { at: openedAt, kind: 'opened', by, claim: id, data: { upload, state: 'open' } },
    ]);
  });
  return id;
}

export interface Browser {
  /** With the session's cookie, and its token unless told otherwise. */
  call(method: string, route: string, json?: unknown, headers?: Record<string, string>): Promise<Reply>;
  cookie: string;
  csrf: string;
}

/** Somebody at the page, who signed in with a key or a link. */
export async function signedIn(api: TestApi, how: { key: string } | { link: string }): Promise<Browser> {
  const reply = await api.call('POST', '/session', { key: null, json: how });
  if (reply.status !== 201) throw new Error(`no session: ${JSON.stringify(reply.body)}`);
  const browser: Browser = {
    cookie: cookieOf(reply),
    csrf: reply.body.csrf,
    call: (method, route, json, headers = {}) =>
      api.call(method, route, {
        key: null,
        ...(json === undefined ? {} : { json }),
        headers: { cookie: browser.cookie, 'x-csrf-token': browser.csrf, ...headers },
      }),
  };
  return browser;
}

export const cookieOf = ({ headers }: Reply): string => (headers.get('set-cookie') ?? '').split(';')[0]!;
