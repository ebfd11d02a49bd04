import { BlobStoreError, MAX_PARTS, MIN_PART_BYTES } from '@vigil/blob-store';
import {
  addReferenceUpload,
  addWork,
  endReferenceUpload,
  findReferenceUpload,
  findWork,
  type ReferenceUpload,
} from '@vigil/database';
import { BLOBS_PATH, mediaKey, REFERENCE_BUCKET } from '@vigil/pipeline';
import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { holderFor, ownRow, type Principal } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Context, type Route, route } from '../route.ts';
import { Holder, Id, Name, Reference, When } from '../schemas.ts';

const DAY_MS = 24 * 3600 * 1000;
const ADDRESS_SECONDS = 6 * 3600;
const PART_BYTES = 16 * 2 ** 20;
const PAGE_OF_PARTS = 100;

const Part = z.object({
  number: z.number().int(),
  size: z.number().int().describe('bytes that this part has to have'),
  received: z.boolean(),
  url: z.url().nullable().describe('PUT the bytes here; null for parts that have arrived'),
});
const Upload = z
  .object({
    id: z.string(),
    work: z.string(),
    name: z.string(),
    state: z.enum(['open', 'complete', 'abandoned']),
    size: z.number().int(),
    partBytes: z.number().int().describe('of each part but the last'),
    received: z.number().int().describe('bytes that have arrived'),
    parts: z.array(Part).describe(`the next ${PAGE_OF_PARTS} parts that have not arrived`),
    reference: Reference.nullable(),
    expiresAt: When,
  })
  .meta({ id: 'ReferenceUpload' });
const params = z.object({ referenceUpload: Id });

