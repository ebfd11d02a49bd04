import type { Readable } from 'node:stream';
import type { BlobStore } from '@vigil/blob-store';
import { derivedId, type ReferenceKey, uploadId } from '@vigil/contracts';
import { type Database, findReference, registerHashes, registerReference, type UploadRow } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import type { Clock } from '@vigil/runtime';
import { recordOf } from './emit.ts';
import { referenceChanged, uploadReceived } from './events.ts';
import { HASH_SOURCE, hashCodes, hashMedia } from './hash-lists.ts';
import { sendOutput } from './send-output.ts';
import type { Disks } from './watching/disks.ts';

export const UPLOAD_BUCKET = 'uploads';
const INTAKE = 'intake';
export const REFERENCE_BUCKET = 'references';

/** Whose a reference is. Without a work it is one of its own, called `title`. */
export interface AboutReference {
  holder?: string;
  work?: string;
  title?: string;
}

export interface Registered {
  reference: ReferenceKey;
  work: string;
  /** The same bytes of the same holder were there already. */
  known: boolean;
}

/**
 * The way in for those who have files rather than events: stores the bytes, then says what a platform would say. Bytes are refused
 * with IntakeStopped while a disk is nearly full.
 */
export interface Intake {
  upload(
    name: string,
    body: Uint8Array | Readable,
    about?: {
      account?: string;
      /** Of this one alone; default: drawn. `again`: it may have been handed in under it before. */
      id?: string;
      again?: boolean;
    },
  ): Promise<{ upload: string }>;
  /** Says that it was deleted, and deletes the file. false: it did not come in this way. */
  takeBack(upload: Pick<UploadRow, 'media' | 'account'>): Promise<boolean>;
  reference(name: string, body: Uint8Array | Readable, about?: AboutReference): Promise<Registered>;
  /** The same of bytes that lie in REFERENCE_BUCKET already. */
  storedReference(
    name: string,
    stored: { key: string; version: string; size: number },
    about?: AboutReference,
  ): Promise<Registered>;
  /** References that are a PDQ hash and no media, all in one transaction: at most MAX_HASHES. */
  hashes(list: readonly HashReference[], about: { holder: string; work: string; title: string }): Promise<Registered[]>;
}

export interface HashReference {
  /** 32 bytes. */
  code: Uint8Array;
  quality?: number | undefined;
  /** What the list calls it. */
  name: string;
}

export const MAX_HASHES = 1000;

export function createIntake(deps: {
  blobs: BlobStore;
  log: EventLog;
  database: Database;
  disks: Pick<Disks, 'refuse'>;
  clock: Clock;
  shards: number;
}): Intake {
  const { blobs, log, database, disks, clock, shards } = deps;

  return {
    async upload(name, body, { id, again = false, ...about } = {}) {
      disks.refuse();
      const receivedAt = clock.now();
      const key = mediaKey(name, id);
      const before = again ? await blobs.stat(UPLOAD_BUCKET, key) : null;
      const { version } = before ?? (await blobs.put(UPLOAD_BUCKET, key, body));
      const media = { source: INTAKE, bucket: UPLOAD_BUCKET, key, version };
      const event = { action: 'created' as const, media, visibility: 'public', receivedAt, ...about };
      await log.append([await recordOf(uploadReceived(event), clock.now(), blobs)]);
      return { upload: uploadId(media) };
    },

    async takeBack({ media, account }) {
      if (media?.source !== INTAKE) return false;
      const about = account === null ? {} : { account };
      const event = { action: 'deleted' as const, media, visibility: 'public', receivedAt: clock.now(), ...about };
      await log.append([await recordOf(uploadReceived(event), clock.now(), blobs)]);
      await blobs.delete(media.bucket, media.key);
      return true;
    },

    async reference(name, body, about = {}) {
      disks.refuse();
      const key = mediaKey(name);
      const { version, size } = await blobs.put(REFERENCE_BUCKET, key, body);
      return register(name, { key, version, size }, about);
    },

    storedReference: (name, stored, about = {}) => register(name, stored, about),

    async hashes(list, about) {
      const { holder, work } = about;
      const receivedAt = clock.now();
      const pictures = list.map((one) => {
        const media = hashMedia(one.code);
        return { ...one, media, id: derivedId('ref', holder, HASH_SOURCE, media.key) };
      });
      const found = await database.transaction(async (tx) => {
        const versions = await registerHashes(tx, { ...about, now: receivedAt }, pictures);
        const sent = new Set<string>();
        for (const { id, code, quality } of pictures) {
          const { version, isNew } = versions.get(id)!;
          if (!isNew || sent.has(id)) continue;
          sent.add(id);
          await sendOutput(tx, hashCodes({ id, version }, code, { quality, shards, receivedAt }), receivedAt);
        }
        return versions;
      });
      const told = new Set<string>();
      return pictures.map(({ id }) => {
        const { version, isNew } = found.get(id)!;
        // Twice in one list: the second is known.
        const known = !isNew || told.has(id);
        told.add(id);
        return { reference: { id, version }, work, known };
      });
    },
  };

  async function register(
    name: string,
    { key, version, size }: { key: string; version: string; size: number },
    { title = name, holder = 'operator', work: named }: AboutReference,
  ): Promise<Registered> {
    const receivedAt = clock.now();
    const media = { source: INTAKE, bucket: REFERENCE_BUCKET, key, version };
    // The same bytes from the same holder are the same reference, however often they are sent.
    const id = derivedId('ref', holder, version, size);
    const work = named ?? derivedId('work', holder, version, size);
    const registered = await database.transaction(async (tx) => {
      const before = await findReference(tx, id);
      // Sent again after it was disabled, it is meant to protect again: as a version of its own.
      const next = before ? (before.state === 'disabled' ? before.version + 1 : before.version) : 1;
      const reference = { id, version: next };
      const isNew = await registerReference(tx, { reference, work, title, holder, media, name, now: receivedAt });
      if (!isNew) return { reference, work: before?.work ?? work, known: true };
      const event = { action: 'registered' as const, reference, work, holder, media, receivedAt };
      await sendOutput(tx, referenceChanged(event), receivedAt);
      return { reference, work, known: false };
    });
    if (registered.known) await blobs.delete(REFERENCE_BUCKET, key);
    return registered;
  }
}

/** A key that no other object has, ending in the file's name. `id`: what makes it so. */
export const mediaKey = (name: string, id: string = crypto.randomUUID()): string => `${id}/${safeName(name)}`;

/** Of a name of a file; file systems take 255. */
const NAME_BYTES = 200;

/** A file's name as the last part of a key: what a key may not hold becomes a dash; of a long one the end is kept. */
const safeName = (name: string): string => {
  const safe = lastBytes(name.normalize('NFC').replace(/[^\p{L}\p{N}._-]+/gu, '-'), NAME_BYTES).replace(/^\.+/, '');
  return safe || 'file';
};

/** The end of a text in so many bytes of UTF-8 at most, from the beginning of a letter on. */
function lastBytes(text: string, most: number): string {
  const bytes = Buffer.from(text);
  let from = Math.max(0, bytes.length - most);
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from++;
  return bytes.toString('utf8', from);
}
