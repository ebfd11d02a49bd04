import { writeFile } from 'node:fs/promises';
import type { Probe } from '@vigil/contracts';
import { sliceCount, sliceSpan } from '@vigil/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeFrames, type FrameChoice, workingSize } from './decode-frames.ts';
import { everyFrame } from './decoder-options.ts';
import { bytesSource, DEFAULT_LIMITS } from './media-source.ts';
import { probeVideo } from './probe.ts';
import { openRangeServer, type RangeServer } from './range-server.ts';
import { type Build, findBuilds, make, scratchFolder } from './test-support.ts';

/** Real: ffmpeg, ffprobe, the loopback server. Made up: the media. */
const RATE = 24;
const SECONDS = 70;
/** Level of frame n; neighbours differ, and a slice later no frame looks like another. */
const levelOf = (n: number) => 20 + ((n * 7) % 190);
const SIDE = 64;
const RAW = ['-f', 'rawvideo', '-pix_fmt', 'gray', '-s', `${SIDE}x${SIDE}`, '-r', String(RATE)];

const CONTAINERS: Record<string, string[]> = {
  'mp4, B-frames, a keyframe each 5 s': ['-c:v', 'mpeg4', '-q:v', '2', '-bf', '2', '-g', '120', 'x.mp4'],
  'mp4, keyframes 25 s apart': ['-c:v', 'mpeg4', '-q:v', '2', '-g', '600', '-sc_threshold', '1000000000', 'y.mp4'],
  'mp4 in fragments': ['-c:v', 'mpeg4', '-q:v', '2', '-g', '120', '-movflags', 'frag_keyframe+empty_moov', 'z.mp4'],
  matroska: ['-c:v', 'mpeg4', '-q:v', '2', '-bf', '2', '-g', '120', 'x.mkv'],
  'transport stream': ['-c:v', 'mpeg2video', '-q:v', '2', '-bf', '2', '-g', '120', 'x.ts'],
  avi: ['-c:v', 'mpeg4', '-q:v', '2', '-g', '120', 'x.avi'],
  flv: ['-c:v', 'flv1', '-q:v', '2', '-g', '120', 'x.flv'],
};
const FORMATS: Record<string, string> = { mkv: 'matroska', ts: 'mpeg-ts' };

const builds = await findBuilds();
const folder = await scratchFolder();
const media = new Map<string, Uint8Array>();
let server: RangeServer;

