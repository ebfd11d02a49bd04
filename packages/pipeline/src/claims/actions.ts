import { attemptId, derivedId, type TakedownEvent } from '@vigil/contracts';
import {
  type ActionRow,
  acknowledgementsOf,
  actionsOf,
  addAction,
  type ClosedWhy,
  cancelTimer,
  closeAction,
  countAlarm,
  countAttempt,
  findAction,
  findUpload,
  lockUpload,
  reopenAction,
  setTimer,
} from '@vigil/database';
import type { AcknowledgementSettings, Clock, Queryable } from '@vigil/runtime';
import type { Output } from '../outcome.ts';
import { sendAlarm, sendOutput } from '../send-output.ts';

type About = Pick<Output, 'headers' | 'trace'>;

/** Kinds of timers. */
export const RESEND = 'action-resend';
export const UNACKNOWLEDGED = 'action-deadline';
/** From one alarm about an action to the next. */
export const ALARM_AGAIN_MS = 6 * 3600 * 1000;

/**
 * Takedowns and restorations from their first sending until every surface that is waited for has said `done`. In between
 * they are sent again, ever more seldom but without an end, under the same id; what is open for too long is an alarm.
 * All of it happens in the caller's transaction (`Database.transaction`), under the lock on the upload's row.
 */
export interface Actions {
  /**
   * Sends, once an id, in place of all that was open for this upload: in its upload's trace, the first time with `headers`. The caller
   * holds the upload's row.
   */
  send(tx: Queryable, event: TakedownEvent, about?: About): Promise<void>;
  /** Nothing is waited for any more. The caller holds the upload's row. */
  close(tx: Queryable, upload: string, why: ClosedWhy): Promise<void>;
  /** Closes the action if all that is waited for is done. The caller holds the upload's row. */
  settle(tx: Queryable, action: ActionRow): Promise<void>;
  /** It was done, and is so no more. The caller holds the upload's row. */
  reopen(tx: Queryable, action: ActionRow): Promise<void>;
  /** Names that may acknowledge this action: those of today, and those of the day when it was sent. */
  surfacesOf(action: ActionRow): string[];
  readonly handlers: {
    readonly [RESEND]: (tx: Queryable, payload: { action: string; attempt: number }) => Promise<void>;
    readonly [UNACKNOWLEDGED]: (tx: Queryable, payload: { action: string }) => Promise<void>;
  };
}

