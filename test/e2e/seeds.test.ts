import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  actionId,
  openEnvelope,
  type TakedownEvent,
  TOPICS,
  UploadEvent,
  uploadId,
  type Verdict,
} from '@vigil/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isKafkaHere } from '../../infra/kafka/local-kafka.ts';
import type { SeedSet } from '../../seeds/generate.ts';
import { openFleet } from '../network/open-fleet.ts';
import { type Network, openNetwork } from '../network/open-network.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { describeWith } from '../support/require.ts';
import { s3Here } from '../support/s3.ts';
import { seedsHere } from '../support/seeds.ts';

/** Real: everything. The same works and uploads on both sets of stores, and the same truth table. */

/** Not what the broker has to say. */
const note = (line: string) => void (/^(no|fetching|building) /.test(line) && process.stderr.write(`${line}\n`));
const kafkaHere = await isKafkaHere(note);
const storeHere = await s3Here();
const PLACE_SECONDS = 1;

describe('on the laptop set: one process, PostgreSQL and files', () =>
  suite(async () => ({ network: await openNetwork() })));
describeWith('kafka', kafkaHere, 'on the fleet set', () => {
  describeWith('s3', storeHere, 'a role a process, Kafka and S3, the library in two shards', () =>
    suite(async () => {
      const fleet = await openFleet({ log: note });
      if (!fleet) throw new Error('there is no fleet to be had');
      return { network: await openNetwork({ fleet }), fleet };
    }),
  );
});

function suite(open: () => Promise<{ network: Network; fleet?: AsyncDisposable }>): void {
  const stack = new AsyncDisposableStack();
  let opened: Awaited<ReturnType<typeof open>>;
  let seeds: SeedSet;
  let references: Map<string, string>;
  let uploads: Map<string, string>;
  let verdicts: Map<string, Verdict>;
  let takedowns: TakedownEvent[];
  let versions: Map<string, string>;

  beforeAll(async () => {
    seeds = await seedsHere();
    opened = await open();
    const { network, fleet } = opened;
    if (fleet) stack.use(fleet);
    stack.use(network);
    const files = (list: readonly { name: string; path: string }[]) =>
      list.map((s) => ({ name: s.name, file: s.path }));
    references = await network.protect(files(seeds.references));
    uploads = await network.upload(files(seeds.uploads));
    await network.drain(uploads.values(), 240);
    const said = await network.verdicts();
    expect(said.map((v) => `${v.upload} ${v.revision}`).sort()).toEqual(
      [...uploads.values()].map((id) => `${id} 1`).sort(),
    );
    verdicts = new Map(said.map((v) => [v.upload, v]));
    takedowns = await network.takedowns();
    versions = new Map();
    const { log } = network.instance;
    for (const { partition, start, end } of await log.ends(TOPICS.uploads.name)) {
      for await (const record of log.read(TOPICS.uploads.name, partition, start, end)) {
        const { media } = openEnvelope(UploadEvent, record).event.data;
        versions.set(uploadId(media), media.version);
      }
    }
  }, 600_000);
  afterAll(() => stack.disposeAsync());

  test('each upload has one verdict, and that is the right one', () => {
    const wrong = seeds.uploads.flatMap(({ name, expect: { verdict, or = [], reason } }) => {
      const said = verdicts.get(uploads.get(name)!)!;
      const right = [verdict, ...or].includes(said.verdict) && (!reason || said.reason === reason);
      return right ? [] : [`${name}: ${said.verdict} ${said.reason}`];
    });
    expect(wrong).toEqual([]);
  });

  test('takedowns are exactly those of the truth table, of the right work and at the right place', () => {
    const copies = seeds.uploads.filter((u) => u.expect.verdict === 'taken-down');
    const expected = copies
      .map(({ name }) => uploads.get(name)!)
      .map((id) => actionId(id, versions.get(id)!, 'takedown', 0));
    expect([...new Set(takedowns.map((t) => t.id))].sort()).toEqual(expected.sort());
    expect(takedowns.every((t) => t.attempt === 1)).toBe(true);
    const wrong = copies.flatMap(({ name, kind, expect: { reference, uploadSpan, referenceSpan } }) => {
      const found = takedowns.find((t) => t.upload === uploads.get(name))!;
      if (found.reference?.id !== references.get(reference!)) return [`${name}: ${found.reference?.id}`];
      if (kind !== 'video') return [];
      const [segment] = found.segments;
      const shift = segment && segment.reference[0] - segment.upload[0];
      // A film that runs at another speed is compared where the segment begins.
      const speed = (referenceSpan![1] - referenceSpan![0]) / (uploadSpan![1] - uploadSpan![0]);
      const wanted = segment && referenceSpan![0] + (segment.upload[0] - uploadSpan![0]) * speed - segment.upload[0];
      return Math.abs(shift! - wanted!) <= PLACE_SECONDS ? [] : [`${name}: ${JSON.stringify(segment)}`];
    });
    expect(wrong).toEqual([]);
  });

  test('a second work, of which no keyframe says anything, is found in what is left of the first one’s slice', async () => {
    const [first, second] = seeds.references.filter(({ kind }) => kind === 'video');
    const folder = await mkdtemp(path.join(tmpdir(), 'vigil-two-works-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const file = path.join(folder, 'two.mp4');
    const [{ ffmpeg }, shape] = [await ffmpegHere(), 'scale=640:360,setsar=1,fps=25'];
    await run(ffmpeg, [
      ...[
        '-v',
        'error',
        '-nostdin',
        '-ss',
        '20',
        '-t',
        '9',
        '-i',
        first!.path,
        '-ss',
        '12',
        '-t',
        '10',
        '-i',
        second!.path,
      ],
      ...['-filter_complex', `[0:v]${shape}[a];[1:v]${shape}[b];[a][b]concat=n=2[out]`, '-map', '[out]'],
      ...[
        '-c:v',
        'libx264',
        '-preset',
        'veryfast',
        '-g',
        '1000',
        '-sc_threshold',
        '0',
        '-force_key_frames',
        '0,3,6',
        file,
      ],
    ]);
    const { network: n } = opened;
    const [upload] = (await n.upload([{ name: 'two works', file }])).values();
    const both = [first!, second!].map(({ name }) => references.get(name)!).sort();
    const last = await n.until('both works are named', async () => {
      const said = (await n.verdicts()).filter((v) => v.upload === upload);
      return said.find((v) => new Set(v.decisions.map((d) => d.evidence.reference.id)).size === both.length);
    });
    expect(last).toMatchObject({ verdict: 'taken-down', revision: 2, cause: 'late' });
    expect(last.decisions.map((d) => d.evidence.reference.id).sort()).toEqual(both);
    expect(last.decisions.map((d) => d.action)).toEqual(['takedown', 'takedown']);
  }, 120_000);
}
