import { codeFromHex, type Decision, hamming, RADIUS, type SliceAlignments } from '@vigil/contracts';

export const BRAKES = ['hot-reference', 'flood-reference', 'flood-holder', 'all'] as const;
/**
 * hot-reference: too many slight copies of one reference, of uploads that do not match each other (a logo, a slate, a poisoned file).
 * flood-reference, flood-holder: far more of them in an hour than ever.
 * all: nothing is taken down by itself; for when the clean canary is red, an index finds what it must not, or a cap is reached.
 */
export type BrakeName = (typeof BRAKES)[number];

/** A takedown that is wanted, as far as brakes look at it. */
export interface Mark {
  upload: string;
  account: string | null;
  /** A long confirmed copy: what Vigil is for. Held by no brake but `all`, while there is no reason to distrust it. */
  solid: boolean;
  /** Why it is not. */
  slight: string | null;
  /** Most of the upload is the copy. */
  whole: boolean;
  /** Seconds; 0 of images. */
  duration: number;
  /** Where the copy begins, in seconds of the upload and of the reference. */
  from: readonly [number, number];
  /** What the upload shows where it hits: seconds in the reference, the upload's own code in hex. */
  codes: readonly { ref: number; code: string }[];
}

export interface BrakeLimits {
  /** Slight copies of one reference in an hour, no two of one account or alike. */
  hot: number;
  /** Slight copies of one reference, of one holder, in an hour; or three times what the busiest hour had, if that is more. */
  floodReference: number;
  floodHolder: number;
  /** Takedowns of any kind, of all together, in an hour. */
  cap: number;
}

/** A brake that is set. `everything`: also what is solid, because a person said so. */
export interface BrakeInForce {
  id: string;
  brake: BrakeName;
  everything: boolean;
}

/** Of the hour that ends now, this takedown included; `busiest` is the largest hour before. */
export interface Counts {
  reference: { slight: number; busiest: number };
  holder: { slight: number; busiest: number };
  all: number;
  /** Marks of this reference, this one included, no two of which share an account or match. */
  unlike: number;
}

/** From here on a copy is long. Below it a slate, a jingle's picture or a logo's animation would be all there is. */
export const LONG_SECONDS = 10;
/** All that was found lies within so much of the reference: one spot. */
export const SPOT_SECONDS = 20;
const SURE = 0.9;
const MOST_IS_COPY = 0.6;
const BUSIER = 3;
const SAME_SECONDS = 0.5;
const SAME_MOMENT = 1;
const KEPT_CODES = 6;

/** `alignments` are the upload's, of which those of the reference tell what it shows there. */
export function markOf(
  { evidence }: Decision,
  upload: { id: string; account: string | null; duration: number },
  alignments: readonly SliceAlignments[],
): Mark {
  const { segments, longest, confidence, share, reference } = evidence;
  const { id, account, duration } = upload;
  const whole = share.upload >= MOST_IS_COPY;
  const spans = segments.map((s) => s.reference);
  const spot = Math.max(...spans.map((s) => s[1])) - Math.min(...spans.map((s) => s[0]));
  let slight: string | null = null;
  if (longest < LONG_SECONDS) slight = longest === 0 ? 'a picture' : `only ${longest.toFixed(1)} s in one piece`;
  else if (confidence < SURE) slight = `confidence is only ${confidence.toFixed(2)}`;
  else if (spot <= SPOT_SECONDS && !whole)
    slight = `all on ${spot.toFixed(1)} s of the reference, in an upload of more`;
  const hits = alignments.flatMap(({ outcome }) =>
    outcome.status === 'alignments'
      ? outcome.alignments.filter((a) => a.reference.id === reference.id).flatMap((a) => a.hits)
      : [],
  );
  hits.sort((a, b) => a.distance - b.distance || a.ref - b.ref);
  const codes = hits.slice(0, KEPT_CODES).map(({ ref, code }) => ({ ref, code }));
  const first = [...segments].sort((a, b) => a.upload[0] - b.upload[0])[0];
  const from = [first?.upload[0] ?? 0, first?.reference[0] ?? 0] as const;
  return { upload: id, account, solid: slight === null, slight, whole, duration, from, codes };
}

/** Do two uploads show the same, as far as is known: one file that goes round, or one moment and nothing else? */
export function match(a: Mark, b: Mark): boolean {
  const near = (x: number, y: number) => Math.abs(x - y) <= SAME_SECONDS;
  if (a.duration > 0 && near(a.duration, b.duration) && near(a.from[0], b.from[0]) && near(a.from[1], b.from[1]))
    return true;
  if (!a.whole || !b.whole) return false;
  return a.codes.some((x) =>
    b.codes.some(
      (y) => Math.abs(x.ref - y.ref) <= SAME_MOMENT && hamming(codeFromHex(x.code), codeFromHex(y.code)) <= RADIUS,
    ),
  );
}

/** Is this one more, beside those: of another account, and alike none of them? */
export const isUnlike = (mark: Mark, others: readonly Mark[]): boolean =>
  others.every((other) => !(mark.account !== null && mark.account === other.account) && !match(mark, other));

/** Does this brake keep this takedown back? `trusted`: nothing says that what is found may be wrong. */
export const holds = (brake: BrakeInForce, mark: Mark, trusted: boolean): boolean =>
  brake.brake === 'all' || brake.everything || !mark.solid || !trusted;

/** Does it count towards a flood? A picture or cut that goes round again is one thing, however often. */
export const counts = (mark: Mark, others: readonly Mark[], trusted: boolean): boolean =>
  !trusted || (!mark.solid && !others.some((other) => match(mark, other)));

/** The brake that this takedown trips, and why; null while all is as it was. */
export function trippedBy(
  mark: Mark,
  now: Counts,
  limits: BrakeLimits,
  trusted: boolean,
): { brake: BrakeName; why: string } | null {
  if (now.all > limits.cap) return { brake: 'all', why: `${now.all} takedowns in an hour; the cap is ${limits.cap}` };
  if (mark.solid && trusted) return null;
  if (!mark.solid && now.unlike >= limits.hot) {
    const why = `${now.unlike} uploads of as many accounts, none like another, hold slight copies of it (this one: ${mark.slight}): a logo, a slate or a poisoned file would do that`;
    return { brake: 'hot-reference', why };
  }
  for (const [brake, { slight, busiest }, floor] of [
    ['flood-reference', now.reference, limits.floodReference],
    ['flood-holder', now.holder, limits.floodHolder],
  ] as const) {
    const limit = Math.max(floor, BUSIER * busiest);
    if (slight <= limit) continue;
    const what = trusted ? 'slight copies' : 'copies, while the canary or an index says that finds may be wrong,';
    return {
      brake,
      why: `${slight} ${what} in an hour; the busiest hour before had ${busiest}, the limit is ${limit}`,
    };
  }
  return null;
}

/** What a brake makes of a decision: a person's to see, with the rule named. */
export function braked(decision: Decision, brake: BrakeName, why: string): Decision {
  const rule = `brake-${brake}`;
  return {
    ...decision,
    action: 'review',
    manifest: false,
    rule,
    trials: [...decision.trials, { rule, fired: true, why }],
  };
}