export function createActions({ clock, settings }: { clock: Clock; settings: AcknowledgementSettings }): Actions {
  const { surfaces, deadlineSeconds, resendSeconds } = settings;

  // One timer a sending: so none is ever set that another process is taking.
  const resendTimer = (id: string, attempt: number) => `${RESEND}:${id}:${attempt}`;
  const deadlineTimer = (id: string) => `${UNACKNOWLEDGED}:${id}`;

  async function setResend(tx: Queryable, id: string, attempt: number, step: number): Promise<void> {
    const seconds = resendSeconds[Math.min(step, resendSeconds.length - 1)]!;
    const dueAt = clock.now() + seconds * 1000;
    await setTimer(tx, { id: resendTimer(id, attempt), kind: RESEND, dueAt, payload: { action: id, attempt } });
  }

  async function setDeadline(tx: Queryable, id: string, ms: number): Promise<void> {
    const dueAt = clock.now() + ms;
    await setTimer(tx, { id: deadlineTimer(id), kind: UNACKNOWLEDGED, dueAt, payload: { action: id } });
  }

  async function emitAction(tx: Queryable, data: TakedownEvent, about: About): Promise<void> {
    const { upload: key, id, attempt, action } = data;
    const named = { key, id: attemptId(id, attempt), type: `vigil.media.${action}` };
    await sendOutput(tx, { to: 'takedowns', ...named, data, ...about }, clock.now());
  }

  async function end(tx: Queryable, { id, attempts }: ActionRow, why: ClosedWhy): Promise<void> {
    await closeAction(tx, id, why, clock.now());
    await cancelTimer(tx, resendTimer(id, attempts + 1));
    await cancelTimer(tx, deadlineTimer(id));
  }

  /** Surfaces that were to be told, are there still, and have not said `done`; with what they said instead. */
  async function missing(tx: Queryable, action: ActionRow): Promise<{ surface: string; said: string | null }[]> {
    const words = await acknowledgementsOf(tx, action.id);
    return action.surfaces
      .filter((s) => surfaces.includes(s))
      .map((surface) => ({ surface, word: words.find((w) => w.surface === surface) }))
      .filter(({ word }) => word?.status !== 'done')
      .map(({ surface, word }) => ({ surface, said: word ? (word.note ?? '') : null }));
  }

  async function settle(tx: Queryable, action: ActionRow): Promise<void> {
    if (action.closedAt !== null || (await missing(tx, action)).length > 0) return;
    const done = (await acknowledgementsOf(tx, action.id)).filter((w) => w.status === 'done').map((w) => w.surface);
    const all = action.surfaces.length > 0 && action.surfaces.every((s) => done.includes(s));
    await end(tx, action, all ? 'acknowledged' : 'not-awaited');
  }

  /** The action under the lock on its upload, or null when there is nothing to be done about it any more. */
  async function lockOpen(tx: Queryable, id: string): Promise<ActionRow | null> {
    const known = await findAction(tx, id);
    if (!known) return null;
    const { deleted } = await lockUpload(tx, known.upload);
    const action = (await findAction(tx, id))!;
    if (action.closedAt !== null) return null;
    if (deleted) await end(tx, action, 'deleted');
    else await settle(tx, action);
    const left = (await findAction(tx, id))!;
    return left.closedAt === null ? left : null;
  }

  async function close(tx: Queryable, upload: string, why: ClosedWhy, but?: string): Promise<void> {
    for (const action of await actionsOf(tx, upload)) {
      if (action.closedAt === null && action.id !== but) await end(tx, action, why);
    }
  }

  return {
    async send(tx, event, about = {}) {
      if (!(await addAction(tx, { event, surfaces, now: clock.now() }))) return;
      await close(tx, event.upload, 'superseded', event.id);
      await emitAction(tx, event, about);
      if (surfaces.length === 0) return closeAction(tx, event.id, 'not-awaited', clock.now());
      await setResend(tx, event.id, event.attempt + 1, 0);
      await setDeadline(tx, event.id, deadlineSeconds * 1000);
    },

    close: (tx, upload, why) => close(tx, upload, why),
    settle,

    async reopen(tx, action) {
      await reopenAction(tx, action.id);
      await setResend(tx, action.id, action.attempts + 1, 0);
      await setDeadline(tx, action.id, deadlineSeconds * 1000);
    },

    surfacesOf: (action) => [...new Set([...surfaces, ...action.surfaces])],

    handlers: {
      async [RESEND](tx, { action: id, attempt }) {
        const action = await lockOpen(tx, id);
        if (!action || action.attempts !== attempt - 1) return;
        await countAttempt(tx, id, clock.now());
        const trace = (await findUpload(tx, action.upload))?.manifest?.trace;
        await emitAction(tx, { ...action.event, attempt }, { trace });
        await setResend(tx, id, attempt + 1, attempt - 1);
      },

      async [UNACKNOWLEDGED](tx, { action: id }) {
        const action = await lockOpen(tx, id);
        if (!action) return;
        const n = await countAlarm(tx, id);
        const who = (await missing(tx, action)).map(({ surface, said }) =>
          said === null ? surface : `${surface} (failed${said && `: ${said.slice(0, 200)}`})`,
        );
        const minutes = Math.round((clock.now() - action.sentAt) / 60_000);
        const alarm = {
          kind: `${action.action}-unacknowledged` as const,
          subject: action.upload,
          message: `${action.action} ${id} was sent ${action.attempts} times in ${minutes} minutes, and is not done by ${who.join(', ')}`,
          at: clock.now(),
        };
        await sendAlarm(tx, derivedId('ev', id, 'unacknowledged', n), alarm);
        await setDeadline(tx, id, ALARM_AGAIN_MS);
      },
    },
  };
}
