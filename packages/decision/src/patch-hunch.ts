/**
 * A place to look at more closely where patches meet one stretch of a film more often than by accident, and still no four of them
 * agree on a geometry: keyframes far apart show what moves (drawn figures most of all) up to a second from the frames whose patches
 * the library holds. There, all frames of the closer look are held against all patches of that stretch, which are so few that codes
 * further apart than the index finds are no accident, and aligned anew.
 */
import { type Alignment, CODE_BYTES, codeToHex, type Fingerprint, hamming, TURNS, tableOf } from '@vigil/contracts';
import type { QueryHit } from './align.ts';
import { alignPatches } from './patch-align.ts';
import { patchQueries } from './patch-queries.ts';
import { groupsOf, placeKey, TIME_TOLERANCE, type Vote } from './patch-votes.ts';
import type { QueryCodes } from './query-codes.ts';

/** Places of the upload that must meet the same stretch: unrelated films had 3 or fewer in 7 slices of 10, lost copies 4 to 13. */
const LEAST_PLACES = 4;
const MAX_HUNCHES = 2;
/** An alignment with so many places says all that a hunch about the same reference could. */
const SURE_INLIERS = 8;
/** Seconds of offset that one stretch spans: any speed, over the length of a slice. */
const SPREAD = 2 * TIME_TOLERANCE + 2.4;
/** Hits that are kept: they say how far to reach. */
const MAX_KEPT = 16;

/** Bits; what the index finds lies within 31. Of 40 unrelated stretches none had four places that agreed. */
const LOCAL_RADIUS = 44;
/** Seconds between a frame of the upload and a patched one of the reference, along the hunch: half the spread and the clock of both. */
const LOCAL_REACH = SPREAD / 2 + 1.5;
const MAX_ALIGNED = 3;

/** Without a geometry, so without `affine`, `inliers` and `cells`; only of films in films. */
export function hunches(
  fingerprint: Fingerprint,
  queries: QueryCodes,
  hits: readonly QueryHit[],
  aligned: readonly Alignment[],
): Alignment[] {
  if (fingerprint.sampling === 'still') return [];
  const sure = new Set(aligned.filter((a) => (a.inliers ?? 0) >= SURE_INLIERS).map((a) => a.reference.id));
  return groupsOf(fingerprint, queries, hits)
    .filter(({ media, reference }) => media === 'video' && !sure.has(reference.id))
    .map((group) => ({ group, ...fullestStretch(group.votes) }))
    .filter(({ places }) => places >= LEAST_PLACES)
    .sort((a, b) => b.places - a.places)
    .slice(0, MAX_HUNCHES)
    .map(({ group, offset, votes }) => ({
      reference: group.reference,
      kind: 'patch',
      referenceMedia: group.media,
      altered: group.turn === 0 ? {} : { turn: TURNS[group.turn]! },
      offset,
      speed: 1,
      frames: new Set(votes.map((v) => v.frame)).size,
      hits: votes.slice(0, MAX_KEPT).map((v) => ({
        at: v.shown,
        ref: v.ref,
        distance: v.distance,
        quality: queries.quality[v.query]!,
        code: codeToHex(queries.bits, v.query * CODE_BYTES),
      })),
    }));
}

/** The stretch of offsets that most places of the upload meet; its votes nearest first. */
function fullestStretch(votes: readonly Vote[]): { places: number; offset: number; votes: Vote[] } {
  const sorted = votes
    .map((v) => ({ v, offset: v.ref - v.at, place: placeKey(v) }))
    .sort((a, b) => a.offset - b.offset);
  const held = new Map<number, number>();
  let best = { places: 0, from: 0, to: 0 };
  for (let from = 0, to = 0; from < sorted.length; from++) {
    for (; to < sorted.length && sorted[to]!.offset <= sorted[from]!.offset + SPREAD; to++)
      held.set(sorted[to]!.place, (held.get(sorted[to]!.place) ?? 0) + 1);
    if (held.size > best.places) best = { places: held.size, from, to };
    const { place } = sorted[from]!;
    const left = held.get(place)! - 1;
    if (left === 0) held.delete(place);
    else held.set(place, left);
  }
  const own = sorted.slice(best.from, best.to);
  const offset = own.length > 0 ? (own[0]!.offset + own.at(-1)!.offset) / 2 : 0;
  return { places: best.places, offset, votes: own.map(({ v }) => v).sort((a, b) => a.distance - b.distance) };
}

export const isHunch = ({ kind, altered }: Alignment): boolean => kind === 'patch' && altered.affine === undefined;

/** What a hunch comes to: alignments of the slice with that stretch of the reference, best first. */
export function pursue(upload: Fingerprint, hunch: Alignment, reference: readonly Fingerprint[]): Alignment[] {
  const queries = patchQueries(upload);
  const turn = hunch.altered.turn === undefined ? 0 : TURNS.indexOf(hunch.altered.turn);
  const hits: QueryHit[] = [];
  for (const slice of reference) {
    const table = tableOf(slice, 'patch');
    for (let i = 0; i < table.count; i++) {
      const time = slice.frames.time[table.frame[i]!]!;
      const place = table.place.subarray(4 * i, 4 * i + 4) as unknown as QueryHit['origin']['place'];
      for (let query = 0; query < queries.frame.length; query++) {
        if (queries.turn[query] !== turn) continue;
        const due = upload.frames.time[queries.frame[query]!]! + hunch.offset;
        if (Math.abs(time - due) > LOCAL_REACH) continue;
        const distance = hamming(queries.bits, table.bits, query * CODE_BYTES, i * CODE_BYTES);
        if (distance <= LOCAL_RADIUS)
          hits.push({ query, distance, origin: { reference: hunch.reference, media: 'video', time, place } });
      }
    }
  }
  hits.sort((a, b) => a.query - b.query || a.distance - b.distance);
  return alignPatches(upload, queries, hits, MAX_ALIGNED);
}
