import { createHash } from 'node:crypto';

/**
 * Ids that derive from what they name, so that a second delivery makes the same id and the first write wins.
 * Parts are length-prefixed before hashing: ('a', 'bc') and ('ab', 'c') differ.
 */
export function derivedId(prefix: string, ...parts: readonly (string | number)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const text = String(part);
    hash.update(`${text.length}:${text};`);
  }
  return `${prefix}_${hash.digest('base64url').slice(0, 22)}`;
}

/** An upload is its media, not the message that announced it: the same object announced twice is one upload. */
export function uploadId(media: { source: string; bucket: string; key: string; version: string }): string {
  return derivedId('up', media.source, media.bucket, media.key, media.version);
}

/**
 * The id of a takedown or restoration. It changes only with the media, the action, or the epoch; the epoch rises only
 * with a reversal or a changed action. However many slices, shards and deliveries say so, it is one takedown.
 */
export function actionId(upload: string, mediaVersion: string, action: string, epoch: number): string {
  return derivedId('act', upload, mediaVersion, action, epoch);
}

/**
 * The id of the event (ce_id) that carries the nth sending of an action. The first has the action's own id; a re-sent one
 * needs its own, because whoever drops events that they have seen goes by it.
 */
export function attemptId(action: string, attempt: number): string {
  return attempt === 1 ? action : derivedId('ev', action, attempt);
}

/** FNV-1a over UTF-16 units: places a key on one of `n` partitions or shards, the same in every process and release. */
export function placeOf(key: string, n: number): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  return (h >>> 0) % n;
}
