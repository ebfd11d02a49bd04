import { setTimeout as sleep } from 'node:timers/promises';
import type { Status } from '@vigil/pipeline';
import { ask, type Remote } from '../ask.ts';
import { bold, dim, green, red, say, table, unheard, yellow } from '../output.ts';

const EVERY_MS = 2000;

/** `vigil status`: the state of all on one screen; code 1 when something needs a person. With --watch it stays, and is drawn anew. */
export async function status({ instance, json, watch }: Remote & { json?: boolean; watch?: boolean }): Promise<void> {
  const look = () => ask<Status>(instance, '/v1/status');
  if (!watch) {
    const now = await look();
    for (const line of json ? [JSON.stringify(now)] : screen(now)) say(line);
    if (troubles(now).length > 0) process.exitCode = 1;
    return;
  }
  const inPlace = process.stdout.isTTY && !json;
  for (let failures = 0; !unheard(); ) {
    try {
      const now = await look();
      failures = 0;
      const lines = json ? [JSON.stringify(now)] : screen(now);
      // Home, each line with its rest cleared, then all below: nothing flickers.
      if (inPlace) process.stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\n')}\n\u001b[J`);
      else for (const line of lines) say(line);
    } catch (error) {
      // It may be starting again; whoever watches wants to see that it does.
      if (++failures === 1 && !inPlace) throw error;
      const why = error instanceof Error ? error.message : String(error);
      process.stdout.write(`\u001b[H${red(why)}\u001b[K\n`);
    }
    await sleep(EVERY_MS);
  }
}

/** What needs a person, worst first, in words. */
export function troubles(s: Status): string[] {
  const words: string[] = [];
  for (const [name, check] of Object.entries(s.checks)) if (check !== 'reachable') words.push(`${name}: ${check}`);
  if (s.intakeStopped) words.push('intake is stopped: a disk is nearly full');
  for (const w of s.witnesses) if (w.state === 'red') words.push(`${w.name}: ${w.message}`);
  for (const b of s.brakes) words.push(`brake ${b.brake} on ${b.subject} holds ${b.held}: ${b.why}`);
  if (s.actions && s.actions.overdue > 0) words.push(`${s.actions.overdue} takedowns or restorations are overdue`);
  if (s.outbox.oldestSeconds > 30) words.push(`decided events have waited for ${ago(s.outbox.oldestSeconds)}`);
  for (const q of s.queues) if (q.behindSeconds > 60) words.push(`${q.group} is ${ago(q.behindSeconds)} behind`);
  for (const r of s.layout.replicas) if (r.state === 'silent') words.push(`replica ${r.replica} is silent`);
  const dead = openDead(s);
  if (dead > 0) words.push(`${dead} events could not be handled: vigil dead list`);
  for (const u of s.unknown) words.push(`not known: ${u.part} (${u.why})`);
  return words;
}

