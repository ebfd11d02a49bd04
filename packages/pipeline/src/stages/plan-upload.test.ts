import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlobStore, openFileBlobStore } from '@vigil/blob-store';
import {
  type Envelope,
  FRAMES_FORMAT,
  jsonEnvelope,
  MalformedEvent,
  type Manifest,
  type MediaLocation,
  type Opened,
  type Probe,
  parseKeyPattern,
  type ReadUploads,
  type Slice,
  sliceSpan,
  uploadId,
} from '@vigil/contracts';
import { awsDeleteMarker, awsPut, awsTestMessage, cloudEvent, minioPut } from '@vigil/contracts/upload-samples';
import type { Fingerprinter, MediaSource } from '@vigil/fingerprint';
import { createFakeClock } from '@vigil/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFrameLists, type FrameLists } from '../frame-lists.ts';
import type { Media } from '../media.ts';
import type { Outcome } from '../outcome.ts';
import { planUpload } from './plan-upload.ts';

/** Real: the blob store, for lists of frames. Faked: the media, by name, and time. */
describe('plan', () => {
  let blobs: BlobStore;
  let root: string;
  let frames: FrameLists;
  let asked: MediaLocation[];
  let stage: ReturnType<typeof planUpload>;
  const signal = new AbortController().signal;

  const probe = (kind: Probe['kind'], duration: number): Probe => ({
    ...{ kind, format: kind === 'image' ? 'jpeg' : 'mp4', codec: 'c', width: 640, height: 360, duration },
    ...{ startTime: 0, frameRate: 0, size: 1, notes: [] },
  });
  const media: Media = {
    fingerprinter: {
      probe: async (source: MediaSource) =>
        source.size === 0
          ? { status: 'rejected', reason: 'empty', detail: 'no bytes' }
          : { status: 'probed', probe: source.size === 1 ? probe('image', 0) : probe('video', source.size) },
    } as unknown as Fingerprinter,
    open: async (location) => {
      asked.push(location);
      if (location.key.includes('missing')) return { status: 'rejected', reason: 'missing', detail: location.key };
      const size = location.key.endsWith('.mp4') ? 100 : location.key.includes('empty') ? 0 : 1;
      return { status: 'opened', source: { size, read: async () => [new Uint8Array(size)] } };
    },
    fingerprint: () => Promise.reject(new Error('planning fingerprints nothing')),
    fingerprintRun: () => Promise.reject(new Error('planning fingerprints nothing')),
  };
  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'vigil-plan-'));
    blobs = await openFileBlobStore({ root });
    frames = createFrameLists(blobs, media);
    asked = [];
    const mapping = { keyPattern: parseKeyPattern('{account}/{visibility}/{file}') };
    stage = planUpload({ media, frames, mapping, clock: createFakeClock(), layout: async () => 1, concurrency: 1 });
  });
  afterEach(async () => {
    await blobs[Symbol.asyncDispose]();
    await rm(root, { recursive: true });
  });

  const read = stageRead(() => stage);
  const plain = (data: unknown): Envelope => ({
    key: 'k',
    headers: {},
    value: new TextEncoder().encode(JSON.stringify(data)),
  });
  const ours = (data: unknown, action = 'created') =>
    jsonEnvelope('k', { id: 'e', type: `vigil.upload.${action}`, source: 'p', subject: 'k', time: 1, data });
  async function plan(envelope: Envelope) {
    const outcome = (await stage.run(read(envelope), signal)) as Extract<Outcome, { kind: 'done' }>;
    expect(outcome.kind).toBe('done');
    const of = <T>(to: string) => outcome.outputs.filter((o) => o.to === to).map((o) => o.data as T);
    return {
      manifests: of<Manifest>('manifests'),
      slices: [...of<Slice>('slicesFirst'), ...of<Slice>('slicesRest')],
      ids: outcome.outputs.map((o) => o.id),
    };
  }

  test('each object of a notification is an upload, and a second delivery says the same', async () => {
    const both = plain({ Records: [...awsPut.Records, ...minioPut.Records] });
    const { manifests, slices, ids } = await plan(both);
    expect(manifests.map((m) => [m.event.account, m.event.visibility, m.outcome.status])).toEqual([
      ['acc-17', 'public', 'planned'],
      ['acc_42', 'unlisted', 'planned'],
    ]);
    expect(slices.length).toBe(8);
    const { sequencer } = awsPut.Records[0]!.s3.object;
    const of = (one: string | undefined) => slices.filter((s) => s.sequencer === one).length;
    expect([of(sequencer), of(undefined)]).toEqual([4, 4]);
    expect(new Set(ids).size).toBe(10);
    expect((await plan(both)).ids).toEqual(ids);
  });

  test('what is deleted is told without a look at it', async () => {
    const { manifests, slices } = await plan(plain(awsDeleteMarker));
    expect(manifests).toMatchObject([
      { event: { action: 'deleted', media: { version: '' } }, outcome: { status: 'rejected', reason: 'deleted' } },
    ]);
    expect(slices).toEqual([]);
    expect(asked).toEqual([]);
  });

  test('what cannot be looked at has a verdict all the same: each upload of the message', async () => {
    const outputs = await stage.giveUp!(read(plain({ Records: [...awsPut.Records, ...minioPut.Records] })), 'no luck');
    expect(outputs.map((o) => [o.to, (o.data as Manifest).outcome])).toEqual(
      [0, 1].map(() => ['manifests', { status: 'rejected', reason: 'given-up', detail: 'no luck' }]),
    );
    const [gone] = await stage.giveUp!(read(plain(awsDeleteMarker)), 'no luck');
    expect(gone!.data).toMatchObject({ outcome: { status: 'rejected', reason: 'deleted' } });
  });

  test('a message without an upload is passed over', async () => {
    expect(await stage.run(read(plain(awsTestMessage)), signal)).toEqual({
      kind: 'skipped',
      reason: 'no upload: s3:TestEvent',
    });
  });

  test('what nobody understands is the sender’s mistake', () => {
    expect(() => read(plain({ some: 'thing' }))).toThrow(MalformedEvent);
    expect(() => read(ours({ ...cloudEvent, media: 7 }))).toThrow(MalformedEvent);
  });

  describe('of a list of frames', () => {
    const images = Array.from({ length: 130 }, (_, n) => ({ key: `f/${n}.jpg`, time: n / 2 }));
    const event = { ...cloudEvent, frames: { duration: 65, images } };

    test('is a video whose list stays in our bucket', async () => {
      const { manifests, slices } = await plan(ours(event));
      expect(manifests[0]!.outcome).toMatchObject({
        slices: 3,
        probe: { kind: 'video', format: FRAMES_FORMAT, width: 640, height: 360, duration: 65, frameRate: 2 },
      });
      expect(manifests[0]!.event.frames).toBeUndefined();
      expect(slices.map((s) => s.span)).toEqual([0, 1, 2].map((n) => sliceSpan(n, 65)));
      expect(JSON.stringify(slices)).not.toContain('f/1.jpg');
    });

    test('each slice finds its own pictures, no picture is lost and none is seen twice', async () => {
      const { slices } = await plan(ours(event));
      const upload = uploadId(cloudEvent.media);
      const times: number[] = [];
      for (const { media: of, probe: about, span } of slices) {
        const found = await frames.between(upload, of, about, span);
        times.push(...found.map((f) => f.time));
        expect(found.every((f) => f.time >= span[0] && f.time < span[1])).toBe(true);
        asked = [];
        await found[0]!.open();
        expect(asked).toEqual([
          { source: 'platform', bucket: 'uploads', key: `f/${found[0]!.time * 2}.jpg`, version: '' },
        ]);
      }
      expect(times.sort((a, b) => a - b)).toEqual(images.map((i) => i.time));
    });

    test('pictures may lie in another bucket, in a version of theirs', async () => {
      const one = { key: 'x.jpg', bucket: 'frames', version: 'v9', time: 0 };
      await plan(ours({ ...event, frames: { duration: 1, images: [one] } }));
      expect(asked).toEqual([{ source: 'platform', bucket: 'frames', key: 'x.jpg', version: 'v9' }]);
    });

    test('a damaged picture does not hide the others; when all that are looked at are damaged, that is said', async () => {
      const with3 = (names: string[]) => ({
        ...event,
        frames: { duration: 3, images: names.map((key, time) => ({ key, time })) },
      });
      expect((await plan(ours(with3(['missing', 'empty', 'good.jpg'])))).manifests[0]!.outcome.status).toBe('planned');
      expect((await plan(ours(with3(['missing', 'empty', 'film.mp4'])))).manifests[0]!.outcome).toEqual({
        status: 'rejected',
        reason: 'missing',
        detail: 'frame missing: missing',
      });
    });
  });
});

/** A plan reads messages itself. */
function stageRead(stage: () => ReturnType<typeof planUpload>): (envelope: Envelope) => Opened<ReadUploads> {
  return (envelope) => {
    const { schema } = stage();
    if (typeof schema !== 'function') throw new TypeError('plan has a schema');
    return schema(envelope);
  };
}
