import { box, type Canvas, type Colour, ellipse, fill, line, look } from './canvas.ts';
import { random } from './random.ts';
import type { Scene } from './scene.ts';

/** Capitals of five by seven points, each row as a number whose highest of five bits is the left point. */
const LETTERS: Record<string, readonly number[]> = {
  A: [14, 17, 17, 31, 17, 17, 17],
  B: [30, 17, 17, 30, 17, 17, 30],
  C: [14, 17, 16, 16, 16, 17, 14],
  D: [30, 17, 17, 17, 17, 17, 30],
  E: [31, 16, 16, 30, 16, 16, 31],
  F: [31, 16, 16, 30, 16, 16, 16],
  G: [14, 17, 16, 23, 17, 17, 14],
  H: [17, 17, 17, 31, 17, 17, 17],
  I: [14, 4, 4, 4, 4, 4, 14],
  K: [17, 18, 20, 24, 20, 18, 17],
  L: [16, 16, 16, 16, 16, 16, 31],
  M: [17, 27, 21, 21, 17, 17, 17],
  N: [17, 25, 21, 19, 17, 17, 17],
  O: [14, 17, 17, 17, 17, 17, 14],
  P: [30, 17, 17, 30, 16, 16, 16],
  R: [30, 17, 17, 30, 20, 18, 17],
  S: [15, 16, 16, 14, 1, 1, 30],
  T: [31, 4, 4, 4, 4, 4, 4],
  U: [17, 17, 17, 17, 17, 17, 14],
  V: [17, 17, 17, 17, 17, 10, 4],
  W: [17, 17, 17, 21, 21, 27, 17],
  Y: [17, 17, 10, 4, 4, 4, 4],
};

function write(c: Canvas, text: string, x: number, y: number, size: number, colour: Colour): void {
  const dot = size / 7;
  for (const [n, letter] of [...text].entries()) {
    for (const [row, bits] of (LETTERS[letter] ?? []).entries()) {
      for (let col = 0; col < 5; col++) {
        if (!(bits & (16 >> col))) continue;
        box(c, x + (n * 6 + col) * dot, y + row * dot, dot * 0.52, dot * 0.52, colour, { round: 0 });
      }
    }
  }
}

const ROLES = [
  'DIRECTED',
  'WRITTEN',
  'MUSIC',
  'LIGHT',
  'SOUND',
  'PAINTED',
  'EDITED',
  'COLOUR',
  'STUNTS',
  'CATERING',
  'THANKS TO',
];
const SYLLABLES = [
  'MA',
  'LO',
  'VEN',
  'TI',
  'RU',
  'KAS',
  'NE',
  'DO',
  'BER',
  'WIN',
  'SU',
  'HAL',
  'PO',
  'GRE',
  'YA',
  'FI',
];

/** End titles: roles on the left, invented names on the right, rolling. */
export const credits: Scene = (seed) => {
  const next = random(seed);
  const word = (n: number) =>
    Array.from({ length: n }, () => SYLLABLES[Math.floor(next() * SYLLABLES.length)]!).join('');
  const rows = Array.from({ length: 40 }, (_, n) => ({
    role: n % 3 ? '' : ROLES[Math.floor(next() * ROLES.length)]!,
    name: `${word(2)} ${word(2 + Math.floor(next() * 2))}`,
  }));
  return (c, t) => {
    look(c);
    fill(c, (_x, _y, out) => out.fill(0.004));
    for (const [n, row] of rows.entries()) {
      const y = 0.08 + n * 0.085 - t * 0.09;
      if (y < -0.1 || y > 1.1) continue;
      write(c, row.role, c.aspect / 2 - 0.045 - row.role.length * 0.034, y, 0.04, [0.5, 0.5, 0.5]);
      write(c, row.name, c.aspect / 2 + 0.045, y, 0.04, [0.9, 0.9, 0.88]);
    }
  };
};

/** A picture to adjust sets by: bars, a grid, a ring, steps of grey. It does not move. */
export const testCard: Scene = (seed) => (c) => {
  look(c);
  const grid = 0.1 + 0.01 * (seed % 4);
  fill(c, (x, y, out) => {
    const mesh = (x / grid) % 1 < 0.06 || (y / grid) % 1 < 0.06 ? 0.75 : 0.16;
    out[0] = mesh;
    out[1] = mesh;
    out[2] = mesh;
  });
  const bars: Colour[] = [
    [0.8, 0.8, 0.8],
    [0.8, 0.8, 0.05],
    [0.05, 0.8, 0.8],
    [0.05, 0.7, 0.05],
    [0.7, 0.05, 0.7],
    [0.7, 0.05, 0.05],
    [0.05, 0.05, 0.7],
  ];
  const mid = c.aspect / 2;
  ellipse(c, mid, 0.5, 0.45, 0.45, [0.02, 0.02, 0.02], { round: 0 });
  for (const [n, colour] of bars.entries()) box(c, mid - 0.3 + n * 0.1, 0.4, 0.05, 0.12, colour, { round: 0 });
  for (let n = 0; n < 8; n++) box(c, mid - 0.28 + n * 0.08, 0.62, 0.04, 0.05, [n / 8, n / 8, n / 8], { round: 0 });
  for (let n = 0; n < 16; n++)
    line(c, mid - 0.2 + n * 0.025, 0.72, mid - 0.2 + n * 0.025, 0.82, 0.002 + n * 0.0004, [0.9, 0.9, 0.9]);
  write(c, 'VIGIL', mid - 0.13, 0.16, 0.07, [0.85, 0.85, 0.85]);
};
