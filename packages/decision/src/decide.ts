import {
  ACTIONS,
  type Action,
  type Decision,
  type Evidence,
  type Policy,
  type ReferenceKey,
  type Segment,
  type Span,
} from '@vigil/contracts';
import { withoutSpans } from './exclude.ts';
import { type Joined, joined, type Lengths } from './join.ts';
import { MIN_DISTINCT, MIN_SECONDS, SAME_PICTURE, SOLID_INLIERS } from './limits.ts';
import { covered } from './line.ts';
import { isProof, isSolid } from './solid.ts';

/** Segments that a decision names, what proves a copy first, then the longest. All of them are judged, and totals count all. */
const MAX_SEGMENTS = 64;

export interface Upload {
  account: string | null;
  kind: 'image' | 'video';
  /** Seconds; 0 for an image. */
  duration: number;
}

interface Case {
  evidence: Evidence;
  policy: Policy;
  upload: Upload;
}

interface Found {
  action: Action;
  manifest?: boolean;
  fired: boolean;
  why: string;
}

type Rule = (c: Case) => Found;

/** Film rules by which a copy is manifest: each can only grow truer as more of the upload is seen. */
const CERTAIN: Record<string, Rule> = {
  'film-contiguous': filmContiguous,
  'film-share': filmShare,
  'film-scattered': filmScattered,
  'same-image': sameImage,
};

/** In this order; the first that fires decides. */
const RULES: Record<string, Rule> = {
  ...CERTAIN,
  'still-of-film': stillOfFilm,
  'picture-in-film': pictureInFilm,
  'image-alike': imageAlike,
  'film-static': filmStatic,
  'film-short': filmShort,
};

export interface Decided {
  decision: Decision;
  /** Manifest by rules that hold whatever the rest of the upload shows. */
  certain: boolean;
}

/** The evidence of all slices of an upload, joined and decided reference by reference: the surest evidence first. */
export function decideAll(
  slices: readonly Evidence[],
  lengths: Lengths,
  policyOf: (key: ReferenceKey) => Policy,
  upload: Upload,
): Decided[] {
  return joined(slices, lengths).map((found) => {
    const policy = policyOf(found.evidence.reference);
    return { decision: decideJoined(found, policy, upload), certain: isCertain(found, policy, upload) };
  });
}

/**
 * Evidence + policy, for one reference against one upload: pure, every rule looked at is recorded with its reason. Of evidence
 * that stands alone, a slice's or what an earlier decision shows; an upload's slices are for `decideAll`.
 */
export const decide = (evidence: Evidence, policy: Policy, upload: Upload): Decision =>
  decideJoined(alone(evidence), policy, upload);

const alone = (evidence: Evidence): Joined => ({ evidence, without: (spans) => withoutSpans(evidence, spans) });

const spansIn = (parts: Policy['excluded'], { reference }: Evidence): Span[] =>
  parts.filter((x) => x.reference === reference.id).map((x) => x.span);

/** The same of what was joined already: for whoever holds several policies against it. */
export function decideJoined({ evidence, without }: Joined, policy: Policy, upload: Upload): Decision {
  const trials: Decision['trials'] = [];
  const decision = (rule: string, action: Action, manifest: boolean, shown: Evidence): Decision => ({
    action,
    manifest,
    rule,
    trials,
    policy: { id: policy.id, version: policy.version },
    territories: policy.territories,
    evidence: named(shown),
  });

  const allowed = upload.account !== null && policy.allowlist.includes(upload.account);
  trials.push({
    rule: 'allowlisted',
    fired: allowed,
    why: allowed
      ? `account ${upload.account} may use what it likes of this holder`
      : 'the account is not one that the holder allows',
  });
  if (allowed) return decision('allowlisted', 'none', false, evidence);

  const excluded = spansIn(policy.excluded, evidence);
  const left = without(excluded);
  trials.push({
    rule: 'excluded',
    fired: left === null,
    why:
      left === null
        ? 'all that was found lies in parts of the reference that never count'
        : left === evidence
          ? 'no part of the reference that was found is excluded'
          : `${sec(evidence.total - left.total)} lie in parts of the reference that never count and were left out`,
  });
  if (left === null) return decision('excluded', 'none', false, evidence);

  const found = firstThatFires({ evidence: left, policy, upload }, trials);
  if (found.action === 'takedown' && policy.contested.length > 0) {
    const own = without([...excluded, ...spansIn(policy.contested, evidence)]);
    const contested = !own || firstThatFires({ evidence: own, policy, upload }, []).action !== 'takedown';
    const why = contested
      ? 'what was found is in a reference of another holder as well: for a person to see until that is settled'
      : 'enough was found beside what another holder claims as well';
    trials.push({ rule: 'contested', fired: contested, why });
    if (contested) return decision('contested', 'review', false, left);
  }
  return decision(found.rule, found.action, found.manifest, left);
}

