import { blockedBy, clockOf, DEFAULT_TERMS } from '@vigil/cases';
import { type Actor, GROUNDS, Policy, ROLES_IN_CASE, type TakedownEvent, type Verdict } from '@vigil/contracts';
import {
  actionsOf,
  type ClaimRow,
  claimsOf,
  findReference,
  findUpload,
  listClaims,
  makeAuditRoot,
  savePolicy,
  strikeStands,
  strikesOf,
  verdictsOf,
  verifyAudit,
} from '@vigil/database';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import type { StepRequest } from './cases.ts';
import { openCaseBench } from './cases-testing.ts';
import { CLAIM_CLOCK } from './ledger.ts';

/**
 * Real: the database. Faked: time, and the results of other stages. Two accounts, three uploads, two references with territories
 * of their own that overlap; everybody does whatever is allowed, policies change, and time goes on in leaps. A platform that does
 * what it is told is kept in memory: what it shows must be what the claims ask for, at every moment. In the end the holder takes
 * everything back, and all of it must be shown.
 */
const SEED = Number(process.env.VIGIL_WALK_SEED ?? 3069229734);
const WALKS = Number(process.env.VIGIL_WALKS ?? (process.env.VIGIL_FULL === '1' ? 60 : 14));
const UPLOADS = [0, 1, 2];
const REFERENCES = [['DE', 'AT'], ['FR', 'AT'], ['*']];

const moves = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('step' as const), pick: fc.nat(10_000) }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('wait' as const), days: fc.constantFrom(0.5, 8, 16, 31, 190) }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('find' as const),
        upload: fc.nat(2),
        references: fc.subarray([0, 1, 2], { minLength: 1 }),
        seconds: fc.constantFrom(3, 20, 20, 25),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('notice' as const),
        upload: fc.nat(2),
        kind: fc.constantFrom('dmca' as const, 'dsa' as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('again' as const), upload: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), upload: fc.nat(2) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('policy' as const),
        reference: fc.nat(2),
        action: fc.constantFrom('takedown' as const, 'takedown' as const, 'monitor' as const),
        territories: fc.constantFrom(['DE'], ['AT'], ['AT', 'DE', 'FR'], ['*']),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('root' as const) }) },
  ),
  { minLength: 8, maxLength: 30, size: 'max' },
);
const reference = fc.nat(40);

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;
const bench = openCaseBench(database);
const { cases, clock } = bench;
const DMCA = {
  ...{ signature: 's', work: 'w', name: 'n', address: 'a', phone: 'p', email: 'e', goodFaith: true, accurate: true },
  ...{ mistake: true, consent: true, explanation: 'x' },
};

const requestOf = (name: string, pick: number): StepRequest => {
  const odd = pick % 4 === 3;
  const statement = 'in words';
  const requests: Record<string, StepRequest> = {
    'take-down': { do: 'take-down' },
    dismiss: { do: 'dismiss' },
    reopen: { do: 'reopen' },
    dispute: { do: 'dispute', grounds: ['fair-use'], statement },
    'answer-dispute': { do: 'answer-dispute', answer: odd ? 'uphold' : 'release' },
    appeal: { do: 'appeal', grounds: ['other'], statement },
    'answer-appeal': { do: 'answer-appeal', answer: odd ? 'uphold' : 'release' },
    escalate: { do: 'escalate', notice: DMCA },
    'counter-notice': { do: 'counter-notice', notice: DMCA },
    forward: { do: 'forward' },
    'notify-court': { do: 'notify-court', statement },
    'decide-court': { do: 'decide-court', decidedFor: odd ? 'holder' : 'uploader' },
    complain: { do: 'complain' },
    'decide-complaint': { do: 'decide-complaint', upheld: odd, statement },
    withdraw: { do: 'withdraw' },
  };
  return requests[name]!;
};

