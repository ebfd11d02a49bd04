/**
 * Above 400 lines, because it is one list, to be read as a whole.
 * What the page and the server say to each other: plain types, no code. The page is served at `/` of the same address as the API and
 * asks the API's own routes (`/openapi.json` has all of them) with its session cookie as the credential. Times are milliseconds since
 * 1970 where not said otherwise; places in media are seconds; places in pictures are fractions 0..1, left to right and top to bottom.
 *
 * Requests. `GET` needs the cookie alone. Every other method needs the header `x-csrf-token` with `Session.csrf`, or it is a 403 of
 * type `urn:vigil:problem:csrf`. Errors are `Problem`s (application/problem+json). 401: signed out, show the sign-in. 429: see the
 * header `retry-after`. Lists are `Page`s: ask again with `?cursor=<next>`; `limit` is 50 by default and 200 at most.
 *
 * | Session | | |
 * | --- | --- | --- |
 * | GET /session/ways | | SignInWays; needs no session |
 * | GET /session | | Session, or 401 |
 * | POST /session | SignIn | Session, and sets the cookie; 401 when key or link open nothing; needs no csrf token |
 * | POST /session/renew | | Session; a fresh cookie. Call it when `renewBy` comes near |
 * | DELETE /session | | 204; locks are given back, the cookie is gone |
 * | GET /session/oidc?return=/path | | a redirect to the provider, which comes back to `return`, or to `/sign-in?problem=<words>` |
 *
 * A one-time link is `/sign-in#<token>`: the page takes the token from `location.hash` and posts `{ link: token }`.
 *
 * | Review (verb `reviews:write`) | | |
 * | --- | --- | --- |
 * | POST /v1/reviews/next | ReviewNext | ReviewHand: what this reviewer holds, filled up to `hold` items, the current one first |
 * | POST /v1/reviews/heartbeat | | ReviewLocks: all that this reviewer holds, until later. Call it every `LOCK_MS / 3` |
 * | POST /v1/reviews/release | { items?: string[] } | ReviewLocks: given back, all when none is named; with `keepalive` on unload |
 * | POST /v1/reviews/{claim}/decide | ReviewDecision | ReviewDone; 409 `conflict` when somebody decided it meanwhile, or the lock is lost |
 * | POST /v1/reviews/{claim}/undo | | ReviewUndone: open again and held by this reviewer; 409 when `undoUntil` has passed |
 * | GET /v1/reviews | ?limit&cursor | Page<ReviewSummary>: the whole queue in its order, with who holds what |
 * | GET /v1/claims/{claim}/media/{side} | Range | the media itself (200, 206, 416, or 404 once gone), for `<video>` and `<img>` |
 * | GET /v1/claims/{claim}/pictures/{picture}/{side} | | a JPEG |
 *
 * | Cases (verb `cases:read`, `cases:write`) | | |
 * | --- | --- | --- |
 * | GET /v1/cases | ?state&work&account&holder&upload&limit&cursor | Page<CaseSummary>, newest first |
 * | GET /v1/cases/{case} | | Case |
 * | GET /v1/cases/{case}/events | ?limit&cursor | Page<CaseEvent>, oldest first; 1,000 by default and at most |
 * | GET /v1/claims | ?case&state&holder&limit&cursor | Page<Claim>, newest first |
 * | POST /v1/cases/{case}/steps | HolderStep | Case; 409 with `allowed` |
 * | POST /v1/cases/{case}/disputes | UploaderStep | Case (operators may speak for the uploader; the demo does) |
 * | GET /v1/claims/{claim}/pictures | | { items: PicturePair[] }; for holders only after a decision |
 * | GET /v1/claims/{claim}/review | | ReviewItem without a lock: the same view of a claim from its case page |
 * | GET /v1/uploads/{upload} | | Upload |
 * | GET /v1/uploads/{upload}/actions | | { items: Action[] } |
 *
 * | Library (verbs `works:*`, `references:*`) | | |
 * | --- | --- | --- |
 * | GET /v1/works | ?holder&limit&cursor | Page<Work> |
 * | POST /v1/works | { title, details?, holder? } | Work |
 * | GET /v1/works/{work} | | Work |
 * | GET /v1/references | ?work&state&holder&limit&cursor | Page<Reference>, newest first |
 * | POST /v1/references?name=&work=&title=&holder= | the file itself | Registered (202); XMLHttpRequest tells its progress |
 * | GET /v1/references/{reference} | | Reference |
 * | GET /v1/references/{reference}/matches | ?buckets=120 | Matches: how often each part of it was matched |
 * | POST /v1/references/{reference}/disable | { reason } | Reference |
 *
 * | Live | | |
 * | --- | --- | --- |
 * | GET /v1/live | | text/event-stream of `LiveEvent`s; holders hear only what is theirs |
 * | GET /v1/live/now | | Status, as in the stream; holders get only what is theirs |
 */

