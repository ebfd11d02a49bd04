import type { Altered, Turn } from '@vigil/contracts';

export type Point = [x: number, y: number];
export type Outline = [Point, Point, Point, Point];

/** How upload and reference lie over each other, for drawing. Fractions 0..1 of a picture, x to the right, y downwards. */
export interface Outlines {
  /** The reference's picture in the upload's: top left, top right, bottom right and bottom left of the reference. */
  inUpload: Outline;
  /** The upload's picture in the reference's, in the upload's order. */
  inReference: Outline;
  mirrored: boolean;
  /** Whether it was fitted to places in the picture; else turn, inset and crop alone say it. */
  fitted: boolean;
}

/** Row-major 3 x 3. */
type Matrix = readonly number[];

const CORNERS: readonly Point[] = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

/** Where a place of a picture lies once the picture was turned, as affine maps of (x, y). */
const TURNED: Record<Turn, Matrix> = {
  none: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  rot90: [0, 1, 0, -1, 0, 1, 0, 0, 1],
  rot180: [-1, 0, 1, 0, -1, 1, 0, 0, 1],
  rot270: [0, -1, 1, 1, 0, 0, 0, 0, 1],
  mirror: [-1, 0, 1, 0, 1, 0, 0, 0, 1],
  flip: [1, 0, 0, 0, -1, 1, 0, 0, 1],
  transpose: [0, 1, 0, 1, 0, 0, 0, 0, 1],
  antitranspose: [0, -1, 1, -1, 0, 1, 0, 0, 1],
};

/** The outline of each picture inside the other; null where the map between them cannot be turned around. */
export function outlinesOf(altered: Altered): Outlines | null {
  const { affine, projective } = altered;
  const map = projective ? [...projective, 1] : affine ? [...affine, 0, 0, 1] : plainMap(altered);
  const back = inverse(map);
  if (!back) return null;
  const through = (m: Matrix) => CORNERS.map((corner) => apply(m, corner)) as Outline;
  const [inUpload, inReference] = [through(back), through(map)];
  if (![...inUpload, ...inReference].flat().every(Number.isFinite)) return null;
  const [a, b, , d, e] = map as [number, number, number, number, number];
  return { inUpload, inReference, mirrored: a * e - b * d < 0, fitted: Boolean(affine ?? projective) };
}

/** From the upload to the reference: its inset, turned, is the part of the reference that was kept. */
function plainMap({ turn = 'none', inset = [0, 0, 1, 1], cropped = [0, 0, 1, 1] }: Altered): Matrix {
  const [left, top, right, bottom] = inset;
  const within = [1 / (right - left), 0, -left / (right - left), 0, 1 / (bottom - top), -top / (bottom - top), 0, 0, 1];
  const [l, t, r, b] = cropped;
  const onto = [r - l, 0, l, 0, b - t, t, 0, 0, 1];
  return times(onto, times(TURNED[turn], within));
}

function times(m: Matrix, n: Matrix): Matrix {
  return m.map((_, i) => {
    const [row, column] = [i - (i % 3), i % 3];
    return m[row]! * n[column]! + m[row + 1]! * n[column + 3]! + m[row + 2]! * n[column + 6]!;
  });
}

function apply(m: Matrix, [x, y]: Point): Point {
  const w = m[6]! * x + m[7]! * y + m[8]!;
  return [(m[0]! * x + m[1]! * y + m[2]!) / w, (m[3]! * x + m[4]! * y + m[5]!) / w];
}

/** By its adjugate; scale does not matter. */
function inverse([a, b, c, d, e, f, g, h, i]: Matrix): Matrix | null {
  const m = [e! * i! - f! * h!, c! * h! - b! * i!, b! * f! - c! * e!];
  const n = [f! * g! - d! * i!, a! * i! - c! * g!, c! * d! - a! * f!];
  const o = [d! * h! - e! * g!, b! * g! - a! * h!, a! * e! - b! * d!];
  const determinant = a! * m[0]! + b! * n[0]! + c! * o[0]!;
  if (!Number.isFinite(determinant) || Math.abs(determinant) < 1e-12) return null;
  return [...m, ...n, ...o].map((v) => v / determinant);
}

const WORDS: Record<Turn, string | null> = {
  none: null,
  rot90: 'turned by 90 degrees',
  rot180: 'upside down',
  rot270: 'turned by 270 degrees',
  mirror: 'mirrored',
  flip: 'flipped top to bottom',
  transpose: 'mirrored and turned',
  antitranspose: 'mirrored and turned',
};

const percent = (part: number) => `${Math.round(part * 100)} %`;
const area = ([l, t, r, b]: readonly [number, number, number, number]) => (r - l) * (b - t);

/** How a copy was altered, in words: "mirrored, 1.06 x speed, cropped to 71 %". */
export function alteredText(altered: Altered): string {
  const words: string[] = [];
  const turned = altered.turn && WORDS[altered.turn];
  if (turned) words.push(turned);
  if (altered.inverted) words.push('colours inverted');
  if (altered.speed) words.push(`${altered.speed.toFixed(2)} x speed`);
  if (altered.inset) words.push(`inside a border, on ${percent(area(altered.inset))} of the picture`);
  if (altered.cropped) words.push(`cropped to ${percent(area(altered.cropped))}`);
  return words.length > 0 ? words.join(', ') : 'as it is';
}