function named(evidence: Evidence): Evidence {
  const { segments } = evidence;
  if (segments.length <= MAX_SEGMENTS) return evidence;
  const first = segments.toSorted((a, b) => Number(isProof(b)) - Number(isProof(a)) || seconds(b) - seconds(a));
  const kept = new Set(first.slice(0, MAX_SEGMENTS));
  return { ...evidence, segments: segments.filter((s) => kept.has(s)) };
}

function firstThatFires(c: Case, trials: Decision['trials']): { rule: string; action: Action; manifest: boolean } {
  for (const [rule, look] of Object.entries(RULES)) {
    const { action, manifest = false, fired, why } = look(c);
    trials.push({ rule, fired, why });
    if (fired) return { rule, action, manifest };
  }
  trials.push({ rule: 'nothing', fired: true, why: 'nothing that was found is enough to act on' });
  return { rule: 'nothing', action: 'none', manifest: false };
}

/** May the upload be taken down before all of it was seen? Only by rules that can only grow truer. */
export const manifestAlready = (evidence: Evidence, policy: Policy, upload?: Upload): boolean =>
  isCertain(alone(evidence), policy, upload);

/** The same of evidence whose slices are at hand, as `decideAll` asks it. */
export function isCertain({ evidence, without }: Joined, policy: Policy, upload?: Upload): boolean {
  if (upload?.account && policy.allowlist.includes(upload.account)) return false;
  const left = without(spansIn([...policy.excluded, ...policy.contested], evidence));
  if (left === null) return false;
  const duration = left.share.upload > 0 ? left.total / left.share.upload : 0;
  const kind = left.segments.every((s) => s.upload[1] === 0) ? 'image' : 'video';
  const about = upload ?? { account: null, kind, duration };
  return Object.values(CERTAIN).some((look) => look({ evidence: left, policy, upload: about }).fired);
}

const sec = (t: number): string => `${t.toFixed(1)} s`;
const seconds = (s: Segment): number => s.upload[1] - s.upload[0];
const isFilm = (c: Case): boolean => c.upload.kind === 'video' && c.evidence.referenceMedia === 'video';
const notFilm: Found = { action: 'none', fired: false, why: 'upload and reference are not both films' };

/** Stretches that prove a copy: close, at a known time, of several pictures that differ. A still background is none. */
const proofs = (c: Case): Segment[] => c.evidence.segments.filter(isProof);

const least = (policy: Policy): number => Math.max(MIN_SECONDS, policy.minContiguousSeconds);

function filmContiguous(c: Case): Found {
  if (!isFilm(c)) return notFilm;
  const longest = proofs(c).reduce((n, s) => Math.max(n, seconds(s)), 0);
  const need = least(c.policy);
  const fired = longest >= need;
  return {
    action: c.policy.onManifest,
    manifest: fired,
    fired,
    why: `${sec(longest)} in one piece follow the reference frame by frame; ${sec(need)} are needed`,
  };
}

function filmShare(c: Case): Found {
  if (!isFilm(c)) return notFilm;
  const found = covered(proofs(c).map((s) => s.upload));
  const share = c.upload.duration > 0 ? Math.min(1, found / c.upload.duration) : 0;
  const fired = found >= MIN_SECONDS && share >= c.policy.minUploadShare;
  const percent = (x: number) => `${Math.round(100 * x)} %`;
  return {
    action: c.policy.onManifest,
    manifest: fired,
    fired,
    why: `${sec(found)}, ${percent(share)} of the upload, follow the reference; ${percent(c.policy.minUploadShare)} and ${sec(MIN_SECONDS)} are needed`,
  };
}