test(
  'whatever people do, and whenever: media follow the claims, and nothing is lost',
  async () => {
    let run = 0;
    const seen = { actions: 0, restored: 0, steps: 0 };
    const check = fc.asyncProperty(moves, reference, async (list, withdrawn) => {
      const tag = `p${run++}`;
      const uploads = UPLOADS.map((u) => `${tag}_up_${u}`);
      const references = REFERENCES.map((_, r) => `${tag}_ref_${r}`);
      const accountOf = (u: number) => `${tag}_acc_${u % 2}`;
      for (const [r, territories] of REFERENCES.entries()) {
        await bench.reference(references[r]!, {
          work: `${tag}_work_${Math.min(r, 1)}`,
          holder: `${tag}_h`,
          territories,
        });
      }
      for (const [u, id] of uploads.entries()) await bench.say(id, { account: accountOf(u) });
      const platform = new Map<string, { blocked: string[]; epoch: number }>();
      const notices: string[] = [];
      let checkpoint = 1;
      let version = 1;
      await bench.sent();

      for (const [i, move] of list.entries()) {
        const id = 'upload' in move ? uploads[move.upload]! : '';
        if (i === withdrawn) await cases.withdrawReference({ id: references[0]!, version: 1 }, 'sold', actor('holder'));
        if (move.do === 'wait') await bench.wait(move.days);
        if (move.do === 'find') {
          const found = move.references.map((r) => ({ reference: references[r]!, seconds: move.seconds }));
          await bench.found(id, found, ++checkpoint);
          // The same once more: nothing comes of it.
          await bench.found(id, found, checkpoint);
        }
        if (move.do === 'notice') {
          const wanted = { kind: move.kind, notice: DMCA, uploads: [id], holder: `${tag}_h` };
          notices.push((await cases.fileNotice(wanted, actor('holder'))).notice);
        }
        if (move.do === 'delete' || move.do === 'again') {
          await bench.wait(0.001);
          await bench.say(id, {
            account: accountOf(move.upload),
            action: move.do === 'delete' ? 'deleted' : 'created',
          });
        }
        if (move.do === 'policy') await changePolicy(tag, references[move.reference]!, ++version, move);
        if (move.do === 'root') await database.transaction((tx) => makeAuditRoot(tx, clock.now()));
        if (move.do === 'step') seen.steps += await someStep(tag, notices, move.pick);
        await settled(tag, uploads, platform);
      }
      await bench.wait(0);
      await settled(tag, uploads, platform);
      for (const claim of await listClaims(db, { holder: `${tag}_h`, limit: 100 })) {
        if (cases.allowed(claim, actor('holder')).includes('withdraw')) {
          const outcome = await cases.take({ claim: claim.id }, { do: 'withdraw' }, actor('holder'));
          expect(outcome).toMatchObject({ status: 'done' });
        }
      }
      await settled(tag, uploads, platform);
      for (const id of uploads) expect(platform.get(id)?.blocked ?? [], `${id} in the end`).toEqual([]);
      expect((await verifyAudit(db)).broken).toBeNull();
    });

    async function changePolicy(
      tag: string,
      reference: string,
      version: number,
      { action, territories }: { action: Policy['onManifest']; territories: readonly string[] },
    ): Promise<void> {
      const policy = Policy.parse({
        id: `policy_${reference}`,
        version,
        territories: [...territories],
        onManifest: action,
      });
      // What is due already, as the withdrawal of a reference, is not the policy's doing.
      await bench.wait(0);
      const found = await listClaims(db, { holder: `${tag}_h`, limit: 100 });
      await database.transaction(async (tx) => {
        await savePolicy(tx, policy, { holder: `${tag}_h`, reference });
        await cases.applyPolicy(tx, `${tag}_h`, actor('holder'));
      });
      await bench.wait(0);
      const claims = await listClaims(db, { holder: `${tag}_h`, limit: 100 });
      for (const { id, reference: of, state, ground, decision, territories: where } of claims) {
        const before = found.find((c) => c.id === id)!;
        const ruled = of === reference && ['open', 'taken-down'].includes(state) && ground === 'rights-holder-rule';
        if (!ruled)
          expect([where, of === reference || state], id).toEqual([
            before.territories,
            of === reference || before.state,
          ]);
        else if (decision!.manifest) expect(action, id).toBe('takedown');
      }
    }

    async function someStep(tag: string, notices: readonly string[], pick: number): Promise<number> {
      // The ids of notices are drawn by lot, and with them those of claims; the same seed is to be the same walk.
      const key = (c: ClaimRow) => `${c.upload} ${c.reference ?? notices.indexOf(c.notice!)}`;
      const claims = (await listClaims(db, { holder: `${tag}_h`, limit: 100 })).sort((a, b) =>
        key(a) < key(b) ? -1 : 1,
      );
      const options = claims
        .flatMap((claim) =>
          ROLES_IN_CASE.flatMap((role) => cases.allowed(claim, actor(role)).map((name) => ({ claim, role, name }))),
        )
        .filter(({ name, role }) => role !== 'system' && (name !== 'withdraw' || pick % 3 === 0));
      const choice = options[pick % Math.max(1, options.length)];
      if (!choice) return 0;
      const wanted = requestOf(choice.name, pick >> 3);
      const by = actor(choice.name === 'answer-appeal' ? 'reviewer' : choice.role);
      const about = pick % 5 === 0 ? { case: choice.claim.case } : { claim: choice.claim.id };
      const meant = claims.filter((c) => ('claim' in about ? c.id === about.claim : c.case === about.case));
      const status = (await nothingIsLive(wanted, by, meant)) ? 'refused' : 'done';
      const outcome = await cases.take(about, wanted, by);
      expect(outcome, `${choice.role} ${choice.name}`).toMatchObject({ status });
      return 1;
    }

    /** It would take down, or open again, what rests on disabled references and nothing else. */
    async function nothingIsLive({ do: name }: StepRequest, by: Actor, claims: readonly ClaimRow[]): Promise<boolean> {
      if (name !== 'take-down' && name !== 'reopen') return false;
      const possible = claims.filter((c) => cases.allowed(c, by).includes(name));
      const rows = await Promise.all(possible.map((c) => c.reference && findReference(db, c.reference, c.version!)));
      return rows.every((row) => row && row.state === 'disabled');
    }

    async function settled(
      tag: string,
      uploads: readonly string[],
      platform: Map<string, { blocked: string[]; epoch: number }>,
    ) {
      const { actions, verdicts } = await bench.sent();
      for (const event of actions.filter((a) => a.upload.startsWith(tag))) follow(event, platform);
      const claims: ClaimRow[] = [];
      for (const id of uploads) {
        const own = await claimsOf(db, id);
        claims.push(...own);
        const row = (await findUpload(db, id))!;
        const shown = platform.get(id)?.blocked ?? [];
        // The platform forgets what it deletes; uploaded again, it shows it until it is told otherwise.
        if (row.deleted) platform.set(id, { blocked: [], epoch: platform.get(id)?.epoch ?? -1 });
        else expect(shown, `${id} as the claims ask for`).toEqual(blockedBy(own));
        if (!row.deleted) expect(row.blocked).toEqual(blockedBy(own));
        if (row.verdict && !row.deleted) expect(row.verdict.verdict === 'taken-down').toBe(blockedBy(own).length > 0);
        revisions(
          await verdictsOf(db, id),
          verdicts.filter((v) => v.upload === id),
        );
        expect((await actionsOf(db, id)).map((a) => a.epoch)).toEqual([
          ...new Set((await actionsOf(db, id)).map((a) => a.epoch)),
        ]);
      }
      await clocksAreSet(claims);
      await strikesAreRight(tag, claims);
    }

    function follow(event: TakedownEvent, platform: Map<string, { blocked: string[]; epoch: number }>): void {
      seen.actions++;
      if (event.action === 'restore') {
        seen.restored++;
        expect(event.why, 'what was never taken down does not come back').not.toBe('dismissed');
      }
      const before = platform.get(event.upload);
      expect(event.epoch).toBeGreaterThan(before?.epoch ?? -1);
      expect(GROUNDS).toContain(event.ground);
      platform.set(event.upload, { blocked: event.action === 'takedown' ? event.territories : [], epoch: event.epoch });
    }

    await fc.assert(check, { seed: SEED, numRuns: WALKS });
    // That the walks went somewhere; the seed makes them the same ones each time.
    expect(seen.actions).toBeGreaterThan(25);
    expect(seen.restored).toBeGreaterThan(10);
    expect(seen.steps).toBeGreaterThan(20);
  },
  Math.max(240_000, 20_000 * WALKS),
);

