import type { FleetView, LayoutView, ReplicaView } from '@vigil/pipeline';
import { ask, Problem, type Remote, until } from '../ask.ts';
import { bold, dim, green, note, red, say, table, UsageError, yellow } from '../output.ts';

/** Of the time that matchers may take to read a library of any size, and uploads to be finished. */
const PATIENCE_MS = 24 * 3600 * 1000;

const look = (instance: string): Promise<FleetView> => ask<FleetView>(instance, '/v1/fleet');

/** `vigil shards [n]`: in how many parts the library is searched; from now on in n. */
export async function shards(count: number | undefined, { instance, wait }: Remote & { wait?: boolean }) {
  if (count === undefined) return show(await look(instance));
  const old = (await look(instance)).layouts.find((l) => l.state === 'current');
  const change = () => ask<LayoutView>(instance, `/v1/shards?count=${count}`, { method: 'POST' });
  if (!wait) {
    await change().catch((error: unknown) => {
      if (!(error instanceof Problem) || error.status !== 409) throw error;
      throw new UsageError(`${error.message.replaceAll('; ', '\n  ')}\n(--wait waits until they are ready)`);
    });
  } else {
    await until(() => changed(change), PATIENCE_MS);
  }
  if (!old || old.shards === count) return say(`uploads are planned for ${count} shards`);
  say(`uploads are planned for ${count} shards from now on; those on their way are finished in ${old.shards}`);
  if (!wait) return note(dim(`the matchers of the old layout are needed until \`vigil shards\` says: drained`));
  const tell = whenNew();
  await until(async () => {
    const { state, waitsFor } = (await look(instance)).layouts.find((l) => l.shards === old.shards) ?? old;
    if (state === 'draining') tell(waitsFor);
    return state === 'draining' ? null : true;
  }, PATIENCE_MS);
  say(
    `the layout of ${old.shards} is drained: stop its matchers, then take each away with \`vigil replicas remove NAME\``,
  );
}

/** True when it is done, null while it is refused for what waiting helps against. */
async function changed(change: () => Promise<unknown>): Promise<true | null> {
  try {
    await change();
    return true;
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 409) throw error;
    tellRefusal([error.message]);
    return null;
  }
}

/** Says what is waited for, whenever that is something else. */
function whenNew(): (words: readonly string[]) => void {
  let last = '';
  return (words) => {
    const text = words.join('; ');
    if (text !== last) note(dim(`waiting: ${text}`));
    last = text;
  };
}
const tellRefusal = whenNew();

const PAINT: Record<LayoutView['state'] | ReplicaView['state'], (text: string) => string> = {
  ...{ current: green, ready: green, drained: dim },
  ...{ preparing: yellow, draining: yellow, loading: yellow, silent: red },
};

function show({ layouts, replicas }: FleetView): void {
  if (layouts.length === 0) {
    note('nothing was planned yet, and no matcher has registered');
    return;
  }
  const rows = layouts.map((l) => [`${l.shards}`, PAINT[l.state](l.state), `${l.uploads}`, l.waitsFor.join('; ')]);
  for (const line of table([['shards', 'layout', 'open uploads', 'waits for'].map(bold), ...rows])) say(line);
  say('');
  showReplicas(replicas);
}

/** `vigil replicas`: who holds which part of the library. */
export async function listReplicas({ instance }: Remote): Promise<void> {
  const { replicas } = await look(instance);
  if (replicas.length === 0) return note('no matcher has registered yet');
  showReplicas(replicas);
}

function showReplicas(replicas: readonly ReplicaView[]): void {
  const now = Date.now();
  const rows = replicas.map((r) => [
    `${r.shard}/${r.shards}`,
    r.replica,
    PAINT[r.state](r.state),
    r.seenAt === null ? 'never' : `${ago(now - r.seenAt)} ago`,
    r.state === 'loading' ? '' : `${r.behind}`,
  ]);
  for (const line of table([['shard', 'replica', 'state', 'seen', 'records behind'].map(bold), ...rows])) say(line);
}

function ago(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} days`;
}

/** `vigil replicas remove NAME`: new references wait for it no more. */
export async function removeReplica(
  name: string,
  { instance, shard, force }: Remote & { shard?: string; force?: boolean },
): Promise<void> {
  const query = new URLSearchParams({ force: String(force === true), ...(shard ? { shard } : {}) });
  const init = { method: 'DELETE' };
  type Removed = { removed: ReplicaView; live: number };
  const { removed, live } = await ask<Removed>(
    instance,
    `/v1/replicas/${encodeURIComponent(name)}?${query}`,
    init,
  ).catch((error: unknown) => {
    throw error instanceof Problem && error.status < 500 ? new UsageError(error.message) : error;
  });
  say(`${name} is no replica of shard ${removed.shard} of ${removed.shards} any more; ${held(live)}`);
}

const held = (live: number): string => {
  if (live === 0) return 'no reference waited for it alone';
  return `${live} ${live === 1 ? 'reference that waited for it alone goes' : 'references that waited for it alone go'} on`;
};
