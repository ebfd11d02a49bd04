import { actionId, type TakedownEvent, type Verdict } from '@vigil/contracts';

/** What the truth table asks for, of one upload. Knows nothing of how Vigil comes to it. */
export interface Expected {
  upload: string;
  name: string;
  version: string;
  /** What must be said at last; any of these. */
  verdicts: readonly string[];
  /** Reference whose copy it is: taken down for it, once. */
  reference: string | null;
  /** Its work was registered after it had been cleared: that is its first verdict, and the second takes it down. */
  late: boolean;
}

/** Where an event that nobody could handle has to lie. */
export interface Planted {
  topic: string;
  key: string;
  group: string;
}

/** All that stood in the logs at the end; events that were appended twice are there twice. */
export interface Observed {
  verdicts: readonly { id: string; data: Verdict }[];
  takedowns: readonly { id: string; data: TakedownEvent }[];
  dead: readonly (Planted & { reason: string })[];
  /** When an upload's time was up, by its first manifest; milliseconds since 1970. */
  deadlines: ReadonlyMap<string, number>;
}

export interface Findings {
  /** What was lost, said twice or said wrongly; empty when all is as it must be. */
  wrong: string[];
  uploads: number;
  takedowns: number;
  /** Uploads whose time was up before all was judged, and that were judged again when it was. */
  incomplete: number;
  revisions: number;
  dead: number;
}

/** Compares what was said with what must be said. Pure, and independent of the pipeline: only ids are shared. */
export function examine(expected: readonly Expected[], planted: readonly Planted[], observed: Observed): Findings {
  const wrong: string[] = [];
  const verdicts = onceById(observed.verdicts, 'verdict', wrong);
  const takedowns = onceById(observed.takedowns, 'takedown', wrong);
  const known = new Set(expected.map((e) => e.upload));
  for (const { data } of [...verdicts, ...takedowns])
    if (!known.has(data.upload)) wrong.push(`${data.upload} was never sent, and something is said of it`);

  let incomplete = 0;
  let revisions = 0;
  const byUpload = Map.groupBy(verdicts, ({ data }) => data.upload);
  for (const one of expected) {
    const said = (byUpload.get(one.upload) ?? []).map(({ data }) => data).sort((a, b) => a.revision - b.revision);
    revisions += Math.max(0, said.length - 1);
    if (isIncomplete(said[0], observed.deadlines.get(one.upload))) incomplete++;
    for (const text of wrongRevisions(one, said, observed.deadlines.get(one.upload)))
      wrong.push(`${one.name}: ${text}`);
  }

  const actions = new Map<string, string>();
  for (const one of expected)
    if (one.reference !== null) actions.set(actionId(one.upload, one.version, 'takedown', 0), one.name);
  const sent = new Set<string>();
  for (const { id, data } of takedowns) {
    sent.add(data.id);
    if (!actions.has(data.id)) wrong.push(`takedown ${data.id} of ${data.upload} (${data.media.key}) should not be`);
    const one = expected.find((e) => e.upload === data.upload);
    if (one?.reference && data.reference?.id !== one.reference)
      wrong.push(`${one.name}: taken down for ${data.reference?.id} instead of ${one.reference}`);
    if (id !== data.id || data.attempt !== 1) wrong.push(`takedown ${data.id} was sent again, as ${id}`);
  }
  for (const [id, name] of actions) if (!sent.has(id)) wrong.push(`${name}: its takedown ${id} is missing`);

  const dead = new Set(observed.dead.map(placeOf));
  const asked = new Set(planted.map(placeOf));
  for (const place of asked) if (!dead.has(place)) wrong.push(`planted, and not found dead: ${place}`);
  for (const one of observed.dead)
    if (!asked.has(placeOf(one))) wrong.push(`dead, and not planted: ${placeOf(one)}: ${one.reason}`);
  return { wrong, uploads: byUpload.size, takedowns: sent.size, incomplete, revisions, dead: dead.size };
}

/** An outage may outlast an upload's time: then a person is told, and the verdict follows when all is there. */
const isIncomplete = (first: Verdict | undefined, deadline: number | undefined): boolean =>
  first !== undefined && deadline !== undefined && first.decidedAt >= deadline;

function* wrongRevisions(one: Expected, said: readonly Verdict[], deadline: number | undefined): Generator<string> {
  if (said.length === 0) return yield 'no verdict';
  for (const [n, { revision, supersedes }] of said.entries()) {
    if (revision !== n + 1 || supersedes !== (n > 0 ? n : null))
      return yield `revisions ${said.map((v) => `${v.revision} (of ${v.supersedes})`).join(', ')}`;
  }
  const words = said.map((v) => v.verdict);
  const last = words.at(-1)!;
  if (!one.verdicts.includes(last))
    yield `${words.join(', then ')} instead of ${one.verdicts.join(' or ')}: ${said.at(-1)!.reason}`;
  const first = said[0]!;
  const late = isIncomplete(first, deadline);
  const most = 1 + (one.late ? 1 : 0) + (late ? 1 : 0);
  if (said.length > most)
    yield `${said.length} verdicts, of which ${most} had a reason: ${said.map((v) => `${v.verdict} (${v.cause})`).join(', ')}`;
  if (one.late && !words.slice(0, -1).includes('cleared'))
    yield `was never cleared before its work was known: ${words.join(', ')}`;
}

/** The same event may be appended any number of times, always saying the same. */
function onceById<T>(events: readonly { id: string; data: T }[], what: string, wrong: string[]) {
  const byId = new Map<string, { id: string; data: T }>();
  for (const event of events) {
    const known = byId.get(event.id);
    if (known && JSON.stringify(known.data) !== JSON.stringify(event.data))
      wrong.push(`${what} ${event.id} says two different things`);
    byId.set(event.id, event);
  }
  return [...byId.values()];
}

const placeOf = ({ topic, key, group }: Planted): string => `${topic} ${key} (${group})`;