/** Each says what it supersedes, none is missing, and what was sent now is the end of them. */
function revisions(all: readonly Verdict[], sent: readonly Verdict[]): void {
  expect(all.map((v) => [v.revision, v.supersedes])).toEqual(all.map((_, n) => [n + 1, n || null]));
  expect(all.slice(all.length - sent.length).map((v) => v.revision)).toEqual(sent.map((v) => v.revision));
}

async function clocksAreSet(claims: readonly ClaimRow[]): Promise<void> {
  const rows = await db.query<{ claim: string; dueAt: number }>(
    `SELECT payload->>'claim' AS claim, due_at AS "dueAt" FROM timers WHERE kind = $1 AND payload->>'claim' = ANY($2)`,
    [CLAIM_CLOCK, claims.map((c) => c.id)],
  );
  const wanted = claims.flatMap((c) => {
    const clock = clockOf(c, DEFAULT_TERMS);
    return clock ? [{ claim: c.id, dueAt: clock.dueAt }] : [];
  });
  const sorted = (list: { claim: string; dueAt: number }[]) => [...list].sort((a, b) => (a.claim < b.claim ? -1 : 1));
  expect(sorted(rows)).toEqual(sorted(wanted));
}

async function strikesAreRight(tag: string, claims: readonly ClaimRow[]): Promise<void> {
  for (const account of [`${tag}_acc_0`, `${tag}_acc_1`]) {
    const earned = claims.filter(
      (c) => c.account === account && c.procedure.strike && c.procedure.strike.revokedAt === null,
    );
    const standing = (await strikesOf(db, account)).filter((s) => s.revokedAt === null);
    expect(standing.map((s) => s.case).sort()).toEqual([...new Set(earned.map((c) => c.case))].sort());
    for (const strike of standing) expect(strikeStands(strike, clock.now())).toBe(strike.expiresAt > clock.now());
  }
}

function actor(role: Actor['role']): Actor {
  return { role, id: role === 'system' ? null : role };
}
