import { Acknowledgement } from '@vigil/contracts';
import {
  type ActionRow,
  type Database,
  findAction,
  findClaim,
  lockUpload,
  recordAcknowledgement as record,
} from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Actions } from '../claims/actions.ts';
import { type Ledger, SYSTEM } from '../claims/ledger.ts';
import { done, type Outcome, rejected, skipped } from '../outcome.ts';
import { READERS } from '../readers.ts';
import type { Stage } from '../run-stage.ts';

/** How far the clock of a surface may go wrong. A word from the future would outweigh all that come after it. */
const MAX_AHEAD_MS = 3600 * 1000;

/** A surface of the platform says what it did about a takedown or a restoration. */
export function recordAcknowledgement(deps: {
  database: Database;
  actions: Actions;
  ledger: Ledger;
  clock: Clock;
  concurrency: number;
}): Stage<Acknowledgement> {
  const { database, actions, ledger, clock, concurrency } = deps;

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
    await remember(tx, action, (await findAction(tx, id))!);
    return done();
  }

  /** The chain of the case holds when all surfaces had done it, and when one said that it was undone. */
  async function remember(tx: Queryable, before: ActionRow, { id, event, closedWhy }: ActionRow): Promise<void> {
    const [was, is] = [before.closedWhy === 'acknowledged', closedWhy === 'acknowledged'];
    const claim = was !== is && event.claims[0] ? await findClaim(tx, event.claims[0]) : null;
    if (claim)
      await ledger.note(tx, claim, { kind: is ? 'acknowledged' : 'unacknowledged', data: { action: id } }, SYSTEM);
  }

  return {
    ...READERS.acknowledgements,
    concurrency,
    schema: Acknowledgement,
    run: ({ event }) => database.transaction((tx) => take(tx, event.data)),
  };
}
