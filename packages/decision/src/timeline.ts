import type { Fingerprint } from '@vigil/contracts';
import { type Fit, frameDistance, type Pictures, picturesOf } from './pictures.ts';

/** The kept frames of a part of a reference in order of time, each with how long it stands. */
export interface Timeline {
  fingerprints: Fingerprint[];
  slices: Pictures[];
  /** Per kept frame: its slice, its position there, [from, until) in seconds. */
  slice: Uint16Array;
  frame: Uint16Array;
  from: Float64Array;
  until: Float64Array;
}

/** `slices` in any order; only those that reach into [start, end] are read. */
export function timelineOf(slices: readonly Fingerprint[], start: number, end: number): Timeline {
  const near = slices.filter((s) => s.span[1] >= start && s.span[0] <= end).sort((a, b) => a.span[0] - b.span[0]);
  const pictures = near.map((s) => picturesOf(s));
  const count = pictures.reduce((n, p) => n + p.time.length, 0);
  const out: Timeline = {
    fingerprints: near,
    slices: pictures,
    slice: new Uint16Array(count),
    frame: new Uint16Array(count),
    from: new Float64Array(count),
    until: new Float64Array(count),
  };
  let k = 0;
  for (const [s, p] of pictures.entries()) {
    for (let f = 0; f < p.time.length; f++, k++) {
      out.slice[k] = s;
      out.frame[k] = f;
      out.from[k] = p.time[f]!;
      // The last one stands to the end of its slice: the next slice may be missing.
      out.until[k] = f + 1 < p.time.length ? p.time[f + 1]! : Math.max(p.time[f]!, near[s]!.span[1]);
    }
  }
  return out;
}

/** Positions of the kept frames that stand at some time within [start, end]. */
export function shownAt(line: Timeline, start: number, end: number): number[] {
  const out: number[] = [];
  for (let k = 0; k < line.from.length; k++) if (line.until[k]! >= start && line.from[k]! <= end) out.push(k);
  return out;
}

/** A picture is neither for nor against when nothing can be said: too little in it, or no reference at that time. */
export const UNKNOWN = -1;

/** Distances between the frames of an upload and of a reference, worked out when asked for. */
export interface Distances {
  upload: Pictures;
  reference: Timeline;
  /** Least distance of the upload's frame to what the reference shows within `slack` seconds of `time`, or UNKNOWN. */
  near(uploadFrame: number, time: number, slack: number): number;
  /** Which codes made it, for the frame shown at `time`. */
  fit(uploadFrame: number, time: number): Fit;
  /** Position of the kept frame that stands at `time`, or -1. */
  shown(time: number): number;
}

export function distancesOf(upload: Pictures, reference: Timeline): Distances {
  const n = reference.from.length;
  const known = new Int16Array(upload.time.length * n).fill(-2);
  const one = (u: number, k: number): number => {
    const seen = known[u * n + k]!;
    if (seen !== -2) return seen;
    const p = reference.slices[reference.slice[k]!]!;
    const f = reference.frame[k]!;
    const d = p.eligible[f] ? frameDistance(upload, u, p, f).distance : UNKNOWN;
    known[u * n + k] = d;
    return d;
  };
  const shown = (time: number): number => {
    let lo = 0;
    let hi = n;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (reference.from[mid]! <= time) lo = mid + 1;
      else hi = mid;
    }
    return lo > 0 && time < reference.until[lo - 1]! ? lo - 1 : -1;
  };
  return {
    upload,
    reference,
    shown,
    near(u, time, slack) {
      if (!upload.eligible[u]) return UNKNOWN;
      let k = shown(time);
      if (k < 0) return UNKNOWN;
      let best = one(u, k);
      // UNKNOWN at the time itself stays so: a neighbour must not speak for a black frame.
      if (best === UNKNOWN) return best;
      const centre = k;
      for (k = centre - 1; k >= 0 && reference.until[k]! > time - slack; k--) {
        const d = one(u, k);
        if (d !== UNKNOWN && d < best) best = d;
      }
      for (k = centre + 1; k < n && reference.from[k]! <= time + slack; k++) {
        const d = one(u, k);
        if (d !== UNKNOWN && d < best) best = d;
      }
      return best;
    },
    fit(u, time) {
      const k = shown(time);
      return k < 0 ? 0 : frameDistance(upload, u, reference.slices[reference.slice[k]!]!, reference.frame[k]!).fit;
    },
  };
}
