import { type Alarm, type AlarmKind, TOPICS } from '@vigil/contracts';
import { enqueue } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { envelopeOf } from './emit.ts';
import type { Output } from './outcome.ts';

/** Into the outbox: published when the caller's transaction is committed, once an id. */
export async function sendOutput(tx: Queryable, output: Output, now: number): Promise<void> {
  await enqueue(tx, { topic: TOPICS[output.to].name, ...envelopeOf(output, now) });
}

/** Something that a person should look at. */
export const sendAlarm = (tx: Queryable, id: string, data: Alarm & { kind: AlarmKind }): Promise<void> =>
  sendOutput(tx, { to: 'alarms', key: data.subject, id, type: 'vigil.alarm', data }, data.at);
