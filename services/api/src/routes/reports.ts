import { dsaBatches, dsaStatement, reportCsv, type TransparencyReport, transparencyReport } from '@vigil/cases';
import { GROUNDS } from '@vigil/contracts';
import { claimCounts, takedownsAfter, takedownTimes } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { Cursor, cursorAfter, pageOf } from '../page.ts';
import { holderFilter, type Principal } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Holder, When, WhenAsked } from '../schemas.ts';

const DAY_MS = 24 * 3600 * 1000;

const Counted = z.number().int();
const Report = z
  .object({
    from: When,
    until: When,
    times: z.object({ median: z.number().nullable(), p95: z.number().nullable() }).describe('arrival to takedown, ms'),
    rows: z.array(
      z.object({
        ground: z.enum([...GROUNDS, 'all']),
        ...{ claims: Counted, takedowns: Counted, automated: Counted, reviewed: Counted, dismissed: Counted },
        ...{ withdrawn: Counted, disputes: Counted, appeals: Counted, counterNotices: Counted, complaints: Counted },
        ...{ contested: Counted, settled: Counted, overturned: Counted },
        contestedRate: z.number().nullable().describe('contested of taken down'),
        overturnRate: z.number().nullable().describe('overturned of settled'),
      }),
    ),
  })
  .meta({ id: 'TransparencyReport' });
const span = z.object({
  from: WhenAsked.optional().describe('milliseconds since 1970; default: 90 days ago'),
  until: WhenAsked.optional().describe('default: now'),
  holder: Holder.optional(),
});

export function reportRoutes({ database }: Deps): Route[] {
  const db = database.postgres;
  async function make(who: Principal, now: number, query: z.output<typeof span>): Promise<TransparencyReport> {
    const { until = now, from = until - 90 * DAY_MS } = query;
    if (until <= from) throw new Problem('bad-request', '`until` lies after `from`');
    const holder = holderFilter(who, query.holder) ?? undefined;
    const about = { from, until, holder };
    return transparencyReport({ from, until }, await claimCounts(db, about), await takedownTimes(db, about));
  }
  const about = { method: 'GET', tag: 'reports', verb: 'reports:read', query: span } as const;
  return [
    route({
      ...about,
      path: '/v1/reports/transparency',
      summary: 'Claims, disputes, overturn rate and times to takedown, by ground',
      answer: { status: 200, describe: 'The report', schema: Report },
      run: async ({ query }, { who, now }) => ({ body: await make(who, now, query) }),
    }),
    route({
      ...about,
      path: '/v1/reports/transparency.csv',
      summary: 'The same as CSV',
      answer: { status: 200, describe: 'One line a ground', type: 'text/csv; charset=utf-8' },
      run: async ({ query }, { who, now }) => ({ body: reportCsv(await make(who, now, query)) }),
    }),
    route({
      ...about,
      path: '/v1/reports/transparency.html',
      summary: 'The same as a page to read',
      answer: { status: 200, describe: 'A page', type: 'text/html; charset=utf-8' },
      run: async ({ query }, { who, now }) => ({ body: reportPage(await make(who, now, query)) }),
    }),
    route({
      method: 'GET',
      path: '/v1/exports/dsa',
      tag: 'reports',
      summary:
        'Takedowns as the DSA transparency database takes them: bodies of a hundred statements, nothing personal',
      details:
        'In the order in which they were written down, so that none comes later among those that you have. Go on with `next`, at once while there are `more`, else whenever you export again; the puid of a statement never changes, so sending one twice is harmless.',
      verb: 'exports:read',
      query: z.object({
        limit: z.coerce.number().int().min(1).max(1000).default(100).describe('takedowns looked at'),
        cursor: Cursor.optional().describe('`next` of the export before'),
      }),
      answer: {
        status: 200,
        describe: 'Bodies to send, and where to go on',
        schema: z.object({
          batches: z.array(z.object({ statements: z.array(z.looseObject({ puid: z.string() })).max(100) })),
          next: z.string().nullable().describe('where the next export goes on; null: nothing was taken down yet'),
          more: z.boolean().describe('there are more than these by now'),
        }),
      },
      async run({ query }) {
        const asked = pageOf(query);
        const rows = await takedownsAfter(db, asked.after?.[1] ?? null, asked.limit);
        if (!rows) throw new Problem('bad-request', '`cursor` is not one that an export gave: begin without one');
        const shown = rows.slice(0, query.limit);
        const last = shown.at(-1);
        const statements = shown.map((r) => dsaStatement(r.event)).filter((s) => s !== null);
        const next = last ? cursorAfter(last.sentAt, last.id) : (query.cursor ?? null);
        return { body: { batches: dsaBatches(statements), next, more: rows.length > shown.length } };
      },
    }),
  ];
}

function reportPage({ from, until, times, rows }: TransparencyReport): string {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const seconds = (ms: number | null) => (ms === null ? 'none' : `${(ms / 1000).toFixed(2)} s`);
  const percent = (r: number | null) => (r === null ? '' : `${(100 * r).toFixed(1)} %`);
  const columns = [
    ['claims', 'claims'],
    ['takedowns', 'takedowns'],
    ['automated', 'by the machine alone'],
    ['disputes', 'disputes'],
    ['appeals', 'appeals'],
    ['counterNotices', 'counter-notices'],
    ['complaints', 'complaints'],
    ['withdrawn', 'withdrawn'],
    ['settled', 'settled'],
    ['overturned', 'overturned'],
  ] as const;
  const head = ['ground', ...columns.map(([, name]) => name), 'contested', 'overturn rate'];
  const body = rows.map((r) => {
    const cells = [r.ground, ...columns.map(([key]) => r[key]), percent(r.contestedRate), percent(r.overturnRate)];
    return `<tr>${cells.map((c, n) => (n === 0 ? `<th scope="row">${c}</th>` : `<td>${c}</td>`)).join('')}</tr>`;
  });
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Transparency report</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem; color: #1b1f24; background: #fff } table { border-collapse: collapse }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #d8dde3; text-align: right } th:first-child { text-align: left }
</style>
<h1>Transparency report</h1>
<p>Claims opened from ${day(from)} until ${day(until)}. From arrival to takedown: median ${seconds(times.median)}, 95 of 100 within ${seconds(times.p95)}.</p>
<table><thead><tr>${head.map((h) => `<th scope="col">${h}</th>`).join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table>
</html>`;
}
