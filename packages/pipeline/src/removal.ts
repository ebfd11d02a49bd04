import type { Manifest, UploadEvent } from '@vigil/contracts';
import { lockObject, type Removal, removalsOf, saveRemoval, uploadsOfObject } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';

/** What a platform's word on an upload means, beside what is known of its object. */
export interface Heard {
  /** Uploads that it says are gone, unless they were uploaded anew after it. */
  gone: string[];
  /** The upload was said to be gone by something that happened after this. */
  outdated: boolean;
}

/**
 * Notes what a manifest's event says of its object and of the object's other versions. The messages may come in any order and any
 * number of times: what counts is the order in which things happened. Takes the lock of the object; call it before any upload's.
 */
export async function hear(tx: Queryable, { upload, event }: Manifest): Promise<Heard> {
  const { media, action } = event;
  await lockObject(tx, media);
  const known = await removalsOf(tx, media);
  const outdated = action !== 'deleted' && isOutdated(known, upload, event);
  if (action === 'created') return { gone: [], outdated };
  const version = action === 'deleted' ? media.version : '';
  const removal: Removal = {
    media: { ...media, version },
    receivedAt: event.receivedAt,
    sequencer: event.sequencer ?? null,
    kept: action === 'replaced' ? upload : null,
  };
  const earlier = known.find((r) => r.media.version === version);
  if (!earlier || !happenedBefore(removal, earlier)) await saveRemoval(tx, removal);
  const gone = version === '' ? await uploadsOfObject(tx, media) : [upload];
  return { gone: gone.filter((id) => id !== removal.kept), outdated };
}

/**
 * Is it known that an upload went after this was said of it? The row of the upload does not tell: of media that come again it says
 * `deleted` until their manifest is read, which comes at the same time as their first slices.
 */
export async function wentAfter(
  db: Queryable,
  upload: string,
  { media, ...when }: Pick<UploadEvent, 'media'> & When,
): Promise<boolean> {
  return isOutdated(await removalsOf(db, media), upload, when);
}

const isOutdated = (known: readonly Removal[], upload: string, when: When): boolean =>
  known.some((r) => r.kept !== upload && !happenedBefore(r, when));

type When = Pick<UploadEvent, 'receivedAt'> & { sequencer?: string | null | undefined };

/** Amazon S3: the shorter sequencer is padded with zeros on the right, then the order is that of text. */
export function happenedBefore(a: When, b: When): boolean {
  if (!a.sequencer || !b.sequencer) return a.receivedAt < b.receivedAt;
  const length = Math.max(a.sequencer.length, b.sequencer.length);
  return padded(a.sequencer, length) < padded(b.sequencer, length);
}

const padded = (sequencer: string, length: number): string => sequencer.toUpperCase().padEnd(length, '0');
