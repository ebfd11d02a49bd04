import { z } from 'zod';
import { Text } from './media.ts';

const When = z.number().int().describe('milliseconds since 1970');

/** On what a restriction rests. Clocks, put-back duties and reports depend on it; an automatic match is not a DMCA notice. */
export const GROUNDS = ['rights-holder-rule', '512c3-notice', 'dsa-16-notice', 'trusted-flagger'] as const;
export const Ground = z.enum(GROUNDS);
export type Ground = z.infer<typeof Ground>;

/** system: Vigil by itself. reviewer: a person of the platform. holder: the rights-holder, or whoever sent the notice. */
export const ROLES_IN_CASE = ['system', 'uploader', 'holder', 'reviewer'] as const;
export type RoleInCase = (typeof ROLES_IN_CASE)[number];
/** Who does something. `id` is an account, holder, key or staff id of the platform: never a name or an address. */
export const Actor = z.object({ role: z.enum(ROLES_IN_CASE), id: z.string().max(200).nullable() });
export type Actor = z.infer<typeof Actor>;

/**
 * open: found, and left to a person. taken-down to court-hold: the media are disabled where the claim holds. closed: they stay
 * so, and nobody can be asked any more. The others have ended without a restriction.
 */
export const CLAIM_STATES = [
  'open',
  'taken-down',
  'disputed',
  'upheld',
  'appealed',
  'counter-notice',
  'waiting',
  'court-hold',
  'closed',
  'reversed',
  'put-back',
  'dismissed',
  'withdrawn',
] as const;
export const ClaimState = z.enum(CLAIM_STATES);
export type ClaimState = z.infer<typeof ClaimState>;

/** What a transparency report counts of claims, in its order. */
export const CLAIM_COUNTS = [
  'claims',
  'takedowns',
  'automated',
  'reviewed',
  'dismissed',
  'withdrawn',
  'disputes',
  'appeals',
  'counterNotices',
  'complaints',
  'contested',
  'settled',
  'overturned',
] as const;

/** Why an uploader says that a restriction is wrong. The words and where they stand in law: `DISPUTE_GROUNDS` of cases. */
export const DISPUTE_GROUND_IDS = [
  'not-the-work',
  'licensed',
  'own-work',
  'public-domain',
  'quotation',
  'criticism-or-review',
  'caricature-parody-pastiche',
  'fair-use',
  'other',
] as const;
export const DisputeGroundId = z.enum(DISPUTE_GROUND_IDS);
export type DisputeGroundId = z.infer<typeof DisputeGroundId>;

/** What a person wrote, kept in an erasable row; the chain knows its id and its salted digest only. */
export const Paper = z.object({ id: z.string(), digest: z.string() });
export type Paper = z.infer<typeof Paper>;

const Dispute = z.object({
  at: When,
  grounds: z.array(DisputeGroundId),
  paper: Paper.nullable(),
  /** Silence of the holder until then releases the claim. */
  answerBy: When,
  decidedAt: When.nullable(),
});

/** How far one claim has come: all that the rules go by, beside its columns. */
export const ClaimProcedure = z.object({
  /** Did the machine alone decide to take down? Null before anybody has. */
  automatedDecision: z.boolean().nullable(),
  takenDownAt: When.nullable(),
  /** Until then the uploader may complain (DSA Art. 20: at least six months). */
  redressUntil: When.nullable(),
  dispute: Dispute.nullable(),
  appeal: Dispute.nullable(),
  counterNotice: z
    .object({
      at: When,
      paper: Paper,
      forwardedAt: When.nullable(),
      /** 17 USC 512(g)(2)(C): the media come back between these, unless a court action is notified. */
      putBackFrom: When,
      putBackUntil: When,
      /** When they do by themselves: ten business days after it was forwarded, and on the last day whatever happens. Missing in old claims. */
      backAt: When.optional(),
      calendar: z.object({
        id: z.string(),
        version: z.number().int(),
        zone: z.string(),
        holidays: z.array(z.string()),
      }),
    })
    .nullable(),
  court: z
    .object({ at: When, paper: Paper.nullable(), decidedFor: z.enum(['holder', 'uploader']).nullable() })
    .nullable(),
  complaint: z
    .object({
      at: When,
      paper: Paper.nullable(),
      decided: z.object({ at: When, by: Actor, upheld: z.boolean() }).nullable(),
    })
    .nullable(),
  /** 17 USC 512(i). One claim earns at most one, and a case counts as one however many claims it joins. */
  strike: z.object({ at: When, expiresAt: When, revokedAt: When.nullable() }).nullable(),
  /** Why it ended, once it has: silence, accepted, appeal, complaint, court, put-back, holder, reference, policy, dismissed, time. */
  ended: z.object({ at: When, why: z.string() }).nullable(),
});
export type ClaimProcedure = z.infer<typeof ClaimProcedure>;

