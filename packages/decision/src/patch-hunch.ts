/**
 * A place to look at more closely where patches meet one stretch of a film more often than by accident, and still no four of them
 * agree on a geometry: keyframes far apart show what moves (drawn figures most of all) up to a second from the frames whose patches
 * the library holds. There, all frames of the closer look are held against all patches of that stretch, which are so few that codes
 * further apart than the index finds are no accident, and aligned anew.
 */
import { type Alignment, CODE_BYTES, type Fingerprint, hamming, TURNS, tableOf } from '@vigil/contracts';
import type { QueryHit } from './align.ts';
import { alignPatches } from './patch-align.ts';
import { patchQueries } from './patch-queries.ts';
import { type Group, hitsOf, placeKey, TIME_TOLERANCE, type Vote, windowsFrom } from './patch-votes.ts';
import type { QueryCodes } from './query-codes.ts';

/** Places of the upload that must meet the same stretch: copies that were lost had 4 to 13, or hardly any. */
const LEAST_PLACES = 4;
/**
 * And more than so many times those that meet any other film, or the same one mirrored: what these have says how many meet by
 * accident, and that grows with the library. Of 26 slices of unrelated films 11 had 4 places and more in one of ten others, none of
 * which stood out; reading them closely cost more than all the rest.
 */
const STANDS_OUT = 2;
/** The same film may be there twice, under another holder's name: what is met by half of its places by the very same ones is followed too. */
const MAX_HUNCHES = 2;
/** An alignment with so many places says all that a hunch about the same reference could. */
const SURE_INLIERS = 8;
/** Seconds of offset that one stretch spans: any speed, over the length of a slice. */
const SPREAD = 2 * TIME_TOLERANCE + 2.4;
/** Hits that are kept: they say how far to reach. */
const MAX_KEPT = 16;

/** Bits; what the index finds lies within 31. Of 17 unrelated stretches none had four places that agree within 40, two within 48. */
const LOCAL_RADIUS = 44;
/** Seconds between a frame of the upload and a patched one of the reference, along the hunch: half the spread and the clock of both. */
const LOCAL_REACH = SPREAD / 2 + 1.5;
const MAX_ALIGNED = 3;

/** Of an upload's hits by group. Without a geometry, so without `affine`, `inliers` and `cells`; only of films in films. */
export function hunches(
  { sampling }: Pick<Fingerprint, 'sampling'>,
  queries: QueryCodes,
  groups: readonly Group[],
  aligned: readonly Alignment[],
): Alignment[] {
  if (sampling === 'still') return [];
  const sure = new Set(aligned.filter((a) => (a.inliers ?? 0) >= SURE_INLIERS).map((a) => a.reference.id));
  const [best, ...others] = groups
    .filter(({ media, reference }) => media === 'video' && !sure.has(reference.id))
    .map((group) => ({ group, ...fullestStretch(group.votes) }))
    .sort((a, b) => b.places - a.places);
  if (!best || best.places < LEAST_PLACES) return [];
  const met = new Set(best.votes.map(placeKey));
  const isTwin = ({ group, votes }: typeof best) => {
    if (group.reference.id === best.group.reference.id) return false;
    const ids = [...new Set(votes.map(placeKey))];
    return 2 * ids.filter((id) => met.has(id)).length >= ids.length;
  };
  const twins = others.filter((other) => other.places >= LEAST_PLACES && isTwin(other));
  const next = others.find((other) => !twins.includes(other));
  if (best.places <= STANDS_OUT * (next?.places ?? 0)) return [];
  return [best, ...twins].slice(0, MAX_HUNCHES).map(({ group, offset, votes }) => ({
    reference: group.reference,
    kind: 'patch',
    referenceMedia: group.media,
    altered: group.turn === 0 ? {} : { turn: TURNS[group.turn]! },
    offset,
    speed: 1,
    frames: new Set(votes.map((v) => v.frame)).size,
    hits: hitsOf(votes.slice(0, MAX_KEPT), queries),
  }));
}

/** The stretch of offsets that most places of the upload meet; its votes nearest first. */
function fullestStretch(votes: readonly Vote[]): { places: number; offset: number; votes: Vote[] } {
  const sorted = votes.map((v) => ({ v, offset: v.ref - v.at, id: placeKey(v) })).sort((a, b) => a.offset - b.offset);
  let best = { from: 0, to: 0, ids: 0 };
  for (const window of windowsFrom(sorted, SPREAD)) if (window.ids > best.ids) best = window;
  const own = sorted.slice(best.from, best.to);
  const offset = own.length > 0 ? (own[0]!.offset + own.at(-1)!.offset) / 2 : 0;
  return { places: best.ids, offset, votes: own.map(({ v }) => v).sort((a, b) => a.distance - b.distance) };
}

export const isHunch = ({ kind, altered }: Alignment): boolean => kind === 'patch' && altered.affine === undefined;

/** What a hunch comes to: alignments of the slice with that stretch of the reference, best first. */
export function pursue(upload: Fingerprint, hunch: Alignment, reference: readonly Fingerprint[]): Alignment[] {
  const queries = patchQueries(upload);
  const turn = hunch.altered.turn === undefined ? 0 : TURNS.indexOf(hunch.altered.turn);
  const asked = Array.from(queries.frame, (frame, query) => ({
    query,
    due: upload.frames.time[frame]! + hunch.offset,
  })).filter(({ query }) => queries.turn[query] === turn);
  const hits: QueryHit[] = [];
  for (const slice of reference) {
    const table = tableOf(slice, 'patch');
    const near = Array.from(slice.frames.time, (time) => ({ time, asked: null as typeof asked | null }));
    for (let i = 0; i < table.count; i++) {
      const frame = near[table.frame[i]!]!;
      frame.asked ??= asked.filter(({ due }) => Math.abs(frame.time - due) <= LOCAL_REACH);
      for (const { query } of frame.asked) {
        const distance = hamming(queries.bits, table.bits, query * CODE_BYTES, i * CODE_BYTES, LOCAL_RADIUS);
        if (distance > LOCAL_RADIUS) continue;
        const place = table.place.subarray(4 * i, 4 * i + 4) as unknown as QueryHit['origin']['place'];
        const origin = { reference: hunch.reference, media: 'video' as const, time: frame.time, place };
        hits.push({ query, distance, origin });
      }
    }
  }
  hits.sort((a, b) => a.query - b.query || a.distance - b.distance);
  return alignPatches(upload, queries, hits, MAX_ALIGNED);
}
