import type { Altered, Decision, Verdict } from '@vigil/contracts';

const TURNS: Record<string, string> = {
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

/** How a copy was altered, in words: "mirrored, 1.06 x speed, inside a border". */
export function alteredText(altered: Altered): string {
  const words: string[] = [];
  if (altered.turn && altered.turn !== 'none') words.push(TURNS[altered.turn] ?? altered.turn);
  if (altered.inverted) words.push('colours inverted');
  if (altered.speed) words.push(`${altered.speed.toFixed(2)} x speed`);
  if (altered.inset) words.push(`inside a border, on ${percent(area(altered.inset))} of the picture`);
  if (altered.cropped) words.push(`cropped to ${percent(area(altered.cropped))}`);
  return words.length > 0 ? words.join(', ') : 'as it is';
}

export const verdictText = (verdict: Pick<Verdict, 'verdict' | 'reason'>): string =>
  verdict.reason ? `${verdict.verdict} (${verdict.reason})` : verdict.verdict;

export const strongest = (decisions: readonly Decision[]): Decision | undefined => decisions[0];
