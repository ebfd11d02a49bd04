import { stripVTControlCharacters } from 'node:util';

/** The person gave something that cannot be done; the message says what to do instead. Ends with code 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

// Whoever read our words may leave early (`vigil ... | head`): that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
/** Nobody reads what is said any more. */
export const unheard = (): boolean => process.stdout.destroyed;

export const say = (line = ''): void => void process.stdout.write(`${line}\n`);
export const note = (line: string): void => void process.stderr.write(`${line}\n`);

export function fail(message: string, code: number): void {
  note(`vigil: ${message}`);
  process.exitCode = code;
}

const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code: number) => (text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const dim = paint(2);
export const bold = paint(1);

/** 83.4 -> "1:23.4" */
export function clockTime(seconds: number): string {
  const tenths = Math.round(seconds * 10);
  const minutes = Math.floor(tenths / 600);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, '0');
  return `${minutes}:${rest}`;
}

/** A moment in UTC, to the second. */
export const dateTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');

export const spanText = ([from, to]: readonly [number, number]): string =>
  from === 0 && to === 0 ? 'whole picture' : `${clockTime(from)}-${clockTime(to)}`;

/** Columns as wide as their widest cell; numbers are the caller's to format. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const bare = stripVTControlCharacters;
  const widths = rows[0]?.map((_, c) => Math.max(...rows.map((r) => bare(r[c] ?? '').length))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, c) => cell + ' '.repeat(widths[c]! - bare(cell).length))
      .join('  ')
      .trimEnd(),
  );
}
