import type { Readable } from 'node:stream';
import type { BlobStore } from '@vigil/blob-store';
import { derivedId, type ReferenceKey, TOPICS, uploadId } from '@vigil/contracts';
import { type Database, enqueue, registerReference } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import type { Clock } from '@vigil/runtime';
import { envelopeOf, recordOf } from './emit.ts';
import { referenceChanged, uploadReceived } from './events.ts';

export const UPLOAD_BUCKET = 'uploads';
export const REFERENCE_BUCKET = 'references';

/** The way in for those who have files rather than events: stores the bytes, then says what a platform would say. */
export interface Intake {
  upload(name: string, body: Uint8Array | Readable, about?: { account?: string }): Promise<{ upload: string }>;
  reference(
    name: string,
    body: Uint8Array | Readable,
    about?: { title?: string; holder?: string },
  ): Promise<{ reference: ReferenceKey; work: string; known: boolean }>;
}

export function createIntake(deps: {
  blobs: BlobStore;
  log: EventLog;
  database: Database;
  clock: Clock;
  published(): void;
}): Intake {
  const { blobs, log, database, clock, published } = deps;
  const keyOf = (name: string) => `${crypto.randomUUID()}/${safeName(name)}`;

  return {
    async upload(name, body, about = {}) {
      const receivedAt = clock.now();
      const key = keyOf(name);
      const { version } = await blobs.put(UPLOAD_BUCKET, key, body);
      const media = { source: 'intake', bucket: UPLOAD_BUCKET, key, version };
      const event = { action: 'created' as const, media, visibility: 'public', receivedAt, ...about };
      await log.append([await recordOf(uploadReceived(event), clock.now(), blobs)]);
      return { upload: uploadId(media) };
    },

    async reference(name, body, { title = name, holder = 'operator' } = {}) {
      const receivedAt = clock.now();
      const key = keyOf(name);
      const { version, size } = await blobs.put(REFERENCE_BUCKET, key, body);
      const media = { source: 'intake', bucket: REFERENCE_BUCKET, key, version };
      // The same bytes from the same holder are the same reference, however often they are sent.
      const work = derivedId('work', holder, version, size);
      const reference = { id: derivedId('ref', holder, version, size), version: 1 };
      const known = await database.transaction(async (tx) => {
        const isNew = await registerReference(tx, { reference, work, title, holder, media, now: receivedAt });
        if (!isNew) return true;
        const output = referenceChanged({ action: 'registered', reference, work, holder, media, receivedAt });
        await enqueue(tx, { topic: TOPICS[output.to].name, ...envelopeOf(output, receivedAt) });
        return false;
      });
      if (known) await blobs.delete(REFERENCE_BUCKET, key);
      else published();
      return { reference, work, known };
    },
  };
}

/** A file's name as the last part of a key: what a key may not hold becomes a dash. */
const safeName = (name: string): string => {
  const safe = name
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^\.+/, '')
    .slice(-120);
  return safe || 'file';
};
