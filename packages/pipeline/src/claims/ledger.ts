import {
  CALENDARS,
  type Claim,
  caseState,
  clockOf,
  DEFAULT_TERMS,
  passTime,
  type Step,
  type StepName,
  step,
  type Terms,
} from '@vigil/cases';
import {
  type Actor,
  type CaseEvent,
  type ClaimProcedure,
  derivedId,
  type Ground,
  isCanary,
  NEW_PROCEDURE,
} from '@vigil/contracts';
import {
  appendCaseEvents,
  type ClaimRow,
  cancelTimer,
  caseId,
  claimStatesOf,
  claimsOfCase,
  enqueueDelivery,
  findClaim,
  findStrike,
  insertClaim,
  lockCase,
  lockStrikesOf,
  saveCaseState,
  saveClaim,
  saveStrike,
  setTimer,
  strikeStands,
  strikesOf,
} from '@vigil/database';
import type { CaseSettings, Queryable } from '@vigil/runtime';
import { sendAlarm } from '../send-output.ts';

/** Kind of the timers that do what time alone does to a claim. */
export const CLAIM_CLOCK = 'claim-clock';

/** Periods of the law, and those that the installation has set. */
export function termsOf({ calendar, ...periods }: CaseSettings): Terms {
  return { ...DEFAULT_TERMS, ...periods, calendar: CALENDARS.find((c) => c.id === calendar)! };
}

export const SYSTEM: Actor = { role: 'system', id: null };

/** `told`: webhooks of the case's holder that hear of the step. */
export type Taken = { ok: true; claim: ClaimRow; told: number } | { ok: false; why: string; allowed: StepName[] };

/**
 * Claims as rows: every change writes the row, the links of its case's chain, the timer of its next clock, the strike that it
 * earns or gives back, and what its holder is told, in the caller's transaction. The caller holds the upload's row; the case's
 * is taken here. Whoever changes claims then brings the media in line (`alignMedia`) and revises the verdict (`revise`).
 */
export interface Ledger {
  /** Opens a claim in the state `open`; one that is there already is returned as it is. */
  open(tx: Queryable, about: NewClaim): Promise<ClaimRow>;
  take(tx: Queryable, claim: ClaimRow, wanted: Step, by: Actor): Promise<Taken>;
  /** Does what is due by now. */
  pass(tx: Queryable, claim: ClaimRow): Promise<ClaimRow>;
  /** Something to remember of a claim, or (`claim: null`) of its whole case, that changes no state. */
  note(
    tx: Queryable,
    claim: ClaimRow,
    event: Pick<CaseEvent, 'kind' | 'data'> & { claim?: null },
    by: Actor,
  ): Promise<void>;
}

export interface NewClaim {
  upload: string;
  account: string | null;
  work: string;
  holder: string;
  ground: Ground;
  territories: string[];
  source: Pick<ClaimRow, 'reference' | 'version' | 'notice' | 'decision'>;
  by: Actor;
  /** What the chain is to remember of why. */
  data: Record<string, unknown>;
}