/** Of a claim that nothing has happened to yet. */
export const NEW_PROCEDURE: ClaimProcedure = {
  automatedDecision: null,
  takenDownAt: null,
  redressUntil: null,
  dispute: null,
  appeal: null,
  counterNotice: null,
  court: null,
  complaint: null,
  strike: null,
  ended: null,
};

/** One link of a case's chain: what happened to one of its claims, or to the case as a whole (`claim` null). */
export const CaseEvent = z.object({
  case: z.string(),
  /** From 1, without gaps. */
  seq: z.number().int().positive(),
  at: When,
  kind: z.string(),
  by: Actor,
  claim: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
});
export type CaseEvent = z.infer<typeof CaseEvent>;

const Signed = {
  signature: Text.describe('physical or electronic, of the person or of whoever is authorised to act'),
  name: Text,
  address: Text,
  phone: Text,
  email: Text,
};

/** 17 USC 512(c)(3)(A). Every part may be missing: what is complete is judged, and the sender is told what is not. */
export const DmcaNotice = z
  .object({
    ...Signed,
    work: Text.describe('the work, or a representative list of works'),
    goodFaith: z
      .boolean()
      .describe('a good-faith belief that the use is not authorised by the owner, its agent, or the law'),
    accurate: z
      .boolean()
      .describe('the information is accurate, and under penalty of perjury the sender may act for the owner'),
  })
  .partial();
export type DmcaNotice = z.infer<typeof DmcaNotice>;

/** Regulation (EU) 2022/2065, Art. 16(2). */
export const DsaNotice = z
  .object({
    explanation: Text.describe('why the information is alleged to be illegal'),
    name: Text,
    email: Text,
    goodFaith: z
      .boolean()
      .describe('a bona fide belief that the information and allegations are accurate and complete'),
  })
  .partial();
export type DsaNotice = z.infer<typeof DsaNotice>;

/** 17 USC 512(g)(3). */
export const CounterNotice = z
  .object({
    signature: Signed.signature,
    name: Text,
    address: Text,
    phone: Text,
    mistake: z
      .boolean()
      .describe('under penalty of perjury, a good-faith belief that it was removed by mistake or misidentification'),
    consent: z
      .boolean()
      .describe('consent to the jurisdiction of the court, and to service of process by the notifier'),
  })
  .partial();
export type CounterNotice = z.infer<typeof CounterNotice>;

/** DSA Art. 17(3). Goes out with the restriction, and holds nothing personal. */
export const StatementOfReasons = z.object({
  restriction: z.enum(['disabled']),
  territories: z.array(z.string()),
  /** Null: until it is reversed. */
  until: When.nullable(),
  facts: z.string(),
  ground: Ground,
  groundText: z.string(),
  automatedDetection: z.boolean(),
  automatedDecision: z.boolean(),
  /** What the uploader can do about it, where that stands in law, and until when. */
  redress: z.array(z.object({ way: z.string(), law: z.string(), until: When.nullable() })),
});
export type StatementOfReasons = z.infer<typeof StatementOfReasons>;

/** out: the heads of all chains that grew since the last one, hashed, so that nobody can rewrite what was said before. */
export const AuditRoot = z.object({
  number: z.number().int().positive(),
  at: When,
  /** Hex SHA-256 of the root before; 64 zeros for the first. */
  previous: z.string(),
  root: z.string(),
  /** Chains that grew. */
  heads: z.number().int(),
});
export type AuditRoot = z.infer<typeof AuditRoot>;
