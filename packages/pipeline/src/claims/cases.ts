import { allowed, type Missing, type Step, type StepName, type Terms, within } from '@vigil/cases';
import { type Actor, derivedId, type ReferenceKey, referenceKey, type Verdict } from '@vigil/contracts';
import {
  type ClaimRow,
  claimsByReference,
  claimsOf,
  claimsOfCase,
  type Database,
  disableReference,
  findClaim,
  findReference,
  lockUpload,
  policyFor,
  referenceFacts,
  setTimer,
  type UploadRow,
  uncontestedClaims,
} from '@vigil/database';
import { decide } from '@vigil/decision';
import type { Clock, Queryable } from '@vigil/runtime';
import { referenceChanged } from '../events.ts';
import { sendAlarm, sendOutput } from '../send-output.ts';
import type { Actions } from './actions.ts';
import { type Erasure, type ErasureOutcome, erase } from './erase.ts';
import { fileNotice, type NoticeOutcome, type NoticeRequest } from './file-notice.ts';
import { CLAIM_CLOCK, type Ledger, SYSTEM } from './ledger.ts';
import { alignMedia } from './media-state.ts';
import { revise } from './revision.ts';
import { causeOf, lacking, type StepRequest, stepOf } from './step-request.ts';

export type { StepRequest };

export type StepOutcome =
  | { status: 'done'; case: string; claims: ClaimRow[] }
  /** Nothing has changed. `missing`: what a notice or counter-notice lacks. */
  | { status: 'refused'; why: string; allowed: StepName[]; missing?: Missing[] }
  | { status: 'unknown' };

export interface Cases {
  /** One claim, or those claims of a case for which the step is possible; refused when there is none. */
  take(
    about: { claim: string } | { case: string; claims?: readonly string[] | undefined },
    wanted: StepRequest,
    by: Actor,
  ): Promise<StepOutcome>;
  /** 17 USC 512(c)(3), or DSA Art. 16, by hand about uploads that are known. */
  fileNotice(notice: NoticeRequest, by: Actor): Promise<NoticeOutcome>;
  /** What this role could do about a claim now. */
  allowed(claim: ClaimRow, by: Actor): StepName[];
  /**
   * No claim is opened by that version from the commit on, and those that it had are withdrawn soon after, so that media come back
   * where nothing else holds them. false: there is no such version, or it was disabled before.
   */
  withdrawReference(reference: ReferenceKey, reason: string, by: Actor): Promise<boolean>;
  /**
   * After a policy has become milder: claims of the holder that nobody contests, and that it would not ask for now, are withdrawn
   * soon after, and hold where it says. What it would ask for beyond is not taken down in hindsight: that is what a replay is for.
   * In the transaction that saves the policy, so that none is saved without.
   */
  applyPolicy(tx: Queryable, holder: string, by: Actor): Promise<void>;
  /** What people wrote is gone: one paper, or all of a case or notice. The chains stay whole. A second time it finds nothing. */
  erase(about: Erasure, by: Actor): Promise<ErasureOutcome>;
  readonly handlers: {
    readonly [CLAIM_CLOCK]: (tx: Queryable, payload: { claim: string }) => Promise<void>;
    readonly [POLICY]: (tx: Queryable, payload: { holder: string; after: string; by: Actor }) => Promise<void>;
    readonly [WITHDRAWAL]: (
      tx: Queryable,
      payload: { reference: ReferenceKey; after: string; by: Actor },
    ) => Promise<void>;
  };
}

/** Kind of the timers that withdraw the claims of a reference, some at a time. */
export const WITHDRAWAL = 'reference-withdrawal';
/** Kind of the timers that look at the claims of a holder by its policies of today, some at a time. */
export const POLICY = 'policy-change';
const BATCH = 50;

