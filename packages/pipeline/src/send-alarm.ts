import { type Alarm, TOPICS } from '@vigil/contracts';
import { enqueue } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { envelopeOf } from './emit.ts';

/** Something that a person should look at, said in the caller's transaction; once an id. */
export async function sendAlarm(tx: Queryable, id: string, data: Alarm): Promise<void> {
  const output = { to: 'alarms', key: data.subject, id, type: 'vigil.alarm', data } as const;
  await enqueue(tx, { topic: TOPICS.alarms.name, ...envelopeOf(output, data.at) });
}
