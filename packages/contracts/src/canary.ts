import { z } from 'zod';

/**
 * Whose the canary's reference is. What is found for this holder is real in every way but one: it is left out of reports, exports,
 * strikes, brakes and statistics.
 */
export const CANARY_HOLDER = 'vigil-canary';
export const isCanary = (holder: string | null | undefined): boolean => holder === CANARY_HOLDER;

/** What a canary says of one round: a copy that had to be taken down in time, and a clean clip that had to be cleared. */
export const CanaryRound = z.object({
  /** Which canary, where several watch. */
  canary: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  /** Seconds until its next round begins. */
  everySeconds: z.number().positive().max(86_400),
  /** Somebody's own look: no other round follows, and nobody waits for one. */
  once: z.boolean().optional(),
  results: z
    .array(
      z.object({
        case: z.enum(['copy', 'clean']),
        green: z.boolean(),
        /** Of one that is not green: late, missing, wrong, not judged, or not tried, and how. A clean clip is `wrong` where it was taken down or held. */
        why: z.string().max(1000).nullable().default(null),
        upload: z.string().nullable().default(null),
        /** From the answer to the upload until its end, in milliseconds. */
        ms: z.number().nonnegative().nullable().default(null),
      }),
    )
    .min(1)
    .max(2),
});
export type CanaryRound = z.infer<typeof CanaryRound>;