export function createCases(deps: {
  database: Database;
  actions: Actions;
  ledger: Ledger;
  clock: Clock;
  terms: Terms;
}): Cases {
  const { database, actions, ledger, clock, terms } = deps;

  /** Uploads first, each once and in order of id: whoever changes several takes them alike. */
  async function lockAll(tx: Queryable, uploads: readonly string[]) {
    const rows = new Map<string, Awaited<ReturnType<typeof lockUpload>>>();
    for (const id of [...new Set(uploads)].sort()) rows.set(id, await lockUpload(tx, id));
    return rows;
  }

  async function settle(tx: Queryable, upload: string, cause: Verdict['cause']): Promise<void> {
    const row = await lockUpload(tx, upload);
    const claims = await claimsOf(tx, upload);
    const now = clock.now();
    const blocked = await alignMedia(tx, { row, claims, actions, ledger, now });
    await revise(tx, { row, blocked, claims, cause }, now);
  }

  /** A step for some claims, each as it is now that nobody else can change it; a timer goes on after the last of them. */
  async function walk(
    tx: Queryable,
    about: {
      kind: string;
      id: string;
      payload: object;
      claims: readonly ClaimRow[];
      step(claim: ClaimRow, row: UploadRow): Promise<Step | null> | Step;
      cause: Verdict['cause'];
    },
  ): Promise<void> {
    const { kind, id, payload, claims, step: stepFor, cause } = about;
    const rows = await lockAll(
      tx,
      claims.map((c) => c.upload),
    );
    for (const { id: claimId, upload } of claims) {
      const claim = (await claimsOf(tx, upload)).find((c) => c.id === claimId)!;
      const step = await stepFor(claim, rows.get(upload)!);
      const taken = step && (await ledger.take(tx, claim, step, SYSTEM));
      if (taken?.ok) await settle(tx, upload, cause);
    }
    if (claims.length < BATCH) return;
    const after = claims.at(-1)!.id;
    await setTimer(tx, { id: `${id}:${after}`, kind, dueAt: clock.now(), payload: { ...payload, after } });
  }

  async function targets(tx: Queryable, about: Parameters<Cases['take']>[0]): Promise<ClaimRow[]> {
    if ('claim' in about) {
      const claim = await findClaim(tx, about.claim);
      return claim ? [claim] : [];
    }
    return (await claimsOfCase(tx, about.case)).filter((c) => !about.claims || about.claims.includes(c.id));
  }

  async function take(
    tx: Queryable,
    about: Parameters<Cases['take']>[0],
    wanted: StepRequest,
    by: Actor,
  ): Promise<StepOutcome> {
    const found = await targets(tx, about);
    if (found.length === 0) return { status: 'unknown' };
    await lockAll(
      tx,
      found.map((c) => c.upload),
    );
    // As they are now that nobody else can change them.
    const claims = await targets(tx, about);
    const given = { now: clock.now(), by, terms };
    const possible = claims.filter((c) => found.some((f) => f.id === c.id) && allowed(c, given).includes(wanted.do));
    const gone = ACTING.includes(wanted.do) ? await withoutReference(tx, possible) : new Map<string, string>();
    const able = possible.filter((c) => !gone.has(c.id));
    if (possible.length > 0 && able.length === 0) {
      const [first] = possible;
      return {
        status: 'refused',
        why: gone.get(first!.id)!,
        allowed: allowed(first!, given).filter((name) => !ACTING.includes(name)),
      };
    }
    const step = await stepOf(tx, wanted, claims[0]!.case, given.now, able.length > 0);
    if (able.length === 0) {
      const refused = await ledger.take(tx, claims[0]!, step, by);
      return refused.ok ? { status: 'unknown' } : { status: 'refused', why: refused.why, allowed: refused.allowed };
    }
    const done: ClaimRow[] = [];
    let told = true;
    for (const claim of able) {
      const taken = await ledger.take(tx, claim, step, by);
      if (!taken.ok) throw new Refused({ status: 'refused', why: taken.why, allowed: taken.allowed, ...lacking(step) });
      done.push(taken.claim);
      told &&= taken.told > 0;
    }
    if (wanted.do === 'counter-notice' && !told) await askToForward(tx, done);
    else if (wanted.do === 'counter-notice') {
      // Whoever sent the notice is told by the event and its webhook, in this very transaction: that forwards it.
      for (const [n, claim] of done.entries()) {
        const forwarded = await ledger.take(tx, claim, { do: 'forward' }, SYSTEM);
        if (forwarded.ok) done[n] = forwarded.claim;
      }
    }
    for (const upload of [...new Set(done.map((c) => c.upload))].sort()) await settle(tx, upload, causeOf(wanted));
    return { status: 'done', case: done[0]!.case, claims: done };
  }

  /** 17 USC 512(g)(2)(B) wants it sent promptly, and no webhook of the sender's takes it: a person has to. */
  async function askToForward(tx: Queryable, claims: readonly ClaimRow[]): Promise<void> {
    const { id, case: subject, holder, procedure } = claims[0]!;
    const day = new Date(procedure.counterNotice!.backAt!).toISOString().slice(0, 10);
    const message = `${holder} has no webhook that is told of the counter-notice in case ${subject}: send it, and then forward it there. The media come back on ${day} at the latest`;
    const alarm = { kind: 'counter-notice-unforwarded' as const, subject, message, at: clock.now() };
    await sendAlarm(tx, derivedId('ev', id, 'counter-notice-unforwarded'), alarm);
  }

  return {
    take: (about, wanted, by) => refusable(() => database.transaction((tx) => take(tx, about, wanted, by))),

    fileNotice: (notice, by) =>
      database.transaction((tx) =>
        fileNotice(tx, {
          ledger,
          notice,
          by,
          now: clock.now(),
          noticedADay: terms.noticedADay,
          lockAll,
          settle: (upload) => settle(tx, upload, 'notice'),
        }),
      ),

    allowed: (claim, by) => allowed(claim, { now: clock.now(), by, terms }),

    async withdrawReference(reference, reason, by) {
      const now = clock.now();
      return database.transaction(async (tx) => {
        const row = await findReference(tx, reference.id, reference.version);
        if (!row || !(await disableReference(tx, reference, reason, now))) return false;
        const { work, holder, media } = row;
        // So that no index finds it any more; what was found meanwhile meets the row.
        const told = referenceChanged({ action: 'disabled', reference, work, holder, media, receivedAt: now });
        await sendOutput(tx, told, now);
        const id = `${WITHDRAWAL}:${reference.id}@${reference.version}:`;
        await setTimer(tx, { id, kind: WITHDRAWAL, dueAt: now, payload: { reference, after: '', by } });
        return true;
      });
    },

    async applyPolicy(tx, holder, by) {
      const payload = { holder, after: '', by };
      const id = `${POLICY}:${holder}:${clock.now()}:`;
      await setTimer(tx, { id, kind: POLICY, dueAt: clock.now(), payload });
    },

    erase: (about, by) => database.transaction((tx) => erase(tx, about, { ledger, by, now: clock.now() })),

    handlers: {
      async [CLAIM_CLOCK](tx, { claim: id }) {
        const known = await findClaim(tx, id);
        if (!known) return;
        await lockUpload(tx, known.upload);
        const claim = (await findClaim(tx, id))!;
        const after = await ledger.pass(tx, claim);
        if (after.state === claim.state) return;
        await settle(tx, claim.upload, 'dispute');
        const { counterNotice } = after.procedure;
        if (after.state !== 'put-back' || clock.now() <= counterNotice!.putBackUntil) return;
        const message = `${claim.upload} came back after its last business day for it (17 USC 512(g)(2)(C)): claim ${id}`;
        const alarm = { kind: 'put-back-late' as const, subject: claim.upload, message, at: clock.now() };
        await sendAlarm(tx, derivedId('ev', id, 'put-back-late'), alarm);
      },

      async [POLICY](tx, payload) {
        const { holder, after, by } = payload;
        await walk(tx, {
          kind: POLICY,
          id: `${POLICY}:${holder}:${clock.now()}`,
          payload,
          claims: await uncontestedClaims(tx, holder, after, BATCH),
          step: (claim, row) => milder(tx, claim, row, by),
          cause: 'policy',
        });
      },

      async [WITHDRAWAL](tx, payload) {
        const { reference, after, by } = payload;
        await walk(tx, {
          kind: WITHDRAWAL,
          id: `${WITHDRAWAL}:${reference.id}@${reference.version}`,
          payload,
          claims: await claimsByReference(tx, reference, after, BATCH),
          step: () => ({ do: 'withdraw', cause: 'reference', asked: by }),
          cause: 'withdrawal',
        });
      },
    },
  };
}

