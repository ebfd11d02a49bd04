import type { MediaLocation } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { takeTurn } from './turns.ts';

/** The newest word on one version of an object, or on all of its versions, that they are gone. */
export interface Removal {
  /** Version '': all versions. */
  media: MediaLocation;
  receivedAt: number;
  sequencer: string | null;
  /** Of all versions the upload that took their place. */
  kept: string | null;
}

/** What is said of one object is heard one at a time, until the transaction ends. Take it before the row of any upload. */
export async function lockObject(tx: Queryable, { source, bucket, key }: MediaLocation): Promise<void> {
  await takeTurn(tx, 'object', JSON.stringify([source, bucket, key]));
}

/** Of this version and of all versions; of all versions only, when the version is ''. */
export async function removalsOf(tx: Queryable, media: MediaLocation): Promise<Removal[]> {
  const { source, bucket, key, version } = media;
  const rows = await tx.query<Omit<Removal, 'media'> & { version: string }>(
    `SELECT version, received_at AS "receivedAt", sequencer, kept FROM removals
     WHERE source = $1 AND bucket = $2 AND key = $3 AND version IN ('', $4)`,
    [source, bucket, key, version],
  );
  return rows.map(({ version: of, ...rest }) => ({ media: { ...media, version: of }, ...rest }));
}

/** Replaces what was known of the same version, or of all versions. */
export async function saveRemoval(tx: Queryable, { media, receivedAt, sequencer, kept }: Removal): Promise<void> {
  const { source, bucket, key, version } = media;
  await tx.query(
    `INSERT INTO removals (source, bucket, key, version, received_at, sequencer, kept) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (source, bucket, key, version) DO UPDATE SET received_at = $5, sequencer = $6, kept = $7`,
    [source, bucket, key, version, receivedAt, sequencer, kept],
  );
}

/** Ids of the uploads of an object that are not gone, whatever their version; of those only that have a manifest. */
export async function uploadsOfObject(tx: Queryable, { source, bucket, key }: MediaLocation): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(
    `SELECT id FROM uploads WHERE media->>'bucket' = $2 AND media->>'key' = $3 AND media->>'source' = $1
     AND media IS NOT NULL AND NOT deleted`,
    [source, bucket, key],
  );
  return rows.map(({ id }) => id);
}
