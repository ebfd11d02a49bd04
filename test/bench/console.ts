import { parseArgs } from 'node:util';
import {
  countMatches,
  countReviews,
  listCases,
  listQueue,
  liveFigures,
  openDatabase,
  openTemporaryPostgres,
  takeLocks,
} from '@vigil/database';
import { manyCases } from '../support/many-cases.ts';
import { machine } from './cpu-time.ts';

const HELP = `npm run bench -- console [--cases 100000] [--looks 50]
  Fills a database of its own with so many cases, a quarter of which wait for a person, and takes how long what the page asks for lasts:
  pages of lists, first and from the middle, the head of the review queue under lock, counts, the histogram of a reference.
  Prints one JSON line; all times are milliseconds of one look at a time.`;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const options = {
    cases: { type: 'string', default: '100000' },
    looks: { type: 'string', default: '50' },
    help: { type: 'boolean', default: false },
  } as const;
  const { values } = parseArgs({ args, options });
  if (values.help) return { help: HELP };
  const [count, looks] = [Number(values.cases), Number(values.looks)];
  await using server = await openTemporaryPostgres();
  await using database = await openDatabase({ url: server.url });
  const db = database.postgres;
  const startedAt = performance.now();
  await manyCases(db, count);
  const seededSeconds = (performance.now() - startedAt) / 1000;

  async function timed(look: (n: number) => Promise<unknown>): Promise<{ p50: number; p95: number }> {
    const took: number[] = [];
    for (let n = 0; n < looks; n++) {
      const begun = performance.now();
      await look(n);
      took.push(performance.now() - begun);
    }
    took.sort((a, b) => a - b);
    const at = (part: number) => Math.round(took[Math.floor(part * (took.length - 1))]! * 10) / 10;
    return { p50: at(0.5), p95: at(0.95) };
  }
  const middle = { openedAt: 1000 + Math.floor(count / 14), id: 'case_' };
  const page = (filter: object) => timed(() => listCases(db, { ...filter, limit: 51 }));
  const deep = (filter: object) => timed(() => listCases(db, { ...filter, before: middle, limit: 51 }));
  const now = Date.now();
  const about = { person: 'p', now, until: now + 1000, skippedSince: 0, spreadSince: 0, count: 2 };
  const figures = {
    cases: await page({}),
    casesFromTheMiddle: await deep({}),
    ofAState: await deep({ state: 'contested' }),
    ofAHolder: await deep({ holder: 'holder_3' }),
    ofAHolderAndState: await deep({ holder: 'holder_3', state: 'open' }),
    queue: await timed(() => listQueue(db, { now, after: null, limit: 51 })),
    next: await timed((n) => takeLocks(db, { ...about, seat: `seat ${n}` })),
    counts: await timed(() => countReviews(db, now)),
    live: await timed(() => liveFigures(db, { now, holder: null })),
    liveOfAHolder: await timed(() => liveFigures(db, { now, holder: 'holder_3' })),
    matches: await timed(() => countMatches(db, { id: 'ref_7', version: 1 }, { seconds: 5, buckets: 120 })),
  };
  return {
    bench: 'console',
    rows: count,
    looks,
    seededSeconds: Math.round(seededSeconds),
    machine: machine(),
    ...figures,
  };
}
