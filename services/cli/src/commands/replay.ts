import { findingsOf } from '@vigil/database';
import {
  type LookedAgain,
  ReplayRefused,
  type ReplayRequest,
  replay as replayed,
  replayedTopic,
} from '@vigil/pipeline';
import type { Queryable } from '@vigil/runtime';
import { bold, dim, green, note, say, table, UsageError, yellow } from '../output.ts';
import { verdictText } from '../words.ts';
import { beside, momentOf, wholeOf } from './again.ts';

export interface ReplayOptions {
  topic?: string;
  since?: string;
  until?: string;
  offsets?: string[];
  upload?: string[];
  reason?: string;
  engineBefore?: string;
  policyBefore?: string;
  indexBefore?: string;
  apply?: boolean;
  restart?: boolean;
  resume?: boolean;
  rate?: number;
  concurrency?: number;
  json?: boolean;
  data?: string;
}

/** `vigil replay`: judge again what was judged, and show what would be said; with --apply, say it. */
export async function replay(options: ReplayOptions): Promise<void> {
  const request = requestOf(options);
  const { json = false } = options;
  const title = request.apply ? 'judging again' : 'judging again (nothing is sent)';
  await beside(options.data, { withLibrary: true, title, quiet: json }, async (tools, signal, onProgress) => {
    const run = await replayed(tools.replay, request, signal, onProgress);
    await tell(tools.replay.database.postgres, run, json);
  });
}

export function requestOf(options: ReplayOptions): ReplayRequest {
  const { since, until, upload, reason, engineBefore, policyBefore, indexBefore, rate, concurrency } = options;
  let topic: ReturnType<typeof replayedTopic>;
  try {
    topic = replayedTopic(options.topic);
  } catch (error) {
    throw error instanceof ReplayRefused ? new UsageError(error.message) : error;
  }
  const dead = topic.name.endsWith('.dead');
  const now = Date.now();
  const [from, to] = [
    since === undefined ? undefined : momentOf('--since', since, now),
    until === undefined ? undefined : momentOf('--until', until, now),
  ];
  if (from !== undefined && from >= (to ?? now))
    throw new UsageError(
      until === undefined
        ? `--since ${since} is not past: give a time before now, like 24h for that long ago`
        : `--since ${since} is not before --until ${until}: give the earlier time to --since, like --since 26h --until 1h`,
    );
  const { apply, restart, resume, json: _j, data: _d, rate: _r, concurrency: _c, ...asked } = options;
  return {
    topic: topic.name,
    since: from,
    until: to,
    offsets: options.offsets?.map(offsetsOf),
    uploads: upload,
    ...(dead ? { deadReason: reason } : { reason }),
    engine: engineBefore === undefined ? undefined : wholeOf('--engine-before', engineBefore),
    policy: policyBefore === undefined ? undefined : policyOf(policyBefore),
    checkpoint: indexBefore === undefined ? undefined : wholeOf('--index-before', indexBefore),
    apply: apply === true,
    asked: { ...asked, topic: topic.name },
    restart,
    resume,
    rate,
    concurrency,
  };
}

function offsetsOf(text: string) {
  const match = /^(\d+):(\d+)-(\d+)$/.exec(text);
  if (!match) throw new UsageError(`--offsets ${text}: give PARTITION:FROM-TO, like 3:1200-1500; TO is left out`);
  const [partition, from, to] = match.slice(1).map(Number) as [number, number, number];
  if (from >= to) throw new UsageError(`--offsets ${text} is empty: FROM must be less than TO, which is left out`);
  return { partition, from, to };
}

function policyOf(text: string) {
  const match = /^(.+)@(\d+)$/.exec(text);
  if (!match) throw new UsageError(`--policy-before ${text}: give ID@VERSION`);
  return { id: match[1]!, version: Number(match[2]) };
}

/** What a run came to: a line each that is not as it was, then the sum. */
export async function tell(
  db: Queryable,
  run: { id: string; apply: boolean; tally: Record<string, number> },
  json: boolean,
): Promise<void> {
  const counts: Record<string, number> = {};
  for (let after = ''; ; ) {
    const findings = await findingsOf<LookedAgain>(db, run.id, after);
    if (findings.length === 0) break;
    for (const finding of findings) {
      counts[finding.outcome] = (counts[finding.outcome] ?? 0) + 1;
      if (json) say(JSON.stringify(finding));
      else for (const line of lines(finding)) say(line);
    }
    after = findings.at(-1)!.upload;
  }
  const summary = { run: run.id, applied: run.apply, tally: run.tally };
  if (json) return say(JSON.stringify({ summary }));
  const rows = Object.entries(run.tally).map(([name, n]) => [`${n}`, name]);
  say('');
  for (const line of table(rows.length > 0 ? rows : [['0', 'uploads']])) say(line);
  const changed = (counts.changed ?? 0) + (counts.first ?? 0);
  if (changed === 0) say(green('nothing differs'));
  else if (run.apply) say(green(`${changed} uploads have a new verdict`));
  else note(yellow(`nothing was sent: --apply gives ${changed} uploads a new verdict`));
  const left = (counts['media-gone'] ?? 0) + (counts.failed ?? 0);
  if (left > 0) note(yellow(`${left} uploads could not be confirmed, and stay as they are`));
}

function lines({ upload, outcome, before, after, decisions, detail }: LookedAgain): string[] {
  const text = (v: LookedAgain['after']) => (v ? verdictText(v) : 'no verdict');
  const head = `${bold(upload)}  ${outcome}: ${text(before)}${after && after.revision !== before?.revision ? ` -> ${text(after)}` : ''}`;
  const rest = decisions.map((d) =>
    dim(`    ${d.change} ${d.reference}: ${d.before ?? 'nothing'} -> ${d.after ?? 'nothing'}, by ${d.why}`),
  );
  return [head, ...rest, ...(detail ? [dim(`    ${detail}`)] : [])];
}
