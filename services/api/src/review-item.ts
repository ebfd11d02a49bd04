import type { Evidence } from '@vigil/contracts';
import {
  type ClaimRow,
  claimsOf,
  type FoundHit,
  findReference,
  findUpload,
  findWork,
  hitsOf,
  picturesOf,
  placeInQueue,
  type ReviewLock,
  skipsOf,
} from '@vigil/database';
import { alteredText, outlinesOf } from '@vigil/decision';
import { SPREAD_MS } from '@vigil/pipeline';
import type { Deps } from './deps.ts';
import { actorOf, type Principal } from './principal.ts';
import { mediaOf } from './routes/claim-media.ts';
import { showPicture } from './routes/pictures.ts';

const DAY_MS = 24 * 3600_000;
/** Of a slice and alignment 96 at most are kept; a plot shows no more than its width. */
const READ_HITS = 5000;
const SHOWN_HITS = 400;
/** Seconds that a picture may lie from the hit whose distance is told of it. */
const NEAR = 1;
const OTHERS = 50;

type ItemDeps = Pick<Deps, 'database' | 'blobs' | 'buckets' | 'cases'>;

/** One claim with all that a person needs to see why, and to decide. */
export async function reviewItem(
  deps: ItemDeps,
  about: { claim: ClaimRow; who: Principal; lock: ReviewLock | null; now: number },
) {
  const { database, cases } = deps;
  const db = database.postgres;
  const { claim, who, lock, now } = about;
  const { decision } = claim;
  const evidence = decision?.evidence ?? null;
  const reference = claim.reference === null ? null : { id: claim.reference, version: claim.version! };
  const [upload, row, work, hits, pictures, all, place, skips] = await Promise.all([
    findUpload(db, claim.upload),
    reference ? findReference(db, reference.id, reference.version) : null,
    findWork(db, claim.work),
    reference ? hitsOf(db, claim.upload, reference, READ_HITS) : [],
    picturesOf(db, claim.id),
    claimsOf(db, claim.upload),
    placeInQueue(db, claim.id, now - SPREAD_MS),
    skipsOf(db, claim.id),
  ]);
  const along = evidence ? alongSegments(hits, evidence) : hits;
  const outcome = upload?.manifest?.outcome;
  const probe = outcome?.status === 'planned' ? outcome.probe : null;
  // Another claim on the upload may be another holder's: whoever is no reviewer does not hear of it.
  const others = who.role === 'holder' ? [] : all.filter((c) => c.id !== claim.id).slice(0, OTHERS);
  const titles = new Map<string, string>();
  for (const id of new Set(others.map((c) => c.work))) titles.set(id, (await findWork(db, id))?.title ?? id);
  const harm = place ? (claim.openedAt - place.reviewAt) / DAY_MS : 0;

  const side = async (name: 'upload' | 'reference', row: Parameters<typeof mediaOf>[1]) => {
    const media = who.verbs.includes('reviews:write') ? await mediaOf(deps, row) : null;
    const play = media?.type ? `/v1/claims/${claim.id}/media/${name}` : null;
    return { play, contentType: media?.type ?? null };
  };
  const [ofUpload, ofReference] = await Promise.all([side('upload', upload), side('reference', row)]);

  return {
    item: claim.id,
    case: claim.case,
    upload: claim.upload,
    account: claim.account,
    openedAt: claim.openedAt,
    state: claim.state,
    ground: claim.ground,
    territories: claim.territories,
    lock: lock && { item: claim.id, until: lock.until },
    work: { id: claim.work, title: work?.title ?? claim.work, holder: claim.holder },
    reference: reference && { ...reference, name: row?.name ?? null },
    uploadMedia: {
      ...{ kind: probe?.kind ?? null, duration: probe?.duration ?? null },
      ...{ width: probe?.width ?? null, height: probe?.height ?? null },
      ...ofUpload,
    },
    referenceMedia: reference && {
      ...{ kind: row?.kind ?? null, duration: row?.duration ?? null, width: null, height: null },
      ...ofReference,
    },
    evidence,
    geometry: evidence && outlinesOf(evidence.altered),
    altered: evidence && alteredText(evidence.altered),
    rule: decision?.rule ?? null,
    trials: decision?.trials ?? [],
    policy: decision?.policy ?? null,
    hits: thinned(along, SHOWN_HITS),
    pictures: pictures.map((p) => ({ ...showPicture(claim.id, p), distance: distanceNear(along, p.uploadTime) })),
    others: others.map((c) => ({ claim: c.id, case: c.case, title: titles.get(c.work)!, state: c.state })),
    order: {
      harm,
      confidence: evidence?.confidence ?? 1,
      accounts: place?.accounts ?? 0,
      waitingMs: Math.max(0, now - claim.openedAt),
    },
    skips: who.role === 'holder' ? [] : skips.map(({ reason, at }) => ({ reason, at })),
    allowed: cases.allowed(claim, actorOf(who, claim.account)),
  };
}

/** Hits that lie on the line of a segment; slices also propose lines that nothing confirmed. Of pictures all of them. */
function alongSegments(hits: readonly FoundHit[], { segments }: Evidence): FoundHit[] {
  const lines = segments.filter(({ upload }) => upload[1] > upload[0]);
  if (lines.length === 0) return [...hits];
  return hits.filter((h) =>
    lines.some(
      ({ upload: [from, to], offset, speed }) =>
        h.upload >= from - NEAR && h.upload <= to + NEAR && Math.abs(offset + speed * h.upload - h.reference) <= NEAR,
    ),
  );
}

/** Every so many, first and last included. */
function thinned<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, n) => list[Math.round((n * (list.length - 1)) / (most - 1))]!);
}

function distanceNear(hits: readonly FoundHit[], at: number): number | null {
  let best: FoundHit | null = null;
  for (const hit of hits) if (!best || Math.abs(hit.upload - at) < Math.abs(best.upload - at)) best = hit;
  return best && Math.abs(best.upload - at) <= NEAR ? best.distance : null;
}
