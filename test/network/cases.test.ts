import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBlob } from '@vigil/blob-store';
import { addEndpoint, caseEvents, claimsOf, picturesOf, verifyAudit } from '@vigil/database';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { seedsHere } from '../support/seeds.ts';
import { type Network, openNetwork } from './open-network.ts';

const COPY = 'copy-small.jpg';
const PIECE = 'piece-mirrored.mp4';

/** Real: the whole pipeline, its clockwork and its outgoing HTTP, to a server of ours on loopback. */
describe('from a takedown to its reversal', () => {
  let seeds: SeedSet;
  let network: Network;
  const told: { type: string; signed: boolean }[] = [];
  const hooks = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const signed = /^v1,.{40,}$/.test(String(request.headers['webhook-signature']));
      told.push({ type: (JSON.parse(body) as { type: string }).type, signed });
      response.writeHead(204).end();
    });
  });

  beforeAll(async () => {
    seeds = await seedsHere();
    await new Promise<void>((resolve) => hooks.listen(0, '127.0.0.1', resolve));
    network = await openNetwork({ settings: { VIGIL_PRIVATE_WEBHOOKS: 'true' } });
    const uploads = seeds.uploads.filter((u) => u.name === COPY || u.name === PIECE);
    const wanted = new Set(uploads.map((u) => u.expect.reference));
    expect(wanted.size).toBe(2);
    const references = seeds.references.filter((r) => wanted.has(r.name));
    await network.protect(references.map((r) => ({ name: r.name, file: r.path })));
    const { port } = hooks.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/`;
    const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
    await addEndpoint(network.instance.database.postgres, {
      ...{ id: 'ep', holder: 'operator', url, secret, types: [], createdAt: 1 },
    });
  }, 180_000);
  afterAll(async () => {
    hooks.close();
    await network?.[Symbol.asyncDispose]();
  });

  test('a dispute that is accepted brings the media back; why they were gone can still be seen', async () => {
    const { instance } = network;
    const db = instance.database.postgres;
    const files = seeds.uploads.filter((u) => u.name === COPY || u.name === PIECE);
    const uploads = await network.upload(files.map((u) => ({ name: u.name, file: u.path })));
    await network.drain(uploads.values(), 120);
    for (const upload of uploads.values()) {
      const [claim] = await claimsOf(db, upload);
      expect(claim).toMatchObject({ state: 'taken-down', holder: 'operator' });
      const pictures = await network.until('pictures', async () => {
        const made = await picturesOf(db, claim!.id);
        return made.length > 0 ? made : null;
      });
      for (const { uploadKey, referenceKey } of pictures) {
        for (const key of [uploadKey, referenceKey]) {
          expect([...(await readBlob(instance.blobs, 'vigil', key, 1e6)).subarray(0, 2)]).toEqual([0xff, 0xd8]);
        }
      }
    }

    const upload = uploads.get(PIECE)!;
    const [claim] = await claimsOf(db, upload);
    const about = { claim: claim!.id };
    const uploader = { role: 'uploader', id: 'someone' } as const;
    await instance.cases.take(about, { do: 'dispute', grounds: ['quotation'] }, uploader);
    await instance.cases.take(about, { do: 'answer-dispute', answer: 'release' }, { role: 'holder', id: 'operator' });
    const restored = await network.until('the restoration', async () =>
      (await network.takedowns()).find((t) => t.action === 'restore'),
    );
    expect(restored).toMatchObject({ upload, why: 'accepted', epoch: 1, reference: { id: claim!.reference } });
    const verdicts = (await network.verdicts()).filter((v) => v.upload === upload);
    expect(verdicts.map((v) => [v.revision, v.verdict, v.cause])).toEqual([
      [1, 'taken-down', 'first'],
      [2, 'cleared', 'dispute'],
    ]);

    const chain = (await caseEvents(db, claim!.case)).map((e) => e.kind);
    expect(chain.filter((kind) => kind !== 'evidence')).toEqual(
      expect.arrayContaining(['opened', 'take-down', 'takedown', 'pictures', 'dispute', 'answer-dispute', 'restore']),
    );
    await network.until('the webhook', async () => told.some((t) => t.type === 'claim.restore'));
    expect(told.every((t) => t.signed)).toBe(true);
    expect((await verifyAudit(db)).broken).toBeNull();
  }, 180_000);
});
