import { Acknowledgement } from '@vigil/contracts';
import { type Database, findAction, lockUpload, recordAcknowledgement as record } from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Actions } from '../actions.ts';
import { done, type Outcome, rejected, skipped } from '../outcome.ts';
import type { Stage } from '../run-stage.ts';

/** How far the clock of a surface may go wrong. A word from the future would outweigh all that come after it. */
const MAX_AHEAD_MS = 3600 * 1000;

/** A surface of the platform says what it did about a takedown or a restoration. */
export function recordAcknowledgement(deps: {
  database: Database;
  actions: Actions;
  clock: Clock;
  concurrency: number;
}): Stage<Acknowledgement> {
  const { database, actions, clock, concurrency } = deps;

  async function take(tx: Queryable, said: Acknowledgement): Promise<Outcome> {
    const { action: id, upload, surface, status, at } = said;
    const known = await findAction(tx, id);
    if (!known) return rejected(`no action ${id} was ever sent`);
    if (known.upload !== upload) return rejected(`action ${id} is about ${known.upload}, not ${upload}`);
    const names = actions.surfacesOf(known);
    if (!names.includes(surface)) {
      const there = names.length > 0 ? `there are ${names.join(', ')}` : 'there are none';
      return rejected(`no surface is called ${surface}: ${there} (VIGIL_SURFACES)`);
    }
    if (at > clock.now() + MAX_AHEAD_MS) {
      return rejected(`${new Date(at).toISOString()} lies in the future: milliseconds since 1970 are meant`);
    }

    await lockUpload(tx, upload);
    const action = (await findAction(tx, id))!;
    if (!(await record(tx, said, clock.now()))) return skipped('known already');
    const { closedWhy } = action;
    if (closedWhy === 'superseded' || closedWhy === 'deleted') return skipped(`the action is over: ${closedWhy}`);
    // Of something that is done, a surface says later that it is not.
    if (closedWhy === 'acknowledged' && status === 'failed' && action.surfaces.includes(surface)) {
      await actions.reopen(tx, action);
    }
    await actions.settle(tx, (await findAction(tx, id))!);
    return done();
  }

  return {
    name: 'record-acknowledgement',
    group: 'record-acknowledgements',
    consumes: ['acknowledgements'],
    concurrency,
    schema: Acknowledgement,
    run: ({ event }) => database.transaction((tx) => take(tx, event.data)),
  };
}