export function createLedger({ now, terms }: { now(): number; terms: Terms }): Ledger {
  const timerOf = (claim: Claim) => {
    const clock = clockOf(claim, terms);
    return clock && { ...clock, id: `${CLAIM_CLOCK}:${claim.id}:${clock.name}:${clock.dueAt}` };
  };

  /** Returns how many webhooks hear of the last of them. */
  async function chain(
    tx: Queryable,
    claim: ClaimRow,
    events: readonly Omit<CaseEvent, 'case' | 'seq'>[],
  ): Promise<number> {
    const { case: id, account, work, holder, upload } = claim;
    const row = await lockCase(tx, { id, account, work, holder, openedAt: claim.openedAt });
    let told = 0;
    for (const { seq, at, kind, by, claim: about, data } of await appendCaseEvents(tx, id, events)) {
      const payload = {
        type: `claim.${kind}`,
        timestamp: new Date(at).toISOString(),
        data: { case: id, seq, claim: about, upload: about ? upload : null, work, by: by.role, ...data },
      };
      const event = `${id}/${seq}`;
      told = await enqueueDelivery(tx, { holder: row.holder, event, type: payload.type, payload, now: now() });
    }
    return told;
  }

  async function change(
    tx: Queryable,
    before: ClaimRow,
    after: Claim,
    events: readonly Happened[],
  ): Promise<{ claim: ClaimRow; told: number }> {
    const claim: ClaimRow = { ...before, ...pick(after), changedAt: now() };
    const told = await chain(
      tx,
      claim,
      events.map((e) => ({ ...e, claim: claim.id })),
    );
    await saveClaim(tx, claim);
    await nameCase(tx, claim.case);
    const [old, next] = [timerOf(before), timerOf(claim)];
    if (old?.id !== next?.id) {
      if (old) await cancelTimer(tx, old.id);
      if (next) await setTimer(tx, { id: next.id, kind: CLAIM_CLOCK, dueAt: next.dueAt, payload: { claim: claim.id } });
    }
    if (differ(before.procedure.strike, claim.procedure.strike)) await countStrike(tx, claim);
    return { claim, told };
  }

  /** What the claims of a case say together, so that lists can ask for it. */
  async function nameCase(tx: Queryable, id: string): Promise<void> {
    const states = await claimStatesOf(tx, id);
    await saveCaseState(tx, id, caseState(states.map((state) => ({ state }))));
  }

  async function countStrike(tx: Queryable, claim: ClaimRow): Promise<void> {
    const { case: id, account, holder } = claim;
    if (account === null || isCanary(holder)) return;
    const earned = (await claimsOfCase(tx, id)).filter((c) => c.procedure.strike && !c.procedure.strike.revokedAt);
    const known = await findStrike(tx, id);
    const at = now();
    if (earned.length === 0) {
      if (!known || known.revokedAt !== null) return;
      await saveStrike(tx, { ...known, revokedAt: at });
      await chain(tx, claim, [{ at, kind: 'strike-revoked', by: SYSTEM, claim: null, data: { account } }]);
      return;
    }
    if (known && strikeStands(known, at)) return;
    const { expiresAt } = claim.procedure.strike!;
    await lockStrikesOf(tx, account);
    await saveStrike(tx, { case: id, account, at, expiresAt, revokedAt: null });
    await chain(tx, claim, [{ at, kind: 'strike', by: SYSTEM, claim: null, data: { account, expiresAt } }]);
    const standing = (await strikesOf(tx, account)).filter((s) => strikeStands(s, at)).length;
    if (standing < terms.strikes) return;
    const message = `account ${account} has ${standing} strikes that stand (17 USC 512(i)): the platform decides what follows`;
    const alarm = { kind: 'repeat-infringer' as const, subject: account, message, at };
    await sendAlarm(tx, derivedId('ev', id, 'strike', at), alarm);
  }

  return {
    async open(tx, about) {
      const { upload, account, work, holder, ground, territories, source, by, data } = about;
      const { version } = source;
      const later = version !== null && version > 1 ? [version] : [];
      const id = derivedId('claim', upload, source.reference ?? source.notice!, ...later);
      const known = await findClaim(tx, id);
      if (known) return known;
      const at = now();
      const claim: ClaimRow = {
        id,
        case: caseId(upload, account, work),
        upload,
        account,
        work,
        holder,
        ground,
        territories,
        state: 'open',
        procedure: NEW_PROCEDURE,
        openedAt: at,
        changedAt: at,
        ...source,
      };
      await lockCase(tx, { id: claim.case, account, work, holder, openedAt: at });
      await insertClaim(tx, claim);
      await nameCase(tx, claim.case);
      await chain(tx, claim, [
        { at, kind: 'opened', by, claim: id, data: { upload, ground, territories, ...data, state: 'open' } },
      ]);
      return claim;
    },

    async take(tx, claim, wanted, by) {
      const result = step(claim, wanted, { now: now(), by, terms });
      if (!result.ok) return result;
      return { ok: true, ...(await change(tx, claim, result.claim, result.events)) };
    },

    async pass(tx, claim) {
      const { claim: after, events } = passTime(claim, { now: now(), terms });
      return events.length > 0 ? (await change(tx, claim, after, events)).claim : claim;
    },

    async note(tx, claim, { kind, data, claim: about = claim.id }, by) {
      await chain(tx, claim, [{ at: now(), kind, by, claim: about, data }]);
    },
  };
}

type Happened = Pick<CaseEvent, 'kind' | 'at' | 'by' | 'data'>;

const pick = ({ ground, territories, state, procedure }: Claim) => ({ ground, territories, state, procedure });
const differ = (a: ClaimProcedure['strike'], b: ClaimProcedure['strike']): boolean =>
  JSON.stringify(a) !== JSON.stringify(b);