export function referenceUploadRoutes(deps: Deps & { maxBytes: number }): Route[] {
  const { database, blobs, intake, serveBlobs, maxBytes } = deps;
  const db = database.postgres;
  const find = async (who: Principal, id: string) =>
    ownRow(who, await findReferenceUpload(db, id), 'upload of a reference', id);

  async function show(upload: ReferenceUpload, base: string): Promise<z.output<typeof Upload>> {
    const { id, work, name, state, size, partBytes, expiresAt, objectKey, storeId } = upload;
    const reference = upload.reference ? { id: upload.reference, version: upload.version! } : null;
    const shown = { id, work, name, state, size, partBytes, reference, expiresAt };
    if (state !== 'open') return { ...shown, received: state === 'complete' ? size : 0, parts: [] };
    const there = await blobs.parts.list(REFERENCE_BUCKET, objectKey, storeId);
    const whole = new Set(there.filter((p) => p.size === sizeOf(upload, p.number)).map((p) => p.number));
    const wanted: number[] = [];
    for (let n = 1; n <= countOf(upload) && wanted.length < PAGE_OF_PARTS; n++) if (!whole.has(n)) wanted.push(n);
    const parts = await Promise.all(
      wanted.map(async (number) => {
        const url = await blobs.parts.presign(REFERENCE_BUCKET, objectKey, storeId, number, ADDRESS_SECONDS);
        return { number, size: sizeOf(upload, number), received: false, url: reachable(url, base) };
      }),
    );
    return { ...shown, received: [...whole].reduce((sum, n) => sum + sizeOf(upload, n), 0), parts };
  }

  /** The file store has no server of its own: its addresses are ours. */
  const reachable = (url: URL, base: string): string =>
    serveBlobs && url.pathname.startsWith(BLOBS_PATH) ? `${base}${url.pathname}${url.search}` : url.href;

  return [
    route({
      method: 'POST',
      path: '/v1/reference-uploads',
      tag: 'references',
      summary: 'Begin to upload a reference in parts, straight to the store',
      details:
        'PUT each part to its address, in any order, as many at once as you like; ask again for what is missing and for fresh addresses; then complete.',
      verb: 'references:write',
      body: z.strictObject({
        name: Name,
        size: z.number().int().min(1).max(maxBytes).describe('bytes of the whole file'),
        work: Id.optional(),
        title: Name.optional().describe('of a work of its own'),
        holder: Holder.optional(),
      }),
      answer: { status: 201, describe: 'Where to send the parts', schema: Upload },
      problems: ['not-found'],
      async run({ body }, { who, now, newId, base }) {
        const known = body.work && ownRow(who, await findWork(db, body.work), 'work', body.work);
        const holder = known ? known.holder : holderFor(who, body.holder);
        const id = newId('upload');
        const again = await findReferenceUpload(db, id);
        if (again) return { body: await show(again, base) };
        const work = known ? known.id : newId('work');
        const objectKey = mediaKey(body.name);
        const partBytes = Math.max(PART_BYTES, MIN_PART_BYTES, Math.ceil(body.size / MAX_PARTS));
        const storeId = await blobs.parts.start(REFERENCE_BUCKET, objectKey);
        const { name, size, title = name } = body;
        const upload = { id, holder, work, name, size, partBytes, objectKey, storeId, createdAt: now };
        await database.transaction(async (tx) => {
          if (!known) await addWork(tx, { id: work, holder, title, details: {}, createdAt: now });
          await addReferenceUpload(tx, { ...upload, expiresAt: now + 7 * DAY_MS });
        });
        return {
          body: await show((await findReferenceUpload(db, id))!, base),
          headers: { location: `/v1/reference-uploads/${id}` },
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/reference-uploads/{referenceUpload}',
      tag: 'references',
      summary: 'Show what has arrived, and addresses for what has not',
      verb: 'references:write',
      params,
      answer: { status: 200, describe: 'Progress', schema: Upload },
      run: async ({ params }, { who, base }) => ({ body: await show(await find(who, params.referenceUpload), base) }),
    }),
    route({
      method: 'POST',
      path: '/v1/reference-uploads/{referenceUpload}/complete',
      tag: 'references',
      summary: 'All parts are there: register the reference',
      verb: 'references:write',
      params,
      answer: { status: 202, describe: 'The upload, with its reference', schema: Upload },
      problems: ['conflict'],
      run: async ({ params }, context) => {
        const upload = await find(context.who, params.referenceUpload);
        if (upload.state === 'complete') return { body: await show(upload, context.base) };
        return complete(upload, context);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/reference-uploads/{referenceUpload}/abandon',
      tag: 'references',
      summary: 'Give up an upload, and forget what has arrived',
      verb: 'references:write',
      params,
      answer: { status: 200, describe: 'The upload', schema: Upload },
      async run({ params }, { who, base }) {
        const upload = await find(who, params.referenceUpload);
        if (upload.state === 'complete')
          throw new Problem('conflict', 'it is complete: disable the reference', { allowed: [] });
        await blobs.parts.abandon(REFERENCE_BUCKET, upload.objectKey, upload.storeId);
        await endReferenceUpload(db, upload.id, { state: 'abandoned' });
        return { body: await show(await find(who, upload.id), base) };
      },
    }),
  ];

  async function complete(upload: ReferenceUpload, { who, base }: Context) {
    const { id, objectKey, storeId, holder, work, name, size } = upload;
    if (upload.state !== 'open') throw new Problem('conflict', `it is ${upload.state}`, { allowed: [] });
    // A try before this one may have joined the parts and died.
    let stored = await blobs.stat(REFERENCE_BUCKET, objectKey);
    if (!stored) {
      const shown = await show(upload, base);
      if (shown.received !== size) {
        const missing = shown.parts.map((p) => p.number);
        const detail = `${shown.received} of ${size} bytes have arrived`;
        throw new Problem('conflict', detail, { allowed: ['upload-parts', 'abandon'], missing });
      }
      stored = await blobs.parts.complete(REFERENCE_BUCKET, objectKey, storeId).catch((error: unknown) => {
        if (error instanceof BlobStoreError && error.code === 'missing')
          throw new Problem('conflict', 'another request is completing it', { allowed: [] });
        throw error;
      });
    }
    const { version } = stored;
    const { reference } = await intake.storedReference(name, { key: objectKey, version, size }, { holder, work });
    await endReferenceUpload(db, id, { state: 'complete', reference: reference.id, version: reference.version });
    return { body: await show(await find(who, id), base) };
  }
}

const countOf = ({ size, partBytes }: ReferenceUpload): number => Math.ceil(size / partBytes);
const sizeOf = (upload: ReferenceUpload, number: number): number => {
  const last = countOf(upload);
  if (number > last) return -1;
  return number < last ? upload.partBytes : upload.size - (last - 1) * upload.partBytes;
};