/** Steps after which a claim may take down. */
const ACTING: readonly StepName[] = ['take-down', 'reopen'];

/**
 * By claim, why nothing follows from it any more: the version that it rests on is not live. The rows stay locked, as they do for `decide`, so
 * that none is disabled before this transaction ends. The caller holds the uploads.
 */
async function withoutReference(tx: Queryable, claims: readonly ClaimRow[]): Promise<Map<string, string>> {
  const keyOf = ({ reference, version }: ClaimRow): ReferenceKey | null =>
    reference === null ? null : { id: reference, version: version! };
  const facts = await referenceFacts(
    tx,
    claims.map(keyOf).filter((key) => key !== null),
  );
  return new Map(
    claims.flatMap((claim) => {
      const key = keyOf(claim);
      if (!key || facts.get(referenceKey(key))?.live) return [];
      return [[claim.id, `version ${key.version} of ${key.id} is not live any more: nothing is taken down for it`]];
    }),
  );
}

/** What the holder's policy of today makes of a claim: less than it was, or null. */
async function milder(tx: Queryable, claim: ClaimRow, row: UploadRow, by: Actor): Promise<Step | null> {
  const { decision, holder, work } = claim;
  if (!decision || row.manifest?.outcome.status !== 'planned') return null;
  const policy = await policyFor(tx, { holder, work, reference: decision.evidence.reference.id });
  const { kind, duration } = row.manifest.outcome.probe;
  const { action } = decide(decision.evidence, policy, {
    account: claim.account,
    kind,
    duration: kind === 'image' ? 0 : duration,
  });
  if (action === 'monitor' || action === 'none') return { do: 'withdraw', cause: 'policy', asked: by };
  const { territories } = policy;
  const narrower = within(territories, claim.territories) && !within(claim.territories, territories);
  return narrower ? { do: 'retarget', territories } : null;
}

/** Takes everything back that the transaction has written, and is the answer all the same. */
class Refused extends Error {
  readonly outcome: StepOutcome;
  constructor(outcome: StepOutcome) {
    super('refused');
    this.outcome = outcome;
  }
}

async function refusable(run: () => Promise<StepOutcome>): Promise<StepOutcome> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Refused) return error.outcome;
    throw error;
  }
}
