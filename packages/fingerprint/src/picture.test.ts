import { join } from 'node:path';
import type { Probe } from '@vigil/contracts';
import sharp from 'sharp';
import { afterAll, describe, expect, test } from 'vitest';
import { everyFrame } from './decoder-options.ts';
import { bytesSource } from './media-source.ts';
import { openFingerprinter } from './open-fingerprinter.ts';
import { findBuilds, make, scratchFolder } from './test-support.ts';

/** Real: everything. Made up: a film whose colour tells the second that it shows. */
const [build] = await findBuilds();
const folder = await scratchFolder();
const fingerprinter = await openFingerprinter({ threads: 1, ffmpeg: build! });
afterAll(async () => {
  await fingerprinter[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function opened(name: string, ...args: string[]) {
  const source = bytesSource(await make(build!, [...args, join(folder.path, name)]));
  const probed = await fingerprinter.probe(source);
  if (probed.status !== 'probed') throw new Error(probed.detail);
  return { source, probe: probed.probe };
}
const colourOf = async (jpeg: Uint8Array) => {
  const { channels } = await sharp(jpeg).stats();
  return channels.map((c) => Math.round(c.mean));
};
const near = ([r, g, b]: number[], wanted: [number, number, number]) =>
  [r! - wanted[0], g! - wanted[1], b! - wanted[2]].every((d) => Math.abs(d) < 25);

/** Of a film that is red for three seconds and then blue: the instant, and what it shows. */
const RED_THEN_BLUE: [number, [number, number, number]][] = [
  [0, [254, 0, 0]],
  [1, [254, 0, 0]],
  [2.8, [254, 0, 0]],
  [3.2, [0, 0, 254]],
  [6, [0, 0, 254]],
];

/** The film's pictures at those instants, which must show what belongs there. */
async function redThenBlue({ source, probe }: Awaited<ReturnType<typeof opened>>) {
  const pictures = [];
  const outcomes = await fingerprinter.pictures(source, { probe, at: RED_THEN_BLUE.map(([at]) => at) });
  expect(outcomes).toHaveLength(RED_THEN_BLUE.length);
  for (const [n, [at, wanted]] of RED_THEN_BLUE.entries()) {
    const outcome = outcomes[n]!;
    if (outcome.status !== 'picture') throw new Error(outcome.detail);
    expect(near(await colourOf(outcome.jpeg), wanted), `${at} s`).toBe(true);
    pictures.push(outcome);
  }
  return pictures;
}

describe('a picture to look at', () => {
  test('of a film is the frame at that time, small, whole and in colour', async () => {
    const film = await opened(
      'f.mp4',
      ...[
        '-f',
        'lavfi',
        '-i',
        'color=c=red:s=640x360:r=10:d=3',
        '-f',
        'lavfi',
        '-i',
        'color=c=blue:s=640x360:r=10:d=3',
      ],
      ...['-filter_complex', '[0][1]concat=n=2:v=1', '-g', '100', '-c:v', 'mpeg4', '-q:v', '3'],
    );
    for (const outcome of await redThenBlue(film)) {
      expect([outcome.width, outcome.height]).toEqual([320, 180]);
      expect(await sharp(outcome.jpeg).metadata()).toMatchObject({ format: 'jpeg', width: 320, height: 180 });
      expect(outcome.jpeg.length).toBeLessThan(40_000);
    }
  });

  test('is of the film, at its own time, where sound comes first and another track is there', async () => {
    const colour = (name: string) => ['-f', 'lavfi', '-i', `color=c=${name}:s=320x180:r=10:d=3`];
    const decoy = ['-f', 'lavfi', '-i', 'color=c=lime:s=64x64:r=10:d=16'];
    const film = await opened(
      'late.mp4',
      ...[...colour('red'), ...colour('blue'), ...decoy, '-f', 'lavfi', '-i', 'sine=d=16'],
      ...['-filter_complex', '[0][1]concat=n=2:v=1,setpts=PTS+10/TB[v]', '-map', '[v]', '-map', '2', '-map', '3'],
      ...[...everyFrame(build!.version), '-disposition:v:0', 'default', '-disposition:v:1', '0'],
      ...['-c:v', 'mjpeg', '-q:v', '3', '-c:a', 'aac'],
    );
    expect(film.probe.startTime).toBeCloseTo(10, 1);
    expect(await redThenBlue(film)).toHaveLength(RED_THEN_BLUE.length);
  });

  test('of a still keeps its shape, and nothing of what else was in the file', async () => {
    const png = await sharp({ create: { width: 100, height: 800, channels: 4, background: '#00ff00' } })
      .withExif({ IFD0: { Copyright: 'Ada' } })
      .png()
      .toBuffer();
    const source = bytesSource(new Uint8Array(png));
    const probed = await fingerprinter.probe(source);
    const { probe } = probed as { probe: Probe };
    const [outcome, again] = await fingerprinter.pictures(source, { probe, at: [0, 3] });
    if (outcome?.status !== 'picture') throw new Error(outcome?.detail);
    expect(again).toEqual(outcome);
    expect([outcome.width, outcome.height]).toEqual([40, 320]);
    expect((await sharp(outcome.jpeg).metadata()).exif).toBeUndefined();
    expect(near(await colourOf(outcome.jpeg), [0, 255, 0])).toBe(true);
  });

  test('past the end of a film is its last, and those before stay what they are', async () => {
    const film = await opened('short.mp4', '-f', 'lavfi', '-i', 'color=c=red:s=64x64:r=10:d=2', '-c:v', 'mpeg4');
    const outcomes = await fingerprinter.pictures(film.source, { probe: film.probe, at: [1, 2.4, 60, 0.5] });
    expect(outcomes.map(({ status }) => status)).toEqual(['picture', 'picture', 'rejected', 'picture']);
    expect(outcomes[2]).toMatchObject({ reason: 'no-frames' });
  });

  test('of what is no longer media is an outcome', async () => {
    const film = await opened('g.mp4', '-f', 'lavfi', '-i', 'color=c=red:s=64x64:r=10:d=1', '-c:v', 'mpeg4');
    const broken = bytesSource(new Uint8Array(5000));
    expect(await fingerprinter.pictures(broken, { probe: film.probe, at: [0, 0.5] })).toMatchObject([
      { status: 'rejected', reason: 'not-media' },
      { status: 'rejected', reason: 'not-media' },
    ]);
  });
});
