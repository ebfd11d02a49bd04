import type { Queryable } from '@vigil/runtime';

/** A frame of the upload beside the frame of the reference that it copies. Keys name JPEGs in Vigil's own bucket. */
export interface EvidencePicture {
  claim: string;
  n: number;
  uploadKey: string;
  /** Seconds; 0 of an image. */
  uploadTime: number;
  referenceKey: string;
  referenceTime: number;
  madeAt: number;
}

const ROW = `SELECT claim, n, upload_key AS "uploadKey", upload_time AS "uploadTime", reference_key AS "referenceKey",
  reference_time AS "referenceTime", made_at AS "madeAt" FROM evidence_pictures`;

/** In order of their numbers. */
export const picturesOf = (db: Queryable, claim: string): Promise<EvidencePicture[]> =>
  db.query<EvidencePicture>(`${ROW} WHERE claim = $1 ORDER BY n`, [claim]);

/** What is there already stays as it is. */
export async function savePictures(tx: Queryable, pictures: readonly EvidencePicture[]): Promise<void> {
  for (const { claim, n, uploadKey, uploadTime, referenceKey, referenceTime, madeAt } of pictures) {
    await tx.query(
      `INSERT INTO evidence_pictures (claim, n, upload_key, upload_time, reference_key, reference_time, made_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (claim, n) DO NOTHING`,
      [claim, n, uploadKey, uploadTime, referenceKey, referenceTime, madeAt],
    );
  }
}
