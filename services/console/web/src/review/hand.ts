import { signal } from '@preact/signals';
import type {
  ReviewDecision,
  ReviewDone,
  ReviewHand,
  ReviewItem,
  ReviewLocks,
  ReviewUndone,
} from '../../../src/wire.ts';
import { ask, ProblemError, post, sayError } from '../api.ts';
import { serverNow } from '../clock.ts';
import { onLive } from '../live.ts';
import { toast } from '../ui/toast.tsx';

/** What a reviewer holds: the item in sight and the next one, so that there is nothing to wait for between two. */
const HOLD = 2;
const SHORTEST_BEAT_MS = 2000;

export const hand = signal<ReviewItem[]>([]);
/** Open items that nobody holds. */
export const waiting = signal<number | null>(null);
export const handState = signal<'idle' | 'loading' | 'ready' | 'failed'>('idle');
export const handProblem = signal<string | null>(null);
/** Decided here since the page was opened. */
export const decided = signal(0);
/** What can still be undone, newest last. */
export const undoable = signal<{ done: ReviewDone; title: string }[]>([]);

/** Decided, but the server may not know it yet: not to be shown again. */
const leaving = new Set<string>();
let open = false;
let filling: Promise<void> | null = null;
/** How often something came back into the hand: what the server said of it before that is out of date. */
let returned = 0;

/** From now on items are held for this reviewer, until the returned function gives them back. */
export function openHand(): () => void {
  open = true;
  handState.value = 'loading';
  void fill();
  const stopHearing = onLive((event) => {
    if (event.type === 'reset') void fill();
    if (event.type === 'queue' && event.open > event.held && hand.value.length < HOLD) void fill();
  });
  let timer: ReturnType<typeof setTimeout>;
  const beat = () => {
    timer = setTimeout(() => void heartbeat().finally(() => open && beat()), beatEvery());
  };
  beat();
  const giveBack = () => {
    if (hand.value.length > 0 || filling)
      ask('POST', '/v1/reviews/release', { json: {}, keepalive: true }).catch(() => undefined);
  };
  addEventListener('pagehide', giveBack);
  return () => {
    open = false;
    clearTimeout(timer);
    stopHearing();
    removeEventListener('pagehide', giveBack);
    giveBack();
    hand.value = [];
    handState.value = 'idle';
  };
}

export function fill(): Promise<void> {
  filling ??= (async () => {
    try {
      let asked: number;
      let found: ReviewHand;
      do {
        asked = returned;
        found = await post<ReviewHand>('/v1/reviews/next', { hold: HOLD });
        if (!open) return;
      } while (asked !== returned);
      // The item in sight stays in sight.
      const [current] = hand.value;
      const items = found.items.filter((i) => !leaving.has(i.item));
      const first = items.find((i) => i.item === current?.item);
      hand.value = first ? [first, ...items.filter((i) => i !== first)] : items;
      waiting.value = found.waiting;
      handState.value = 'ready';
      handProblem.value = null;
    } catch (error) {
      handProblem.value = sayError(error);
      if (hand.value.length === 0) handState.value = 'failed';
    } finally {
      filling = null;
    }
  })();
  return filling;
}

/** The next item is there at once; what the server says comes in passing. */
export async function decide(item: ReviewItem, decision: ReviewDecision): Promise<void> {
  leaving.add(item.item);
  hand.value = hand.value.filter((i) => i.item !== item.item);
  try {
    const done = await post<ReviewDone>(`/v1/reviews/${encodeURIComponent(item.item)}/decide`, decision);
    if (decision.decision !== 'skip') decided.value++;
    const words = { 'take-down': 'Taken down', dismiss: 'Dismissed', skip: 'Skipped' }[done.decision];
    const until = done.undoUntil;
    if (until !== null) undoable.value = [...undoable.value, { done, title: item.work.title }];
    const left = until === null ? 0 : Math.max(3000, until - serverNow());
    const action = until === null ? undefined : { text: 'Undo', key: 'U', run: () => void undo() };
    const hide = toast(
      `${words}: ${item.work.title}.`,
      until === null ? { ms: 4000 } : { ms: Math.min(left, 10_000), action },
    );
    if (until === null) return;
    // The message passes; U goes on to work, and so does the button in the bar.
    hides.set(item.item, hide);
    setTimeout(() => forget(item.item), left);
  } catch (error) {
    const conflict = error instanceof ProblemError && error.problem.status === 409;
    // Nobody decided it: it is still this reviewer's to decide.
    if (!conflict) takeBack(item);
    toast(conflict ? `Not decided by you: ${sayError(error)}` : `Not decided: ${sayError(error)}`);
  } finally {
    leaving.delete(item.item);
    await fill();
  }
}

function takeBack(item: ReviewItem): void {
  returned++;
  hand.value = [item, ...hand.value.filter((i) => i.item !== item.item)];
}

const hides = new Map<string, () => void>();

function forget(item: string): void {
  hides.get(item)?.();
  hides.delete(item);
  undoable.value = undoable.value.filter((u) => u.done.item !== item);
}

/** Takes the last decision back and shows its item again. */
export async function undo(): Promise<void> {
  const last = undoable.value.at(-1);
  if (!last) return toastNothing();
  forget(last.done.item);
  try {
    const { item } = await post<ReviewUndone>(`/v1/reviews/${encodeURIComponent(last.done.item)}/undo`);
    decided.value = Math.max(0, decided.value - 1);
    takeBack(item);
    toast(`Open again: ${item.work.title}.`, { ms: 4000 });
  } catch (error) {
    toast(`Not undone: ${sayError(error)}`);
  }
}

function toastNothing(): void {
  toast('There is nothing to undo any more. The case page has what can still be done.', { ms: 4000 });
}

async function heartbeat(): Promise<void> {
  if (hand.value.length === 0) return;
  const { locks } = await post<ReviewLocks>('/v1/reviews/heartbeat').catch((error: unknown) => {
    handProblem.value = sayError(error);
    return { locks: null };
  });
  if (locks === null || !open) return;
  handProblem.value = null;
  const held = new Map(locks.map((l) => [l.item, l]));
  const lost = hand.value.filter((i) => !held.has(i.item) && !leaving.has(i.item));
  hand.value = hand.value.flatMap((i) => {
    const lock = held.get(i.item);
    return lock ? [{ ...i, lock }] : [];
  });
  if (lost.length === 0) return;
  toast('An item went back to the queue: it was not heard from for too long, or somebody decided it.');
  await fill();
}

/** Often enough that two beats may be lost. */
function beatEvery(): number {
  const until = Math.min(...hand.value.map((i) => i.lock?.until ?? Number.POSITIVE_INFINITY));
  const left = until - serverNow();
  return Number.isFinite(left) ? Math.max(SHORTEST_BEAT_MS, left / 3) : 10_000;
}
