import { CLAIM_COUNTS, GROUNDS, type Ground } from '@vigil/contracts';

/** What happened to the claims of one ground that were opened in a span of time. */
export interface ClaimCounts {
  ground: Ground;
  claims: number;
  takedowns: number;
  /** Of the takedowns, those that no person decided. */
  automated: number;
  /** Claims left to a person, and those of them that a person dismissed. */
  reviewed: number;
  dismissed: number;
  withdrawn: number;
  disputes: number;
  appeals: number;
  counterNotices: number;
  complaints: number;
  /** Contested in any of these ways; those of them that are settled; those of the settled that the uploader won. */
  contested: number;
  settled: number;
  overturned: number;
}

/** Milliseconds from an upload's arrival to the decision that took it down first; null where there was none. */
export interface TakedownTimes {
  median: number | null;
  p95: number | null;
}

export interface TransparencyReport {
  /** Milliseconds since 1970; `until` itself does not count. */
  from: number;
  until: number;
  times: TakedownTimes;
  /** One row a ground, also where nothing happened, and one of all of them. */
  rows: (Omit<ClaimCounts, 'ground'> & {
    ground: Ground | 'all';
    /** Contested of taken down, and overturned of settled; null of nothing. */
    contestedRate: number | null;
    overturnRate: number | null;
  })[];
}

export function transparencyReport(
  span: { from: number; until: number },
  counts: readonly ClaimCounts[],
  times: TakedownTimes,
): TransparencyReport {
  const of = (ground: Ground | 'all') => {
    const own = counts.filter((c) => ground === 'all' || c.ground === ground);
    const sums = Object.fromEntries(CLAIM_COUNTS.map((name) => [name, own.reduce((n, c) => n + c[name], 0)]));
    const row = sums as Omit<ClaimCounts, 'ground'>;
    return {
      ground,
      ...row,
      contestedRate: rate(row.contested, row.takedowns),
      overturnRate: rate(row.overturned, row.settled),
    };
  };
  return { ...span, times, rows: [...GROUNDS.map(of), of('all')] };
}

const rate = (part: number, whole: number): number | null => (whole > 0 ? part / whole : null);

/** RFC 4180: one line a row, CRLF. Times stand in every line, so that files of several spans can be put together. */
export function reportCsv({ from, until, times, rows }: TransparencyReport): string {
  const header = ['from', 'until', 'ground', ...CLAIM_COUNTS, 'contestedRate', 'overturnRate', 'medianMs', 'p95Ms'];
  const iso = (at: number) => new Date(at).toISOString();
  const lines = rows.map((row) => {
    const rates = [row.contestedRate, row.overturnRate].map((r) => (r === null ? '' : r.toFixed(4)));
    const own = row.ground === 'all' ? [times.median, times.p95] : [null, null];
    return [
      iso(from),
      iso(until),
      row.ground,
      ...CLAIM_COUNTS.map((n) => row[n]),
      ...rates,
      ...own.map((t) => t ?? ''),
    ];
  });
  return [header, ...lines].map((cells) => `${cells.join(',')}\r\n`).join('');
}
