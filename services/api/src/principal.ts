import type { Actor } from '@vigil/contracts';
import type { KeyRole } from '@vigil/database';
import { notFound, Problem } from './problem.ts';

/** What a key may be allowed to do. Each route needs one. */
export const VERBS = [
  'works:read',
  'works:write',
  'references:read',
  'references:write',
  'policies:read',
  'policies:write',
  'uploads:read',
  'uploads:write',
  'uploads:trace',
  'cases:read',
  'cases:write',
  'disputes:write',
  'notices:write',
  'reports:read',
  'exports:read',
  'webhooks:read',
  'webhooks:write',
  'keys:read',
  'keys:write',
  'fleet:write',
  'reviews:write',
  'live:read',
  'brakes:read',
  'brakes:write',
  'canary:write',
  'papers:erase',
  'audit:read',
] as const;
export type Verb = (typeof VERBS)[number];

/** What each role may do at most; a key has all of it unless it was given less. */
export const ROLE_VERBS: Record<KeyRole, readonly Verb[]> = {
  holder: VERBS.filter(
    (v) =>
      !['uploads:write', 'uploads:trace', 'disputes:write', 'exports:read', 'fleet:write', 'reviews:write'].includes(
        v,
      ) && !/^(brakes|canary|papers|audit):/.test(v),
  ),
  platform: [
    'uploads:read',
    'uploads:write',
    'uploads:trace',
    'cases:read',
    'disputes:write',
    'notices:write',
    'reports:read',
    'exports:read',
    'keys:read',
    'keys:write',
  ],
  reviewer: [
    'works:read',
    'references:read',
    'policies:read',
    'uploads:read',
    'uploads:trace',
    'cases:read',
    'cases:write',
    'reports:read',
    'reviews:write',
    'live:read',
  ],
  operator: VERBS,
};

/** Who asks. */
export interface Principal {
  /** Of the key, or of the person. */
  id: string;
  role: KeyRole;
  /** Set for holders, and for them alone. */
  holder: string | null;
  verbs: readonly string[];
  /** Of the key that all of it rests on, also in a session: no key that is made here lasts longer. Null where no key let them in. */
  expiresAt: number | null;
  /** Set for people who signed in at the page: which of their sessions it is. */
  session?: string;
}

/** @throws Problem not-allowed */
export function mustBeAllowed({ verbs }: Principal, verb: Verb): void {
  if (!verbs.includes(verb)) throw new Problem('not-allowed', `it needs ${verb}`, { verb });
}

/** Nobody hands on more than they have themselves. @throws Problem not-allowed */
export function mustHave(who: Principal, verbs: readonly string[]): void {
  const beyond = verbs.filter((v) => !who.verbs.includes(v));
  if (beyond.length > 0) throw new Problem('not-allowed', `not to be given: ${beyond.join(', ')}`);
}

/**
 * The row if the asker may see it. Another holder's row is answered as one that does not exist, so that ids tell nothing.
 * @throws Problem not-found
 */
export function ownRow<T extends { holder: string }>(
  who: Principal,
  row: T | null | undefined,
  what: string,
  id: string,
): T {
  if (!row || (who.role === 'holder' && row.holder !== who.holder)) throw notFound(what, id);
  return row;
}

/** Of whoever acts, as long as the contract of actors allows. */
export const actingId = (who: Principal): string => who.id.slice(0, 200);

/** By whom items of the review queue are held, and live views counted: two people with one key are two. */
export const seatOf = (who: Principal): string => who.session ?? who.id;

/** In whose name a key acts in cases: the platform's key speaks for the uploader, an operator is a reviewer. */
export function actorOf(who: Principal, account: string | null = null): Actor {
  if (who.role === 'holder') return { role: 'holder', id: actingId(who) };
  if (who.role === 'platform') return { role: 'uploader', id: account };
  return { role: 'reviewer', id: actingId(who) };
}

/** For whom something is done: a holder's key says it by itself, an operator names it. @throws Problem bad-request */
export function holderFor(who: Principal, named: string | undefined): string {
  if (who.role === 'holder') {
    if (named !== undefined && named !== who.holder) {
      throw new Problem('not-allowed', `this key belongs to ${who.holder}, not to ${named}`);
    }
    return who.holder!;
  }
  if (!named) throw new Problem('bad-request', 'name the holder: this key belongs to none');
  return named;
}

/** Whose rows a list shows: a holder's own; of an operator's, those of the holder that is named, or all. */
export function holderFilter(who: Principal, named: string | undefined): string | null {
  if (who.role === 'holder') return who.holder!;
  return named ?? null;
}
