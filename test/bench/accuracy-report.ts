import type { Bin, Row } from './accuracy-score.ts';
import { median } from './accuracy-score.ts';

/** Of n trials without one such case, at most so many are to be expected: 95 %. */
export function rateText(cases: number, trials: number): string {
  if (trials === 0) return 'not tried';
  if (cases > 0) return `${cases} of ${trials} (${percent(cases / trials)})`;
  return `0 of ${trials} (95 % bound: ${percent(Math.min(1, 3 / trials))})`;
}

export const percent = (x: number): string => `${(100 * x).toFixed(x < 0.1 ? 1 : 0)} %`;
const share = (n: number, of: number): string => (of > 0 ? (n / of).toFixed(2) : '-');
const seconds = (values: readonly number[]): string => {
  const m = median(values);
  return m === null ? '-' : m.toFixed(2);
};

export interface Line {
  name: string;
  aim: number | null;
  row: Row;
  /** Works that each peer finds. */
  peers: Record<string, number>;
}

const HEAD = ['alteration', 'n', 'takedown', 'review', 'aim', 'wrong', 'false', 'ends s', 'offset s'];

/** One line an alteration; `wrong` and `false`: takedowns + reviews of references that are not shown, own work protected or not. */
export function tableOf(lines: readonly Line[]): string {
  const peers = Object.keys(lines[0]?.peers ?? {});
  const rows = lines.map(({ name, aim, row, peers: theirs }) => [
    name,
    String(row.works),
    share(row.down, row.works),
    share(row.reviewed, row.works),
    aim === null ? '' : row.works > 0 && row.down / row.works < aim ? `< ${aim}` : `${aim}`,
    `${row.wrongDown} + ${row.wrongReviewed}`,
    `${row.falseDown} + ${row.falseReviewed}`,
    seconds(row.ends),
    seconds(row.offsets),
    ...peers.map((p) => share(theirs[p]!, row.works)),
  ]);
  return aligned([[...HEAD, ...peers], ...rows]);
}

/** Of all that was found at such a confidence, how much is wrong. */
export function confidenceTable(bins: readonly Bin[]): string {
  const rows = bins.map(({ from, right, wrong }, i) => [
    `${from.toFixed(2)} to ${(bins[i + 1]?.from ?? 1).toFixed(2)}`,
    String(right + wrong),
    rateText(wrong, right + wrong),
  ]);
  return aligned([['confidence', 'found', 'wrong'], ...rows]);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, k) => Math.max(...rows.map((r) => r[k]?.length ?? 0)));
  return rows
    .map((r) => r.map((c, k) => (k === 0 ? c.padEnd(widths[k]!) : c.padStart(widths[k]!))).join('  '))
    .join('\n');
}
