import { BlobStoreError } from '@vigil/blob-store';
import type { MediaLocation } from '@vigil/contracts';
import { findClaim, findReference, findUpload } from '@vigil/database';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { HEAD_BYTES, mediaTypeOf, rangeOf } from '../media-type.ts';
import { notFound } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Id } from '../schemas.ts';

export interface StoredMedia {
  location: MediaLocation;
  size: number;
  version: string;
  /** Null where browsers cannot show it. */
  type: string | null;
}

/** The media that the row of an upload or a reference names, if they are still there and are the ones that were judged. */
export async function mediaOf(
  { blobs, buckets }: Pick<Deps, 'blobs' | 'buckets'>,
  row: { media: MediaLocation | null; deleted?: boolean } | null,
): Promise<StoredMedia | null> {
  const location = row && !row.deleted ? row.media : null;
  if (!location || !buckets.includes(location.bucket)) return null;
  const { bucket, key, version } = location;
  try {
    const stat = await blobs.stat(bucket, key);
    if (!stat || (version && stat.version !== version)) return null;
    const chunks: Uint8Array[] = [];
    for await (const chunk of await blobs.get(bucket, key, { start: 0, end: HEAD_BYTES, version: stat.version }))
      chunks.push(chunk as Uint8Array);
    return { location, size: stat.size, version: stat.version, type: mediaTypeOf(Buffer.concat(chunks)) };
  } catch (error) {
    if (error instanceof BlobStoreError && !error.retriable) return null;
    throw error;
  }
}

/** What is played and looked at to decide: for reviewers, as bytes and in ranges. */
export function claimMediaRoutes(deps: Deps): Route[] {
  const { database, blobs } = deps;
  const db = database.postgres;
  return [
    route({
      method: 'GET',
      path: '/v1/claims/{claim}/media/{side}',
      tag: 'reviews',
      summary: 'Play the upload, or the reference, of a claim',
      details: 'As it lies in the store; `range` is honoured. 404 once it is gone: the evidence pictures stay.',
      verb: 'reviews:write',
      params: z.object({ claim: Id, side: z.enum(['upload', 'reference']) }),
      answer: { status: 200, describe: 'The media', type: '*/*', ranges: true },
      async run({ params }, { header }) {
        const claim = await findClaim(db, params.claim);
        if (!claim) throw notFound('claim', params.claim);
        const row = await (params.side === 'upload'
          ? findUpload(db, claim.upload)
          : claim.reference && findReference(db, claim.reference, claim.version!));
        const media = await mediaOf(deps, row || null);
        if (!media?.type) throw notFound(`${params.side} to be shown of the claim`, claim.id);
        const { location, size, version, type } = media;
        const etag = `"${version.replaceAll('"', '')}"`;
        const given = header('if-range');
        const range = given === undefined || given === etag ? rangeOf(header('range'), size) : 'none';
        const headers = { 'content-type': type, 'accept-ranges': 'bytes', 'content-disposition': 'inline', etag };
        if (range === null) return { status: 416, headers: { ...headers, 'content-range': `bytes */${size}` } };
        const { start, end } = range === 'none' ? { start: 0, end: size } : range;
        const body = await blobs.get(location.bucket, location.key, { start, end, version });
        const length = { 'content-length': `${end - start}` };
        if (range === 'none') return { body, headers: { ...headers, ...length } };
        const about = { ...headers, ...length, 'content-range': `bytes ${start}-${end - 1}/${size}` };
        return { status: 206, body, headers: about };
      },
    }),
  ];
}