export type Role = 'holder' | 'reviewer' | 'operator' | 'platform';

export interface Problem {
  /** urn:vigil:problem:<word>: bad-request, unauthenticated, csrf, not-allowed, not-found, conflict, too-large, too-many-requests, unavailable, failed, ... */
  type: string;
  title: string;
  status: number;
  detail: string;
  /** Of a refused step: what could be done instead. */
  allowed?: string[];
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface SignInWays {
  /** By the identity provider, at /session/oidc; its host, for the button. */
  oidc: { host: string } | null;
  key: true;
}
export type SignIn = { key: string } | { link: string };

export interface Session {
  /** Whoever signed in, in words: the name of a key, or what the provider calls the person. */
  name: string;
  role: Role;
  holder: string | null;
  /** What may be done: hide what is not in here. 'reviews:write' is the queue, 'fleet:write' is for operators. */
  verbs: string[];
  csrf: string;
  /** Renew before this, or be signed out then. */
  renewBy: number;
  /** Signed out then in any case. */
  expiresAt: number;
  /** The server's clock at the answer: for "3 s ago" and for deadlines. */
  now: number;
}

export type Span = [from: number, to: number];
export type Point = [x: number, y: number];

/** As it is in the claim; `words` says it for people. */
export interface Altered {
  turn?: string | undefined;
  inverted?: boolean | undefined;
  /** [left, top, right, bottom] of the upload's picture that shows the reference. */
  inset?: [number, number, number, number] | undefined;
  /** [left, top, right, bottom] of the reference's picture that the upload shows. */
  cropped?: [number, number, number, number] | undefined;
  /** Reference seconds per upload second. */
  speed?: number | undefined;
  affine?: number[] | undefined;
  projective?: number[] | undefined;
}

/** To be drawn over both frames. Corners in the order in which the reference's picture has them: top left, top right, bottom right, bottom left. */
export interface Geometry {
  /** Outline of the reference's picture inside the upload's; may reach outside of 0..1 where the copy is cropped. */
  inUpload: [Point, Point, Point, Point];
  /** Outline of the upload's picture inside the reference's, in the upload's order of corners. */
  inReference: [Point, Point, Point, Point];
  mirrored: boolean;
  /** Whether it was fitted to places in the picture; false: from turn, inset and crop alone. */
  fitted: boolean;
}

export interface Segment {
  upload: Span;
  reference: Span;
  offset: number;
  speed: number;
  frames: { matched: number; eligible: number };
  /** Bits of 256 that differ, of the agreeing frames. */
  distance: { mean: number; worst: number };
  distinct: number;
  timed: boolean;
  correlation?: number | undefined;
  inliers?: number | undefined;
  cells?: number | undefined;
}

export interface Evidence {
  reference: { id: string; version: number };
  referenceMedia: 'image' | 'video';
  kind: string;
  altered: Altered;
  segments: Segment[];
  longest: number;
  total: number;
  share: { upload: number; reference: number };
  confidence: number;
}

export interface RuleTrial {
  rule: string;
  fired: boolean;
  /** A sentence for people. */
  why: string;
}

/** One frame of the upload beside the frame of the reference that it copies. */
export interface PicturePair {
  picture: string;
  uploadTime: number;
  referenceTime: number;
  /** Addresses of the JPEGs. */
  upload: string;
  reference: string;
  madeAt: number;
}

/** What is known of a side's media; `play` is null once they are gone, or where whoever is signed in may not play them. */
export interface Side {
  kind: 'image' | 'video' | null;
  /** Seconds; 0 of an image. */
  duration: number | null;
  width: number | null;
  height: number | null;
  play: string | null;
  /** As its bytes say: video/mp4, image/jpeg, ...; browsers do not play all of them: fall back to the pictures. */
  contentType: string | null;
}

export interface ReviewLock {
  item: string;
  /** Held until then, unless there is a heartbeat before. */
  until: number;
}

/** One claim that waits for a person, with all that the page draws. */
export interface ReviewItem {
  /** The claim's id. */
  item: string;
  case: string;
  upload: string;
  account: string | null;
  openedAt: number;
  state: ClaimState;
  ground: string;
  territories: string[];
  /** Null where whoever is signed in does not hold it. */
  lock: ReviewLock | null;
  work: { id: string; title: string; holder: string };
  /** Null for claims that rest on a notice alone. */
  reference: { id: string; version: number; name: string | null } | null;
  uploadMedia: Side;
  referenceMedia: Side | null;
  evidence: Evidence | null;
  geometry: Geometry | null;
  /** "mirrored, 1.06 x speed, cropped to 71 %" */
  altered: string | null;
  /** The rule that fired and all that were tried, in order. */
  rule: string | null;
  trials: RuleTrial[];
  policy: { id: string; version: number } | null;
  /** Frames that agreed, in order of upload time: 0..31 of 256 bits differ. For the plot under the time lines; may be empty. */
  hits: { upload: number; reference: number; distance: number }[];
  /** `distance`: of the hit nearest to the pair, within a second; null where there is none. */
  pictures: (PicturePair & { distance: number | null })[];
  /** Other claims on the same upload. */
  others: { claim: string; case: string; title: string; state: ClaimState }[];
  /** Why it stands where it does in the queue: harm and confidence 0..1; accounts that showed the same reference in a week. */
  order: { harm: number; confidence: number; accounts: number; waitingMs: number };
  skips: { reason: SkipReason; at: number }[];
  /** What whoever is signed in could do now: take-down, dismiss, ... */
  allowed: string[];
}

export interface ReviewNext {
  /** How many this reviewer wants to hold, 1 to 5: ask for 2, so that the next one is there when the first is decided. */
  hold: number;
}
export interface ReviewHand {
  items: ReviewItem[];
  /** Open items that nobody holds, beside these. */
  waiting: number;
  /** All open items. */
  open: number;
}
export interface ReviewLocks {
  locks: ReviewLock[];
}
export interface ReviewSummary {
  item: string;
  case: string;
  upload: string;
  account: string | null;
  title: string;
  holder: string;
  openedAt: number;
  confidence: number | null;
  harm: number;
  /** Whose it is now; `mine` when it is that of whoever is signed in. */
  heldUntil: number | null;
  mine: boolean;
}

export type SkipReason = 'unsure' | 'needs-language' | 'needs-holder' | 'needs-senior' | 'media-missing' | 'other';
export type ReviewDecision =
  | { decision: 'take-down' }
  | { decision: 'dismiss'; statement?: string }
  | { decision: 'skip'; reason: SkipReason; statement?: string };
export interface ReviewDone {
  item: string;
  decision: 'take-down' | 'dismiss' | 'skip';
  state: ClaimState;
  case: string;
  /** Null after a skip, which needs no undo. */
  undoUntil: number | null;
}
export interface ReviewUndone {
  item: ReviewItem;
}

export type ClaimState =
  | 'open'
  | 'taken-down'
  | 'disputed'
  | 'upheld'
  | 'appealed'
  | 'counter-notice'
  | 'waiting'
  | 'court-hold'
  | 'closed'
  | 'reversed'
  | 'put-back'
  | 'dismissed'
  | 'withdrawn';
export type CaseState = 'open' | 'taken-down' | 'contested' | 'closed';

export interface CaseSummary {
  id: string;
  account: string | null;
  work: string;
  title: string;
  holder: string;
  openedAt: number;
  /** When something last happened in it. */
  changedAt: number;
  state: CaseState;
  claims: number;
  /** The earliest time until which somebody has to answer; null: nobody has to. */
  answerBy: number | null;
}

export interface Claim {
  id: string;
  case: string;
  upload: string;
  reference: string | null;
  version: number | null;
  notice: string | null;
  ground: string;
  territories: string[];
  state: ClaimState;
  action: string | null;
  evidence: Evidence | null;
  why: RuleTrial[];
  openedAt: number;
  changedAt: number;
  takenDownAt: number | null;
  answerBy: number | null;
  putBack: { from: number; until: number } | null;
  dispute: Said | null;
  appeal: Said | null;
  /** Of an erased one nothing but `erasedAt`. */
  counterNotice: Record<string, unknown> | null;
  ended: { at: number; why: string } | null;
  allowed: string[];
  /** DSA Art. 17(3); null where nothing was taken down. */
  statement: StatementOfReasons | null;
}
export interface Said {
  at: number;
  grounds: string[];
  statement: string | null;
  /** The words were erased then, at the wish of whoever wrote them. */
  erasedAt: number | null;
}
/** What somebody wrote in a case, without a word of it. */
export interface Paper {
  id: string;
  /** dispute, appeal, counter-notice, complain, dmca-notice, skip, ... */
  kind: string;
  writtenAt: number;
  erasedAt: number | null;
  erasedWhy: string | null;
}
export interface StatementOfReasons {
  restriction: 'disabled';
  territories: string[];
  until: number | null;
  facts: string;
  ground: string;
  groundText: string;
  automatedDetection: boolean;
  automatedDecision: boolean;
  redress: { way: string; law: string; until: number | null }[];
}
export interface Case extends Omit<CaseSummary, 'claims'> {
  /** In the order in which they were opened; of more than a hundred those that were opened last. */
  claims: Claim[];
  /** How many there are in all. */
  claimCount: number;
  /** Where there are more than are here: cursor of GET /v1/claims?case=. */
  moreClaims: string | null;
  papers: Paper[];
}
export interface CaseEvent {
  case: string;
  seq: number;
  at: number;
  /** opened, take-down, takedown, dispute, answer-dispute, silence, restore, reopen, skip, strike, pictures, erased, ... */
  kind: string;
  by: { role: 'system' | 'uploader' | 'holder' | 'reviewer'; id: string | null };
  claim: string | null;
  data: Record<string, unknown>;
}

type Narrowed = { claims?: string[] };
export type UploaderStep = Narrowed &
  (
    | { do: 'dispute' | 'appeal'; grounds: string[]; statement?: string }
    | { do: 'counter-notice'; notice: Record<string, unknown> }
    | { do: 'complain'; statement?: string }
  );
export type HolderStep = Narrowed &
  (
    | { do: 'answer-dispute' | 'answer-appeal'; answer: 'uphold' | 'release'; statement?: string }
    | { do: 'escalate'; notice: Record<string, unknown> }
    | { do: 'withdraw' | 'take-down' | 'forward' }
    | { do: 'dismiss' | 'notify-court'; statement?: string }
    | { do: 'decide-court'; decidedFor: 'holder' | 'uploader' }
    | { do: 'decide-complaint'; upheld: boolean; statement?: string }
  );

export interface Upload {
  upload: string;
  verdict: Record<string, unknown> | null;
  mediaState: 'shown' | 'disabled';
  revisions: number;
}
export interface Action {
  id: string;
  action: 'takedown' | 'restore';
  event: Record<string, unknown>;
  attempts: number;
  sentAt: number;
  closedAt: number | null;
  closedWhy: string | null;
  acknowledgements: { surface: string; status: 'done' | 'failed'; at: number; note: string | null }[];
}

export interface Work {
  id: string;
  holder: string;
  title: string;
  details: Record<string, string>;
  version: number;
  createdAt: number;
}
export interface Reference {
  id: string;
  version: number;
  work: string;
  title: string;
  holder: string;
  name: string | null;
  kind: 'image' | 'video' | null;
  duration: number | null;
  state: 'received' | 'fingerprinted' | 'checked' | 'live' | 'disabled' | 'rejected';
  reason: string | null;
  findings: {
    check: 'length' | 'overlap-own' | 'overlap-other';
    detail: string;
    other?: string | undefined;
    conflict?: string | undefined;
  }[];
  progress: { slices: number | null; loaded: number };
  life: {
    received: number;
    fingerprinted: number | null;
    checked: number | null;
    live: number | null;
    disabled: number | null;
  };
}
export interface Registered {
  reference: { id: string; version: number };
  work: string;
  known: boolean;
}
export interface Matches {
  reference: string;
  version: number;
  /** Seconds; 0 of an image, which has one bucket. */
  duration: number;
  /** Uploads that a claim was opened against. */
  uploads: number;
  /** Each `seconds` long, in order from 0: how many uploads match somewhere in it. */
  seconds: number;
  buckets: number[];
}

/** Rates are of the last 60 s; null where whoever is signed in is not told. */
export interface Status {
  at: number;
  rates: { uploads: number | null; verdicts: number | null; takedowns: number | null };
  /** Milliseconds from the upload's event to the takedown's, over the last 15 minutes. */
  takedown: { p50: number | null; p95: number | null; count: number };
  /** 60 minutes, oldest first, of which the last one still runs; `from` is where the first begins. */
  minutes: { from: number; uploads: number[]; verdicts: number[]; takedowns: number[] };
  cases: { open: number; contested: number };
  /** The rest is null for holders. */
  queues: {
    /** Events that some stage has yet to read. */
    lag: number | null;
    review: number;
    held: number;
    /** Takedowns that a surface of the platform has not acknowledged. */
    unacknowledged: number;
    deadLetters: number | null;
  } | null;
  canary: { state: 'green' | 'red' | 'unknown'; at: number | null; detail: string } | null;
  brakes: { id: string; kind: string; subject: string; since: number; why: string }[] | null;
  health: { ready: boolean; checks: Record<string, string> } | null;
}

/**
 * `event:` is `type`, `data:` the JSON of the rest, `id:` on all but `hello`, `status` and `queue`. The browser sends the last id when it reconnects, and
 * hears what it missed. Where that is not known any more (another process, too long ago) it hears `reset`: ask for everything again
 * that is shown. A comment line comes every 15 s: silence for 40 s means that the connection is dead. Signed out: the stream ends and
 * the next request is a 401 (then EventSource gives up: readyState CLOSED).
 */
export type LiveEvent =
  /** Begun: what the stream can do from here on. First of every connection. */
  | { type: 'hello'; now: number; resumed: boolean }
  | { type: 'reset' }
  /** Every 2 s while somebody listens. */
  | ({ type: 'status' } & Status)
  /** An upload was judged. Not told to holders. */
  | {
      type: 'verdict';
      at: number;
      upload: string;
      verdict: string;
      reason: string | null;
      revision: number;
      cause: string;
    }
  | {
      type: 'takedown';
      at: number;
      upload: string;
      action: 'takedown' | 'restore';
      case: string | null;
      work: string;
      holder: string;
      rule: string;
      confidence: number;
      /** Milliseconds from the upload's event. */
      after: number;
    }
  /** Something happened in a case: ask for it again if it is shown. */
  | { type: 'case'; at: number; case: string; holder: string; kind: string; claim: string | null; seq: number }
  /** A reference changed its state. */
  | { type: 'reference'; at: number; reference: string; holder: string; state: string }
  /** The queue changed: for reviewers and operators. */
  | { type: 'queue'; at: number; open: number; held: number }
  /** For operators. */
  | { type: 'alarm'; at: number; kind: string; subject: string; message: string };
