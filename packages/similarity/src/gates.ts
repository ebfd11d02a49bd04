import { type CodeTable, type Fingerprint, isFit } from '@vigil/contracts';

/**
 * PDQ quality from which a reference's picture code may be matched at all. Low, so that dark film stays findable: a dark
 * street camera lost 65 % of its frames at 50 and matched at 0 to 10 bits. What may propose is the query's own affair.
 */
export const REFERENCE_QUALITY = 20;

/** May code `i` of the table be put into an index? Flat frames, and a film's pages of text, are everybody's. */
export function isReferenceCode(fingerprint: Fingerprint, table: CodeTable, i: number): boolean {
  if (!isFit(fingerprint, table.frame[i]!)) return false;
  return table.kind !== 'picture' || table.quality[i]! >= REFERENCE_QUALITY;
}

/** @throws RangeError when the columns or frame numbers do not fit each other, or a kind has two tables */
export function checkFingerprint({ frames, tables }: Fingerprint): void {
  const { time, flags } = frames;
  if (flags.length !== time.length || !time.every(Number.isFinite)) throw new RangeError('the frames do not fit');
  if (new Set(tables.map((t) => t.kind)).size < tables.length) throw new RangeError('two tables of one kind');
  for (const { kind, count, bits, frame, place, turn, quality } of tables) {
    const fits =
      bits.length === 32 * count &&
      place.length === 4 * count &&
      frame.length === count &&
      turn.length === count &&
      quality.length === count &&
      frame.every((f) => f < time.length);
    if (!fits) throw new RangeError(`the columns of the ${kind} table do not fit each other`);
  }
}

const TICKS = 10_000;

/** Seconds as an index keeps them: whole ten-thousandths in 32 bits, 119 hours at most. */
export function ticksOf(seconds: number): number {
  return Math.min(0xffffffff, Math.max(0, Math.round(seconds * TICKS)));
}

export function secondsOf(ticks: number): number {
  return ticks / TICKS;
}
