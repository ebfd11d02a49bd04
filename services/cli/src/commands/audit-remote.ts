import { ask, postAsked, type Remote } from '../ask.ts';
import { bold, dateTime, dim, fail, say, table, UsageError } from '../output.ts';

interface Heads {
  roots: { number: number; at: number; root: string; heads: number }[];
  unrooted: { chains: number; events: number; oldest: number | null };
  total: { chains: number; events: number; countedAt: number };
}

/** A root is made every hour; one that is so late is not being made. */
const LATE_MS = 2 * 3600_000;

/** `vigil audit heads`: the newest roots, and what none covers yet. Code 1 when a root is late. */
export async function showHeads(options: Remote & { limit: number; json?: boolean }): Promise<void> {
  const heads = await ask<Heads>(options.instance, `/v1/audit?limit=${options.limit}`);
  const { roots, unrooted, total } = heads;
  if (options.json) say(JSON.stringify(heads));
  else {
    const rows = roots.map((r) => [`${r.number}`, dateTime(r.at), `${r.heads}`, r.root]);
    if (rows.length > 0) for (const line of table([['root', 'made', 'chains', 'hash'].map(bold), ...rows])) say(line);
    else say(dim('no root was made yet: one is, every full hour in which something happened'));
    say(`links not rooted yet: ${unrooted.events}, in the chains of ${unrooted.chains} cases`);
    say(`in all: ${total.events} links in the chains of ${total.chains} cases, counted ${dateTime(total.countedAt)}`);
  }
  if (unrooted.oldest !== null && Date.now() - unrooted.oldest > LATE_MS) {
    fail(
      `a root is late: what happened at ${dateTime(unrooted.oldest)} has none. Does a process with the role decide run?`,
      1,
    );
  }
}

/** `vigil audit erase`: what people wrote in a case, a notice or a conflict is gone for ever. */
export async function erase(
  subject: string,
  { instance, paper, why, json }: Remote & { paper?: string; why: string; json?: boolean },
): Promise<void> {
  const kind = /^(case|notice|conflict)_/.exec(subject)?.[1];
  if (!kind)
    throw new UsageError(
      `${subject} is no case, notice or conflict: give an id like case_..., notice_... or conflict_...`,
    );
  const route = `/v1/${kind}s/${encodeURIComponent(subject)}/erase`;
  const gone = await postAsked<{ erased: number; papers: string[] }>(instance, route, {
    ...(paper ? { paper } : {}),
    why,
  });
  if (json) return say(JSON.stringify(gone));
  const what = gone.erased === 1 ? '1 paper is' : `${gone.erased} papers are`;
  say(gone.erased === 0 ? `nothing is left to erase in ${paper ?? subject}` : `${what} gone for ever`);
  for (const id of gone.papers) say(`  ${id}`);
}
