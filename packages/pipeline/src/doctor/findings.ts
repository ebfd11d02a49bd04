/** What a look at one thing came to. */
export interface Finding {
  /** Like `database`, `blobs: uploads`. */
  check: string;
  /** failure: Vigil does not start, or loses something. warning: it runs, worse than it could. skipped: could not be looked at. */
  state: 'ok' | 'warning' | 'failure' | 'skipped';
  /** What was seen. */
  found: string;
  /** What to do about it; null where nothing has to be done. */
  todo: string | null;
}

export type Found = Omit<Finding, 'check'>;
export const ok = (found: string): Found => ({ state: 'ok', found, todo: null });
export const warning = (found: string, todo: string): Found => ({ state: 'warning', found, todo });
export const failure = (found: string, todo: string): Found => ({ state: 'failure', found, todo });
export const skipped = (found: string): Found => ({ state: 'skipped', found, todo: null });

const PATIENCE_MS = 20_000;

/** Runs one check; one that throws, or that does not come back, has failed, and `todo` says what to do about that. */
export async function look(check: string, todo: string, work: () => Promise<Found> | Found): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Found>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, failure(`no answer within ${PATIENCE_MS / 1000} s`, todo));
  });
  const seen = (async () => work())().catch((error: unknown) => failure(wordsOf(error), todo));
  return { check, ...(await Promise.race([seen, late]).finally(() => clearTimeout(timer))) };
}

/** The error and its causes, without saying the same twice. */
export function wordsOf(error: unknown): string {
  const words: string[] = [];
  for (let at: unknown = error; at instanceof Error && words.length < 4; at = at.cause) {
    const text = at.message || at.name;
    if (!words.some((w) => w.includes(text))) words.push(text);
  }
  return words.join(': ') || String(error);
}

/** Of a clock that is `skewMs` ahead of ours, known to within `roughMs`. */
export function clockFound(whose: string, skewMs: number, roughMs: number): Found {
  const off = Math.max(0, Math.abs(skewMs) - roughMs);
  const text = `the clock of ${whose} is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} ours`;
  if (off > 60_000) return failure(text, SYNC);
  return off > 1000
    ? warning(text, SYNC)
    : ok(`the clock of ${whose} agrees with ours to ${roughMs < 1500 ? 'a second' : 'a few seconds'}`);
}
const SYNC =
  'let both machines follow NTP (chrony, systemd-timesyncd): times to takedown, deadlines and signed addresses go by them';
