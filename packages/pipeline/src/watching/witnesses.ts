import { type CanaryRound, derivedId } from '@vigil/contracts';
import { cancelTimer, type Database, forgetWitness, listWitnesses, saveWitness, setTimer } from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Brakes } from '../claims/brakes.ts';
import { sendAlarm } from '../send-output.ts';

/** Kind of the timers that notice a canary of which nothing is heard any more. */
export const CANARY_SILENT = 'canary-silent';
/** Rounds that may be missed before that is an alarm. */
const MISSED = 2;
/** Said again so often while it stays so. */
const AGAIN_MS = 3600_000;
/** Silence is no more said again after that: whoever took a canary away has no need to be told for ever. */
const TOLD_MS = 12 * AGAIN_MS;
/** Green rounds in a row that prove a red clean canary well again. */
const WELL = 2;

/** Those who look at Vigil itself, and what follows from what they say: alarms, and the brake on everything. */
export interface Witnesses {
  /** One round of a canary. */
  round(round: CanaryRound): Promise<void>;
  /** What an index says of itself. `wrong`: it found what it must not. */
  index(name: string, finding: { sound: boolean; wrong: boolean; message: string }): Promise<void>;
  readonly handlers: { readonly [CANARY_SILENT]: (tx: Queryable, about: Silence) => Promise<void> };
}

interface Silence {
  canary: string;
  heardAt: number;
  everySeconds: number;
}

export function createWitnesses(deps: { database: Database; brakes: Brakes; clock: Clock }): Witnesses {
  const { database, brakes, clock } = deps;

  /** Returns how often it has said so in a row. A red one is an alarm at once, and again while it lasts. */
  async function say(
    tx: Queryable,
    name: string,
    green: boolean,
    message: string,
    kind: 'canary-red' | 'index-unsound',
  ) {
    const at = clock.now();
    const { now, before } = await saveWitness(tx, { name, state: green ? 'green' : 'red', message, at });
    if (green) return now.streak;
    const sinceLast = before?.state === 'red' ? Math.floor((before.at - before.since) / AGAIN_MS) : -1;
    if (Math.floor((at - now.since) / AGAIN_MS) > sinceLast)
      await sendAlarm(tx, derivedId('ev', name, 'red', at), { kind, subject: name, message, at });
    return now.streak;
  }

  return {
    async round({ canary, everySeconds, once, results }) {
      await database.transaction(async (tx) => {
        for (const { case: what, green, why, upload, ms } of results) {
          const took = ms === null ? '' : ` after ${(ms / 1000).toFixed(1)} s`;
          const name = what === 'copy' ? 'an altered copy' : 'a clean clip';
          const message = green
            ? `${name} had the right verdict${took}`
            : `canary ${canary}: ${name}${upload ? ` (${upload})` : ''} ${why ?? 'failed'}`;
          const streak = await say(tx, `canary-${what}`, green, message, 'canary-red');
          if (what !== 'clean') continue;
          if (!green && isWrong(why)) await brakes.setFor(tx, 'canary-clean', message);
          if (green && streak >= WELL) await brakes.releaseFor(tx, 'canary-clean');
        }
        if (once) return;
        const heardAt = clock.now();
        await cancelTimer(tx, `${CANARY_SILENT}:${canary}`);
        await watchFor(tx, { canary, heardAt, everySeconds });
      });
    },

    async index(name, { sound, wrong, message }) {
      await database.transaction(async (tx) => {
        await say(tx, `index-${name}`, sound, message, 'index-unsound');
        if (wrong) await brakes.setFor(tx, `index-${name}`, message);
        if (sound) await brakes.releaseFor(tx, `index-${name}`);
      });
    },

    handlers: {
      async [CANARY_SILENT](tx, about) {
        const { canary, heardAt, everySeconds } = about;
        const at = clock.now();
        const seconds = Math.round((at - heardAt) / 1000);
        const message = `canary ${canary} was heard of ${seconds} s ago, and says something every ${everySeconds} s: nobody watches that takedowns work`;
        await sendAlarm(tx, derivedId('ev', canary, 'silent', at), {
          kind: 'canary-silent',
          subject: canary,
          message,
          at,
        });
        // What another canary has said since then still holds.
        for (const witness of await listWitnesses(tx))
          if (witness.name.startsWith('canary-') && witness.at <= heardAt) await forgetWitness(tx, witness.name);
        if (at + AGAIN_MS - heardAt <= TOLD_MS) await watchFor(tx, about, AGAIN_MS);
      },
    },
  };

  async function watchFor(tx: Queryable, about: Silence, ms = (MISSED + 1) * about.everySeconds * 1000): Promise<void> {
    const dueAt = clock.now() + Math.ceil(ms);
    await setTimer(tx, { id: `${CANARY_SILENT}:${about.canary}`, kind: CANARY_SILENT, dueAt, payload: about });
  }
}

/** A clean clip that was taken down, or held; late, lost or rejected is bad as well, but no reason to stop takedowns. */
const isWrong = (why: string | null): boolean => why?.startsWith('wrong') ?? false;
