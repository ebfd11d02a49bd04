/** The value of an option of a bench. @throws RangeError that says what to give, with the bench's help */
export function wholeNumber(name: string, text: string, [min, max]: readonly [number, number], help: string): number {
  const n = Number(text);
  if (text.trim() !== '' && Number.isInteger(n) && n >= min && n <= max) return n;
  throw new RangeError(`--${name}: give a whole number from ${min} to ${max}\n${help}`);
}

/** What seeds may be. */
export const SEEDS = [0, 2 ** 32 - 1] as const;
