import { createHash } from 'node:crypto';
import type { BlobStore } from '@vigil/blob-store';
import { type Opened, Pictures, type Probe } from '@vigil/contracts';
import {
  type Database,
  type EvidencePicture,
  findClaim,
  findReference,
  isDeleted,
  lockUpload,
  picturesOf,
  savePictures,
} from '@vigil/database';
import type { MediaSource } from '@vigil/fingerprint';
import type { Clock } from '@vigil/runtime';
import { type Ledger, SYSTEM } from '../claims/ledger.ts';
import { OWN_BUCKET } from '../emit.ts';
import type { Lanes } from '../lanes.ts';
import type { Media } from '../media.ts';
import { done, type Outcome, skipped } from '../outcome.ts';
import { READERS } from '../readers.ts';
import type { Stage } from '../run-stage.ts';

export interface PictureDeps {
  media: Media;
  blobs: BlobStore;
  database: Database;
  ledger: Ledger;
  lanes: Lanes;
  clock: Clock;
  concurrency: number;
}

type Readable = { source: MediaSource; probe: Probe };

/**
 * Pairs of frames, of the upload and of what it copies, so that a person can see why after the media are gone. They are asked for
 * when a claim is opened and made when nothing more urgent waits: a takedown never waits for them. The chain of the case holds
 * their digests.
 */
export function takePictures(deps: PictureDeps): Stage<Pictures> {
  const { media, blobs, database, ledger, lanes, clock, concurrency } = deps;
  const db = database.postgres;

  /** Opened, or why not. */
  async function open(
    location: Pictures['media'],
    known: Probe | null,
    signal: AbortSignal,
  ): Promise<Readable | string> {
    const opened = await media.open(location);
    if (opened.status === 'rejected') return opened.detail;
    if (known) return { source: opened.source, probe: known };
    const probed = await media.fingerprinter.probe(opened.source, signal);
    return probed.status === 'probed' ? { source: opened.source, probe: probed.probe } : probed.detail;
  }

  /** Of each moment, in order: where its picture lies, and its digest; null where there is none. */
  async function keep(
    { source, probe }: Readable,
    moments: readonly { key: string; at: number }[],
    signal: AbortSignal,
  ): Promise<({ key: string; sha256: string } | null)[]> {
    const made = await media.fingerprinter.pictures(source, { probe, at: moments.map(({ at }) => at) }, signal);
    return Promise.all(
      made.map(async (picture, n) => {
        if (picture.status === 'rejected') return null;
        const { key } = moments[n]!;
        const sha256 = createHash('sha256').update(picture.jpeg).digest('hex');
        await blobs.put(OWN_BUCKET, key, picture.jpeg, { sha256 });
        return { key, sha256 };
      }),
    );
  }

  async function take(event: Pictures, signal: AbortSignal, alive?: () => void): Promise<Outcome> {
    const { claim: id, upload, reference } = event;
    if (await isDeleted(db, upload)) return skipped('the upload is deleted');
    if ((await picturesOf(db, id)).length > 0) return skipped('known already');
    const row = await findReference(db, reference.id, reference.version);
    if (!row) return skipped(`there is no reference ${reference.id}`);
    const ours = await open(event.media, event.probe, signal);
    if (typeof ours === 'string') return skipped(`the upload cannot be opened: ${ours}`);
    const theirs = await open(row.media, null, signal);
    if (typeof theirs === 'string') return skipped(`the reference cannot be opened: ${theirs}`);

    const moments = (of: 'upload' | 'reference') =>
      event.pairs.map((pair, n) => ({ key: `evidence/${id}/${n}-${of}.jpg`, at: pair[of] }));
    const taken = (of: Readable, keys: ReturnType<typeof moments>) =>
      lanes.run('batch', signal, () => keep(of, keys, signal), alive);
    const mine = await taken(ours, moments('upload'));
    alive?.();
    const its = await taken(theirs, moments('reference'));
    const pictures: EvidencePicture[] = [];
    const digests: { n: number; upload: string; reference: string }[] = [];
    for (const [n, pair] of event.pairs.entries()) {
      const [a, b] = [mine[n], its[n]];
      if (!a || !b) continue;
      digests.push({ n, upload: a.sha256, reference: b.sha256 });
      pictures.push({
        claim: id,
        n,
        uploadKey: a.key,
        uploadTime: pair.upload,
        referenceKey: b.key,
        referenceTime: pair.reference,
        madeAt: clock.now(),
      });
    }
    if (pictures.length === 0) return skipped('no picture could be made');
    return database.transaction(async (tx) => {
      await lockUpload(tx, upload);
      const claim = await findClaim(tx, id);
      if (!claim) return skipped(`there is no claim ${id}`);
      if ((await picturesOf(tx, id)).length > 0) return skipped('known already');
      await savePictures(tx, pictures);
      await ledger.note(tx, claim, { kind: 'pictures', data: { pictures: digests } }, SYSTEM);
      return done();
    });
  }

  return {
    ...READERS.pictures,
    concurrency,
    schema: Pictures,
    run: ({ event }: Opened<Pictures>, signal, alive) => take(event.data, signal, alive),
  };
}
