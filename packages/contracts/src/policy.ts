import { z } from 'zod';
import { Evidence, Span } from './evidence.ts';

export const ACTIONS = ['takedown', 'review', 'monitor', 'none'] as const;
/** Strictest first. */
export type Action = (typeof ACTIONS)[number];
export const Action = z.enum(ACTIONS);
export const strictest = (actions: readonly Action[]): Action => ACTIONS.find((a) => actions.includes(a)) ?? 'none';

/** What a rights-holder wants done. Defaults are cautious: block at once only what is manifest. */
export const Policy = z.object({
  id: z.string().default('default'),
  version: z.number().int().positive().default(1),
  territories: z.array(z.string()).default(['*']),
  /** A copy of film is manifest from this many contiguous matched seconds ... */
  minContiguousSeconds: z.number().nonnegative().default(4),
  /** ... or, of shorter uploads, from this share of the upload (and at least two seconds). */
  minUploadShare: z.number().min(0).max(1).default(0.6),
  onManifest: Action.default('takedown'),
  onPossible: Action.default('review'),
  /** A still of a film, or a picture shown inside a film. */
  onStill: Action.default('monitor'),
  /** Parts of references that never count: licensed footage, public domain scenes, shared logos. */
  excluded: z.array(z.object({ reference: z.string(), span: Span })).default([]),
  /** Parts of references that another holder's hold as well: copies of them are only ever reviewed. Not for a holder to say. */
  contested: z.array(z.object({ reference: z.string(), span: Span })).default([]),
  /** Accounts whose uploads are never acted on. */
  allowlist: z.array(z.string()).default([]),
  /** Below this share of the upload judged, nothing is cleared. */
  minCoverage: z.number().min(0).max(1).default(0.9),
});
export type Policy = z.infer<typeof Policy>;

/** A rule that was looked at, in order; the first that fired decided. */
export const RuleTrial = z.object({ rule: z.string(), fired: z.boolean(), why: z.string() });
export type RuleTrial = z.infer<typeof RuleTrial>;

/** Evidence + policy, for one reference against one upload. */
export const Decision = z.object({
  action: Action,
  manifest: z.boolean(),
  rule: z.string(),
  trials: z.array(RuleTrial),
  policy: z.object({ id: z.string(), version: z.number().int() }),
  territories: z.array(z.string()),
  evidence: Evidence,
});
export type Decision = z.infer<typeof Decision>;
