import { type Alarm, type AlarmKind, TOPICS } from '@vigil/contracts';
import { enqueue } from '@vigil/database';
import { checkRecord } from '@vigil/event-log';
import type { Queryable } from '@vigil/runtime';
import { envelopeOf } from './emit.ts';
import type { Output } from './outcome.ts';

/**
 * Into the outbox: published when the caller's transaction is committed, once an id. What the log would refuse fails here, where it
 * takes back its own transaction: in the outbox it would stand before all that comes after it, for ever.
 * @throws EventLogError, not retriable
 */
export async function sendOutput(tx: Queryable, output: Output, now: number): Promise<void> {
  const event = { topic: TOPICS[output.to].name, ...envelopeOf(output, now) };
  checkRecord(event, TOPICS[output.to]);
  await enqueue(tx, event);
}

/** Something that a person should look at. */
export const sendAlarm = (tx: Queryable, id: string, data: Alarm & { kind: AlarmKind }): Promise<void> =>
  sendOutput(tx, { to: 'alarms', key: data.subject, id, type: 'vigil.alarm', data }, data.at);