export function screen(s: Status): string[] {
  const wrong = troubles(s);
  const title = `${bold('Vigil')}  engine ${s.engine}  ${new Date(s.at).toISOString()}  `;
  const lines = [title + (wrong.length > 0 ? red('needs somebody') : green('all well'))];
  for (const w of wrong.slice(0, MOST)) lines.push(red(`  ! ${w}`));
  if (wrong.length > MOST) lines.push(red(`  ! and ${wrong.length - MOST} more`));

  lines.push('', heading(`A minute, of the last ${s.windowSeconds / 60}`));
  const { uploads, verdicts, takedowns } = s.rates;
  lines.push(`  uploads ${rate(uploads)}   verdicts ${rate(verdicts)}   takedowns ${rate(takedowns)}`);
  const t = s.timeToTakedown;
  lines.push(
    t
      ? `  time to takedown: half within ${seconds(t.p50)}, 99 % within ${seconds(t.p99)}; ${percent(t.within5s)} within 5 s (last ${t.count})`
      : dim('  no takedown in the last day'),
  );

  lines.push('', heading('Queues'));
  const queues = s.queues.map((q) => [
    `  ${q.group}`,
    `${q.waiting}`,
    q.waiting === 0 ? green('keeps up') : paintLag(q.behindSeconds)(`${ago(q.behindSeconds)} behind`),
  ]);
  // Two beside each other: all of it is to fit one screen.
  const half = Math.ceil(queues.length / 2);
  lines.push(...table(queues.slice(0, half).map((row, n) => [...row, ...(queues[half + n] ?? [])])));

  lines.push('', heading('Library'));
  const states = Object.entries(s.library.references).map(([state, n]) => `${n} ${state}`);
  const { index } = s.library;
  const held = index ? `; here ${index.codes} codes, ${index.megabytes} MB` : '';
  lines.push(`  references: ${states.join(', ') || 'none'}${held}`);
  const { waiting, oldestSeconds } = s.lookBack;
  if (waiting > 0) lines.push(`  look back: ${waiting} new references wait, the first for ${ago(oldestSeconds)}`);
  for (const r of s.layout.replicas) {
    const paint = r.state === 'ready' ? green : r.state === 'silent' ? red : yellow;
    lines.push(`  shard ${r.shard}/${r.shards} ${r.replica}: ${paint(r.state)}, ${r.behind} records behind`);
  }

  lines.push('', heading('For people'));
  const actions = s.actions ? `${s.actions.open} actions not acknowledged (${s.actions.overdue} overdue)` : '';
  lines.push(`  ${s.reviews ?? '?'} in review   ${actions}   outbox ${s.outbox.waiting}   ${deadText(s)}`);
  for (const w of s.witnesses) {
    lines.push(`  ${w.name}: ${w.state === 'green' ? green('green') : red('red')}, ${ago((s.at - w.at) / 1000)} ago`);
  }
  lines.push(s.brakes.length > 0 ? red(`  ${s.brakes.length} brakes are on`) : '  no brake is on');
  const disks = s.disks.map((d) => `${d.disk} ${gb(d.freeBytes)} of ${gb(d.sizeBytes)} GB free`);
  lines.push(`  disks: ${disks.join(', ') || 'not known'}`);

  if (s.alarms.length > 0) lines.push('', heading('Last alarms'));
  for (const a of s.alarms.slice(0, 4))
    lines.push(`  ${ago((s.at - a.at) / 1000)} ago  ${yellow(a.kind)}  ${a.message.slice(0, 100)}`);
  if (s.lastVerdicts.length > 0) lines.push('', heading('Last verdicts'));
  const last = s.lastVerdicts.slice(0, 8).map((v) => {
    const paint = v.verdict === 'taken-down' ? red : v.verdict === 'cleared' ? green : yellow;
    const took = v.seconds === null ? v.cause : `after ${seconds(v.seconds)}`;
    return [`  ${ago((s.at - v.at) / 1000)} ago`, v.upload, paint(v.verdict), took, v.reason ?? ''];
  });
  return [...lines, ...table(last)];
}

const MOST = 8;
const heading = (text: string) => bold(text);
const rate = (n: number) => bold(n < 10 ? n.toFixed(1) : `${Math.round(n)}`);
const seconds = (n: number) => `${n.toFixed(n < 10 ? 2 : 0)} s`;
const percent = (part: number) => `${(100 * part).toFixed(part === 1 ? 0 : 1)} %`;
const gb = (bytes: number) => (bytes / 1e9).toFixed(1);
const paintLag = (s: number) => (s > 60 ? red : s > 5 ? yellow : green);
/** That nobody has tried again or dropped. */
const openDead = (s: Status): number => s.deadLetters.reduce((n, d) => n + d.open, 0);
const deadText = (s: Status) => {
  const open = openDead(s);
  return open === 0 ? 'no open dead letters' : red(`${open} dead letters: vigil dead list`);
};

function ago(s: number): string {
  if (s < 120) return `${Math.max(0, s).toFixed(s < 10 ? 1 : 0)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} days`;
}
