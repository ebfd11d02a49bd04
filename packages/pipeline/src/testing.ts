import { DEFAULT_TERMS } from '@vigil/cases';
import { type Acknowledgement, Alarm, actionId, openEnvelope, RADIUS, TakedownEvent, TOPICS } from '@vigil/contracts';
import { type Database, lockUpload, relayBatch } from '@vigil/database';
import { type Clock, createMetrics, inTrace, type Tracer } from '@vigil/runtime';
import type { Actions } from './claims/actions.ts';
import { createBrakes } from './claims/brakes.ts';
import { createLedger } from './claims/ledger.ts';

/** Examples that this package's tests share. */

/** What watches a stage, without anything to see: no collector, and disks with room. */
export const unwatched = () => ({
  metrics: createMetrics(),
  tracer: { span: (_name, parent, _about, work) => inTrace(parent, () => work(() => undefined)) } as Tracer,
  intake: { whenOpen: async () => undefined },
});

export function actionEvent(upload: string, action: TakedownEvent['action'] = 'takedown', epoch = 0): TakedownEvent {
  const media = { source: 's', bucket: 'b', key: upload, version: 'v1' };
  return {
    id: actionId(upload, media.version, action, epoch),
    action,
    upload,
    media,
    kind: 'video',
    account: null,
    reference: { id: 'ref', version: 1 },
    work: 'work',
    holder: 'holder',
    case: 'case',
    claims: [],
    territories: ['*'],
    segments: [],
    longest: 20,
    total: 20,
    share: { upload: 1, reference: 0.1 },
    altered: {},
    codeKind: 'picture',
    radius: RADIUS,
    confidence: 1,
    manifest: true,
    rule: 'contiguous-seconds',
    policy: { id: 'default', version: 1 },
    ground: 'rights-holder-rule',
    statement: null,
    why: null,
    automatedDetection: true,
    automatedDecision: true,
    epoch,
    attempt: 1,
    supersedes: null,
    engine: '1',
    latency: { receivedAt: 1, decidedAt: 2 },
  };
}

export const acknowledgement = (
  { id, upload }: Pick<TakedownEvent, 'id' | 'upload'>,
  surface: string,
  at: number,
  status: Acknowledgement['status'] = 'done',
): Acknowledgement => ({ action: id, upload, surface, status, at });

/** As `decide` does: under the lock on the upload, in one transaction. */
export function sendAction(database: Database, actions: Actions, event: TakedownEvent): Promise<void> {
  return database.transaction(async (tx) => {
    await lockUpload(tx, event.upload);
    await actions.send(tx, event);
  });
}

/** Takes everything out of the outbox: what was sent about actions, with the ids of the envelopes. */
export async function takeSent(database: Database) {
  const actions: { ceId: string; event: TakedownEvent }[] = [];
  const alarms: { ceId: string; alarm: Alarm }[] = [];
  const take: Parameters<typeof relayBatch>[2] = async (records) => {
    for (const record of records) {
      const ceId = record.headers.ce_id!;
      if (record.topic === TOPICS.takedowns.name) {
        actions.push({ ceId, event: openEnvelope(TakedownEvent, record).event.data });
      } else if (record.topic === TOPICS.alarms.name) {
        alarms.push({ ceId, alarm: openEnvelope(Alarm, record).event.data });
      }
    }
  };
  while ((await relayBatch(database, 100, take)) > 0);
  return { actions, alarms };
}

export const ledgerFor = (clock: Clock) => createLedger({ now: clock.now, terms: DEFAULT_TERMS });

const HIGH = 1_000_000;
/** Brakes that are never set, but by hand and by witnesses. */
export const looseBrakes = (database: Database, clock: Clock) =>
  createBrakes({
    database,
    clock,
    limits: { hot: HIGH, floodReference: HIGH, floodHolder: HIGH, cap: HIGH },
  });