function filmScattered(c: Case): Found {
  if (!isFilm(c)) return notFilm;
  const shots = proofs(c);
  const found = covered(shots.map((s) => s.upload));
  const need = 2 * least(c.policy);
  const fired = shots.length >= 2 && found >= need;
  return {
    action: c.policy.onManifest,
    manifest: fired,
    fired,
    why: `${shots.length} separate stretches follow the reference for ${sec(found)} together; two and ${sec(need)} are needed`,
  };
}

function sameImage(c: Case): Found {
  if (c.upload.kind !== 'image' || c.evidence.referenceMedia !== 'image')
    return { action: 'none', fired: false, why: 'upload and reference are not both images' };
  const solid = c.evidence.segments.filter(isSolid);
  const best = Math.max(...solid.map((s) => s.correlation ?? -1), -1);
  // Where many places agree, thumbnails under a slanted view only must not contradict; confirm has seen to that.
  const many = Math.max(...solid.map((s) => s.inliers ?? 0), 0);
  const fired = best >= SAME_PICTURE || many >= SOLID_INLIERS;
  return {
    action: c.policy.onManifest,
    manifest: fired,
    fired,
    why:
      many > 0
        ? `${many} places agree under one geometry, and the pictures laid over each other by ${best.toFixed(2)}`
        : best === -1
          ? 'the codes are alike; a second, independent look was not possible'
          : `the codes are alike, and the pictures laid over each other agree by ${best.toFixed(2)}; ${SAME_PICTURE} is needed`,
  };
}

function imageAlike(c: Case): Found {
  if (c.upload.kind !== 'image' || c.evidence.referenceMedia !== 'image')
    return { action: 'none', fired: false, why: 'upload and reference are not both images' };
  return {
    action: c.policy.onPossible,
    fired: c.evidence.segments.length > 0,
    why: 'the codes are alike, but the pictures laid over each other do not settle it: for a person to see',
  };
}

function stillOfFilm(c: Case): Found {
  const fired = c.upload.kind === 'image' && c.evidence.referenceMedia === 'video' && c.evidence.segments.length > 0;
  const where = c.evidence.segments[0]?.reference[0] ?? 0;
  return {
    action: c.policy.onStill,
    fired,
    why: fired ? `the image is a still of the film, near ${sec(where)}` : 'this is not an image against a film',
  };
}

function pictureInFilm(c: Case): Found {
  const fired = c.upload.kind === 'video' && c.evidence.referenceMedia === 'image' && c.evidence.segments.length > 0;
  return {
    action: c.policy.onStill,
    fired,
    why: fired
      ? `the picture is shown in the film for ${sec(c.evidence.total)}`
      : 'this is not a film against a picture',
  };
}

/** A still background must not carry a takedown by itself: two programmes from one studio really share a picture. */
function filmStatic(c: Case): Found {
  if (!isFilm(c)) return notFilm;
  const still = c.evidence.segments.filter((s) => s.distinct < MIN_DISTINCT || !s.timed);
  const fired = still.length > 0 && still.length === c.evidence.segments.length;
  // The same big letters over two films agree like a background does, in few places.
  const long = c.evidence.total >= least(c.policy) && still.some(isSolid);
  return {
    action: long ? c.policy.onPossible : weaker(c.policy.onPossible, 'monitor'),
    fired,
    why: fired
      ? `${sec(c.evidence.total)} agree, but hardly anything in them changes, or too few frames show it: a shared background may be all there is${long ? '' : ', and it is short'}`
      : 'part of what agrees changes with the film',
  };
}

function filmShort(c: Case): Found {
  if (!isFilm(c)) return notFilm;
  const { total, segments } = c.evidence;
  const enough = total >= MIN_SECONDS;
  return {
    action: enough ? c.policy.onPossible : weaker(c.policy.onPossible, 'monitor'),
    fired: segments.length > 0,
    why: enough
      ? `${sec(total)} agree with the reference: less, or less closely, than is manifest`
      : `only ${sec(total)} agree with the reference`,
  };
}

const weaker = (a: Action, b: Action): Action => (ACTIONS.indexOf(a) > ACTIONS.indexOf(b) ? a : b);
