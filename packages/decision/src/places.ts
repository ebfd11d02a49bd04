import type { Region } from '@vigil/contracts';

/** left, top, right, bottom in 1/65535, as a code table holds them. */
export type Place = readonly [number, number, number, number];

export const WHOLE: Place = [0, 0, 65535, 65535];

export const isWhole = (p: Place): boolean => p[0] === 0 && p[1] === 0 && p[2] === 65535 && p[3] === 65535;

export const placeAt = (places: Uint16Array, i: number): Place => [
  places[4 * i]!,
  places[4 * i + 1]!,
  places[4 * i + 2]!,
  places[4 * i + 3]!,
];

export const regionOf = (p: Place): Region => [p[0] / 65535, p[1] / 65535, p[2] / 65535, p[3] / 65535];

/** Share of the picture, 0..1. */
export const areaOf = (r: Region): number => Math.max(0, r[2] - r[0]) * Math.max(0, r[3] - r[1]);

/** Two rectangles whose sides lie within 3 % of each other. */
export const alike = (a: Place, b: Place): boolean => a.every((v, k) => Math.abs(v - b[k]!) < 0.03 * 65535);
