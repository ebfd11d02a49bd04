import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { deadTopic, FRAMES_FORMAT, jsonEnvelope, TOPICS, uploadId } from '@vigil/contracts';
import { minioPut } from '@vigil/contracts/upload-samples';
import { findUpload } from '@vigil/database';
import type { LogRecord } from '@vigil/event-log';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SeedSet } from '../../seeds/generate.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { seedsHere } from '../support/seeds.ts';
import { type Network, openNetwork } from './open-network.ts';

const BUCKET = 'uploads';
const PIECE = 'piece-mirrored.mp4';
const INNOCENT = 'other-valley.mp4';

/** Real: the whole pipeline. Uploads come as a platform's messages rather than through our own door. */
describe('uploads in every form', () => {
  let seeds: SeedSet;
  let network: Network;
  beforeAll(async () => {
    seeds = await seedsHere();
    network = await openNetwork();
    await network.protect(
      seeds.references.filter((r) => r.kind === 'video').map((r) => ({ name: r.name, file: r.path })),
    );
  }, 180_000);
  afterAll(() => network?.[Symbol.asyncDispose]());

  const fileOf = (name: string) => seeds.uploads.find((u) => u.name === name)!.path;
  const put = async (key: string, file: string) => network.instance.blobs.put(BUCKET, key, await readFile(file));
  const send = (key: string, headers: Record<string, string>, value: Uint8Array) =>
    network.instance.log.append([{ topic: TOPICS.uploads.name, key, headers, value }]);
  const verdictOf = async (upload: string) => {
    await network.drain([upload], 150);
    return (await network.verdicts()).filter((v) => v.upload === upload).map((v) => v.verdict);
  };

  /** A film's first 20 seconds as pictures, four a second. */
  async function framesOf(name: string) {
    const folder = path.join(network.dataFolder, `frames-${name}`);
    await mkdir(folder);
    const { ffmpeg } = await ffmpegHere();
    const args = ['-v', 'error', '-nostdin', '-i', fileOf(name), '-t', '20', '-vf', 'fps=4', '-q:v', '3'];
    await run(ffmpeg, [...args, path.join(folder, '%04d.jpg')]);
    const files = (await readdir(folder)).sort();
    for (const file of files) await put(`${name}/${file}`, path.join(folder, file));
    return { duration: files.length / 4, images: files.map((file, n) => ({ key: `${name}/${file}`, time: n / 4 })) };
  }

  test.each([
    [PIECE, 'taken-down'],
    [INNOCENT, 'cleared'],
  ])('a list of frames of %s ends as %s', async (name, verdict) => {
    const media = { source: 'platform', bucket: BUCKET, key: `${name}/frames`, version: '1' };
    const data = { media, account: 'acc', receivedAt: Date.now(), frames: await framesOf(name) };
    const event = { id: name, type: 'vigil.upload.created', source: 'platform', subject: name, time: Date.now(), data };
    const { headers, value } = jsonEnvelope(name, event);
    await send(name, headers, value!);
    const upload = uploadId(media);
    expect(await verdictOf(upload)).toEqual([verdict]);
    const row = await findUpload(network.instance.database.postgres, upload);
    expect(row!.manifest!.outcome).toMatchObject({
      status: 'planned',
      probe: { format: FRAMES_FORMAT, kind: 'video' },
    });
    const takedowns = (await network.takedowns()).filter((t) => t.upload === upload);
    expect(takedowns.map((t) => t.media.key)).toEqual(verdict === 'taken-down' ? [media.key] : []);
  });

  test('after what nobody understands, the notification of an object store is judged', async () => {
    const key = `from the store/${PIECE}`;
    const { version } = await put(key, fileOf(PIECE));
    const [record] = minioPut.Records;
    const object = { ...record!.s3.object, key: encodeURIComponent(key).replaceAll('%20', '+'), eTag: version };
    const notification = { ...minioPut, Records: [{ ...record, s3: { ...record!.s3, object } }] };
    const bytes = (data: unknown) => new TextEncoder().encode(JSON.stringify(data));
    await send('same', {}, bytes({ no: 'idea' }));
    await send('same', {}, bytes(notification));
    const upload = uploadId({ source: 's3', bucket: BUCKET, key, version });
    expect(await verdictOf(upload)).toEqual(['taken-down']);
    const [takedown] = (await network.takedowns()).filter((t) => t.upload === upload);
    expect(takedown).toMatchObject({ account: 'acc_42', media: { bucket: BUCKET, key, version } });

    const dead: LogRecord[] = [];
    const topic = deadTopic(TOPICS.uploads.name);
    for (const { partition, start, end } of await network.instance.log.ends(topic)) {
      for await (const one of network.instance.log.read(topic, partition, start, end)) dead.push(one);
    }
    expect(dead.map((d) => [d.key, d.headers.vigil_reason])).toEqual([
      ['same', 'neither a CloudEvent nor a notification of an object store'],
    ]);
    expect(JSON.parse(new TextDecoder().decode(dead[0]!.value!))).toEqual({ no: 'idea' });
  });
});
