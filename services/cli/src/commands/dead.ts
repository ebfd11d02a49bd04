import { deadTopic, TOPICS } from '@vigil/contracts';
import type { DeadLetter, DeadWhich } from '@vigil/database';
import { createDeadLetters, type DeadLetters, letterName, openBeside, whoAmI } from '@vigil/pipeline';
import { createLogger, realClock } from '@vigil/runtime';
import { bold, dim, green, note, red, say, table, UsageError, yellow } from '../output.ts';
import { configOf, ofInstallation } from '../settings.ts';

export interface DeadOptions {
  topic?: string;
  reason?: string;
  all?: boolean;
  by?: string;
  why?: string;
  limit?: number;
  json?: boolean;
  data?: string;
}

async function withLetters(data: string | undefined, work: (letters: DeadLetters) => Promise<void>): Promise<void> {
  const logger = createLogger({ level: 'warn', to: 'stderr' });
  await using stores = await ofInstallation(openBeside(configOf(data), logger));
  const letters = createDeadLetters({ ...stores, clock: realClock });
  await letters.catchUp();
  await work(letters);
}

/** By any of its names. @throws UsageError where there is none of that name: it would have no letters, ever */
function deadTopicOf(given: string): string {
  const name = `${given.startsWith('vigil.') ? '' : 'vigil.'}${given.replace(/\.dead$/, '')}`;
  const names = Object.values(TOPICS).map((topic) => topic.name);
  if (names.includes(name)) return deadTopic(name);
  throw new UsageError(`--topic ${given}: there is no such topic; give one of ${names.join(', ')}`);
}

/** A cause, one letter by its place on the log, or what the options say. */
function whichOf(given: string | undefined, { topic, reason }: DeadOptions): DeadWhich {
  const which: DeadWhich = { reason };
  if (topic) which.topic = deadTopicOf(topic);
  const place = /^(.+)\/(\d+)\/(\d+)$/.exec(given ?? '');
  if (place) return { ...which, letter: { topic: place[1]!, partition: Number(place[2]), offset: Number(place[3]) } };
  return given ? { ...which, cause: given } : which;
}

/** `vigil dead list`: what could not be handled, by what it died of. */
export async function listDead(options: DeadOptions): Promise<void> {
  const which = whichOf(undefined, options);
  await withLetters(options.data, async (letters) => {
    const causes = (await letters.causes(which)).filter((c) => options.all || c.open > 0);
    if (options.json) return say(JSON.stringify(causes));
    if (causes.length === 0) return say(green(options.all ? 'no event has died' : 'no dead letter is open'));
    const rows = causes.map((c) => [
      ...[c.cause, `${c.open}`, `${c.retried}`, `${c.dropped}`, c.topic, c.stage],
      ...[new Date(c.last).toISOString().slice(0, 16), c.reason.split('\n')[0]!.slice(0, 100)],
    ]);
    const head = ['cause', 'open', 'retried', 'dropped', 'topic', 'stage', 'last', 'reason'].map(bold);
    for (const line of table([head, ...rows])) say(line);
  });
}

/** `vigil dead show`: the letters of one cause, or one letter with all that it carries. */
export async function showDead(given: string, options: DeadOptions): Promise<void> {
  const which = whichOf(given, options);
  await withLetters(options.data, async (letters) => {
    const found = await letters.letters(which, options.limit ?? 20);
    if (found.length === 0) throw nothingFound(given);
    const shown = await Promise.all(
      found.map(async (letter) => {
        const record = await letters.read(letter);
        return { letter, headers: record?.headers ?? null, data: textOf(record?.value ?? null) };
      }),
    );
    if (options.json) return say(JSON.stringify(shown));
    for (const { letter, headers, data } of shown) {
      say(`${bold(letterName(letter))}  ${letter.state}${settled(letter)}`);
      say(`  key ${letter.key}, stage ${letter.stage}, died ${new Date(letter.diedAt).toISOString()}`);
      if (letter.retryOf) say(`  died again: a second try of ${letter.retryOf}`);
      for (const line of letter.reason.split('\n')) say(red(`  ${line}`));
      if (!headers) say(dim('  the log keeps the event no longer'));
      else if (shown.length === 1) {
        for (const [name, value] of Object.entries(headers)) say(dim(`  ${name}: ${value.slice(0, 200)}`));
        say(data ?? dim('  (no data)'));
      }
    }
  });
}

const settled = ({ settledBy, settledAt, why }: DeadLetter): string =>
  settledAt === null ? '' : ` by ${settledBy} at ${new Date(settledAt).toISOString()}${why ? `: ${why}` : ''}`;

/** `vigil dead retry`: back to where they came from. */
export async function retryDead(given: string | undefined, options: DeadOptions): Promise<void> {
  const which = chosen(given, options);
  await withLetters(options.data, async (letters) => {
    await mustExist(letters, given, which);
    const counted = await letters.retry(which, options.by ?? whoAmI());
    if (options.json) return say(JSON.stringify(counted));
    say(green(`${counted.settled} events are on their way again`));
    if (counted.gone > 0) note(yellow(`${counted.gone} are not on the log any more: drop them`));
    if (counted.cut)
      note(
        yellow(
          `${counted.cut} were cut (header vigil_cut), and are not sent: whoever sent them has to, then drop them`,
        ),
      );
  });
}

/** `vigil dead drop`: nothing will be done about them; who said so, and why, is kept. */
export async function dropDead(given: string | undefined, options: DeadOptions): Promise<void> {
  const which = chosen(given, options);
  const why = options.why?.trim();
  if (!why) throw new UsageError('--why is needed: it is kept with what is dropped');
  await withLetters(options.data, async (letters) => {
    await mustExist(letters, given, which);
    const { settled: dropped } = await letters.drop(which, options.by ?? whoAmI(), why);
    if (options.json) return say(JSON.stringify({ settled: dropped }));
    say(`${dropped} events are dropped`);
  });
}

function chosen(given: string | undefined, options: DeadOptions): DeadWhich {
  if (!given && !options.topic && !options.reason && !options.all)
    throw new UsageError('say which: a cause or a letter of `vigil dead list`, --topic, --reason, or --all');
  return whichOf(given, options);
}

async function mustExist(letters: DeadLetters, given: string | undefined, which: DeadWhich): Promise<void> {
  if (given && (await letters.letters(which, 1)).length === 0) throw nothingFound(given);
}

const nothingFound = (given: string) =>
  new UsageError(`there is no dead letter or cause ${given}: \`vigil dead list --all\` lists them`);

/** JSON as it is; what precedes codes of an event that carries some; null where it is neither. */
function textOf(value: Uint8Array | null): string | null {
  if (!value) return null;
  const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  try {
    return decode(value).slice(0, 20_000);
  } catch {
    const length = value.length < 4 ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    try {
      return length > 0 && length < value.length
        ? `${decode(value.subarray(4, 4 + length))} and ${value.length - length - 4} bytes of codes`
        : null;
    } catch {
      return null;
    }
  }
}
