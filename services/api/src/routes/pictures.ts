import { readBlob } from '@vigil/blob-store';
import { type ClaimRow, type EvidencePicture, findClaim, picturesOf } from '@vigil/database';
import { OWN_BUCKET } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { ownRow, type Principal } from '../principal.ts';
import { notFound } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { Id, When } from '../schemas.ts';

const MAX_BYTES = 8 * 2 ** 20;

export const Picture = z
  .object({
    picture: z.string(),
    uploadTime: z.number().describe('seconds'),
    referenceTime: z.number(),
    upload: z.string().describe('address of the frame of the upload'),
    reference: z.string().describe('address of the frame of the reference that it copies'),
    madeAt: When,
  })
  .meta({ id: 'EvidencePicture' });

export const showPicture = (claim: string, p: EvidencePicture): z.output<typeof Picture> => ({
  picture: `${p.n}`,
  uploadTime: p.uploadTime,
  referenceTime: p.referenceTime,
  upload: `/v1/claims/${claim}/pictures/${p.n}/upload`,
  reference: `/v1/claims/${claim}/pictures/${p.n}/reference`,
  madeAt: p.madeAt,
});

/** Pairs of frames by which a person sees why, also after the media are gone. */
export function pictureRoutes({ database, blobs }: Deps): Route[] {
  const db = database.postgres;
  /** Holders see them after a decision: what is only open is not theirs to look at yet. */
  async function claimFor(who: Principal, id: string): Promise<ClaimRow> {
    const claim = ownRow(who, await findClaim(db, id), 'claim', id);
    if (who.role === 'holder' && claim.state === 'open') throw notFound('picture of the claim yet', id);
    return claim;
  }
  return [
    route({
      method: 'GET',
      path: '/v1/claims/{claim}/pictures',
      tag: 'cases',
      summary: 'List the pairs of frames that show why',
      verb: 'cases:read',
      params: z.object({ claim: Id }),
      answer: { status: 200, describe: 'Pairs', schema: z.object({ items: z.array(Picture) }) },
      async run({ params }, { who }) {
        const claim = await claimFor(who, params.claim);
        const items = (await picturesOf(db, claim.id)).map((p) => showPicture(claim.id, p));
        return { body: { items } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/claims/{claim}/pictures/{picture}/{side}',
      tag: 'cases',
      summary: 'Show one of them',
      verb: 'cases:read',
      params: z.object({ claim: Id, picture: z.string().regex(/^\d{1,4}$/), side: z.enum(['upload', 'reference']) }),
      answer: { status: 200, describe: 'The frame', type: 'image/jpeg' },
      async run({ params }, { who }) {
        const claim = await claimFor(who, params.claim);
        const found = (await picturesOf(db, claim.id)).find((p) => `${p.n}` === params.picture);
        if (!found) throw notFound('picture', params.picture);
        const key = params.side === 'upload' ? found.uploadKey : found.referenceKey;
        return { body: Buffer.from(await readBlob(blobs, OWN_BUCKET, key, MAX_BYTES)), version: `${found.madeAt}` };
      },
    }),
  ];
}