beforeAll(async () => {
  server = await openRangeServer();
  const raw = `${folder.path}/frames.raw`;
  const frame = (n: number) => Buffer.alloc(SIDE * SIDE, shownLevel(levelOf(n)));
  await writeFile(raw, Buffer.concat(Array.from({ length: SECONDS * RATE }, (_, n) => frame(n))));
  for (const [name, args] of Object.entries(CONTAINERS)) {
    const path = `${folder.path}/${args.at(-1)}`;
    media.set(name, await make(builds[0]!, [...RAW, '-i', raw, '-pix_fmt', 'yuv420p', ...args.slice(0, -1), path]));
  }
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function withMedia<T>(name: string, build: Build, use: (url: string, probe: Probe) => Promise<T>): Promise<T> {
  const source = bytesSource(media.get(name)!);
  await using share = server.share(source);
  const extension = (CONTAINERS[name]?.at(-1) ?? name).split('.')[1]!;
  const format = FORMATS[extension] ?? extension;
  const outcome = await probeVideo({ url: share.url, source, format, tools: build, limits: DEFAULT_LIMITS });
  if (outcome.status !== 'probed') throw new Error(JSON.stringify(outcome));
  return await use(share.url, outcome.probe);
}

async function readAll(url: string, probe: Probe, build: Build, choice: FrameChoice) {
  const slices: { time: number; keyframe: boolean; between: boolean | undefined; level: number }[][] = [];
  for (let n = 0; n < sliceCount(probe.duration); n++) {
    const frames: (typeof slices)[number] = [];
    const span = sliceSpan(n, probe.duration);
    const job = { url, probe, span, tools: build, limits: DEFAULT_LIMITS, decoderThreads: 1 };
    const end = await decodeFrames(job, choice, 60, ({ time, keyframe, between, luma }) => {
      frames.push({ time, keyframe, between, level: luma[luma.length >> 1]! });
      return false;
    });
    expect(end).toMatchObject({ status: 'decoded' });
    slices.push(frames);
  }
  return slices;
}

/** From limited range, 16..235, to full. */
const shownLevel = (level: number) => Math.max(0, Math.min(255, Math.round(((level - 16) * 255) / 219)));

describe.each(builds)('$name', (build) => {
  test.each(Object.keys(CONTAINERS))('%s: each frame is in one slice, at its time', async (name) => {
    await withMedia(name, build, async (url, probe) => {
      expect(probe.duration).toBeGreaterThan(SECONDS - 0.2);
      expect(probe.duration).toBeLessThan(SECONDS + 0.2);
      const slices = await readAll(url, probe, build, 'every');
      expect(slices).toHaveLength(3);
      const frames = slices.flat();
      expect(frames.map((frame) => Math.round(frame.time * RATE))).toEqual(
        Array.from({ length: SECONDS * RATE }, (_, n) => n),
      );
      // What is shown at that time is the frame of that time, not its neighbour.
      for (const frame of frames) {
        const n = Math.round(frame.time * RATE);
        const level = shownLevel(levelOf(n));
        expect(Math.abs(frame.level - level), `frame ${n}`).toBeLessThanOrEqual(4);
      }
      slices.forEach((slice, n) => {
        const [start, end] = sliceSpan(n, probe.duration);
        expect(slice[0]!.time).toBeGreaterThanOrEqual(start);
        expect(slice.at(-1)!.time).toBeLessThan(Math.max(end, SECONDS));
      });
    });
  });

  test("keyframes are the container's, each once", async () => {
    await withMedia('mp4, B-frames, a keyframe each 5 s', build, async (url, probe) => {
      const frames = (await readAll(url, probe, build, 'keyframes')).flat();
      expect(frames.every((frame) => frame.keyframe)).toBe(true);
      const times = frames.map((frame) => frame.time);
      expect(new Set(times).size).toBe(times.length);
      expect(times.length).toBeGreaterThanOrEqual(SECONDS / 5);
      expect(times.every((time) => Math.abs(time * RATE - Math.round(time * RATE)) < 0.01)).toBe(true);
    });
  });

  test.each([
    ['dense', 4],
    ['again', 8],
  ] as const)('%s takes the first frame at or after each half second, and %d a second beside', async (choice, rate) => {
    await withMedia('matroska', build, async (url, probe) => {
      const frames = (await readAll(url, probe, build, choice)).flat();
      const first = (each: number) =>
        Array.from({ length: each * SECONDS }, (_, k) => Math.round((1000 * Math.ceil((k / each) * RATE)) / RATE));
      const timesOf = (list: typeof frames) => list.map((frame) => Math.round(frame.time * 1000));
      expect(timesOf(frames)).toEqual(first(rate));
      expect(timesOf(frames.filter((frame) => !frame.between))).toEqual(first(2));
    });
  });

  test('levels are the same whatever range and depth a codec keeps them in', async () => {
    const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=5:d=1'];
    const kinds: Record<string, string[]> = {
      limited: ['-c:v', 'mpeg4', '-q:v', '1', '-pix_fmt', 'yuv420p', 'limited.mp4'],
      full: ['-c:v', 'mjpeg', '-q:v', '1', '-pix_fmt', 'yuvj420p', 'full.avi'],
      '4:4:4': ['-c:v', 'ffv1', '-pix_fmt', 'yuv444p', 'chroma.mkv'],
      '10 bits': ['-c:v', 'ffv1', '-pix_fmt', 'yuv420p10le', 'deep.mkv'],
    };
    const looks: Uint8Array[] = [];
    for (const args of Object.values(kinds)) {
      const bytes = await make(builds[0]!, [...picture, ...args.slice(0, -1), `${folder.path}/${args.at(-1)}`]);
      media.set(args.at(-1)!, bytes);
      await withMedia(args.at(-1)!, build, async (url, probe) => {
        const job = {
          url,
          probe,
          span: [0, 1] as [number, number],
          tools: build,
          limits: DEFAULT_LIMITS,
          decoderThreads: 1,
        };
        const first: Uint8Array[] = [];
        await decodeFrames(job, 'every', 60, ({ luma }) => first.push(luma) > 0);
        looks.push(first[0]!);
      });
    }
    for (const look of looks.slice(1)) {
      const off = look.reduce((sum, level, i) => sum + Math.abs(level - looks[0]![i]!), 0) / look.length;
      expect(off).toBeLessThan(2);
    }
  });

  test('an abort ends it with the reason of the signal', async () => {
    await withMedia('mp4, keyframes 25 s apart', build, async (url, probe) => {
      const stop = new AbortController();
      const job = {
        url,
        probe,
        span: [0, 30] as [number, number],
        tools: build,
        limits: DEFAULT_LIMITS,
        decoderThreads: 1,
      };
      const onFrame = () => {
        stop.abort(new Error('enough'));
        return false;
      };
      const run = decodeFrames(job, 'every', 60, onFrame, stop.signal);
      await expect(run).rejects.toThrow('enough');
    });
  });
});

test('frames are compared at about 400 x 225, and never enlarged', () => {
  expect(workingSize(1920, 1080)).toEqual({ width: 400, height: 226 });
  expect(workingSize(1080, 1920)).toEqual({ width: 226, height: 400 });
  expect(workingSize(160, 120)).toEqual({ width: 160, height: 120 });
  expect(workingSize(20_000, 40)).toEqual({ width: 2048, height: 32 });
});

test('of several tracks the one that players show is read', async () => {
  const build = builds[0]!;
  const film = ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=10:d=12'];
  const decoy = ['-f', 'lavfi', '-i', 'color=black:s=160x90:r=10:d=3'];
  const args = [...decoy, ...film, '-map', '0', '-map', '1', '-c:v', 'mpeg4', '-disposition:v:0', '0'];
  media.set('decoy.mp4', await make(build, [...args, '-disposition:v:1', 'default', `${folder.path}/decoy.mp4`]));
  await withMedia('decoy.mp4', build, async (url, probe) => {
    expect(probe).toMatchObject({ width: 320, height: 180, notes: ['2 video tracks, of which one is judged'] });
    expect(probe.duration).toBeCloseTo(12, 1);
    const frames = (await readAll(url, probe, build, 'every')).flat();
    expect(frames).toHaveLength(120);
    expect(frames.some((frame) => frame.level > 60)).toBe(true);
  });
});

test.each(builds)(
  'a default track that begins late is read, and not a small one from the start: $name',
  async (build) => {
    const film = ['-itsoffset', '8', '-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=10:d=4'];
    const decoy = ['-f', 'lavfi', '-i', 'color=black:s=160x90:r=10:d=12'];
    const args = [...film, ...decoy, '-map', '0', '-map', '1', '-c:v', 'mjpeg', ...everyFrame(builds[0]!.version)];
    const marks = ['-disposition:v:0', 'default', '-disposition:v:1', '0'];
    media.set('late.mp4', await make(builds[0]!, [...args, ...marks, `${folder.path}/late.mp4`]));
    await withMedia('late.mp4', build, async (url, probe) => {
      expect(probe).toMatchObject({ width: 320, height: 180, stream: 0 });
      expect(probe.startTime).toBeCloseTo(8, 1);
      expect(probe.duration).toBeCloseTo(4, 1);
      const frames = (await readAll(url, probe, build, 'every')).flat();
      expect(frames).toHaveLength(40);
      expect(frames.every((frame) => frame.level > 20)).toBe(true);
    });
  },
);

test.each(builds)(
  'a slice within a still is empty and not corrupt, whatever is said of subtitles: $name',
  async (build) => {
    // One picture subtitle, at 60 s: "PG", its time and its end, kind and length of what follows. Its size is in none of it.
    const subtitle = Buffer.alloc(13 + 3);
    subtitle.write('PG', 'latin1');
    subtitle.writeUInt32BE(60 * 90_000, 2);
    subtitle.writeUInt8(0x80, 10);
    await writeFile(`${folder.path}/s.sup`, subtitle);
    const film = ['-f', 'lavfi', '-i', "testsrc2=s=320x180:r=2:d=10,setpts='PTS+gt(T,5)*65/TB'"];
    const args = [...film, '-i', `${folder.path}/s.sup`, '-map', '0', '-map', '1', ...everyFrame(builds[0]!.version)];
    const kinds = ['-c:v', 'mjpeg', '-c:s', 'copy', `${folder.path}/still.mkv`];
    media.set('still.mkv', await make(builds[0]!, [...args, ...kinds]));
    await withMedia('still.mkv', build, async (url, probe) => {
      const slices = await readAll(url, probe, build, 'dense');
      expect(slices.map((slice) => slice.length > 0)).toEqual([true, false, true]);
    });
  },
);
