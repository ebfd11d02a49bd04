import { chmod, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DecoderKilled, type DecoderRun, runDecoder } from './ffmpeg.ts';
import { decodersRunning, findBuilds, make, scratchFolder } from './test-support.ts';

const builds = await findBuilds();
const folder = await scratchFolder();
const film = `${folder.path}/film.mp4`;
beforeAll(() => make(builds[0]!, ['-f', 'lavfi', '-i', 'testsrc2=s=320x180:r=25:d=20', '-c:v', 'mpeg4', film]));
afterAll(() => folder[Symbol.asyncDispose]());

const ROOMY = {
  wallSeconds: 60,
  cpuSeconds: 60,
  addressBytes: 3 * 2 ** 30,
  stderrBytes: 2 ** 24,
  stdoutBytes: 2 ** 30,
};

describe.each(builds)('$name', (build) => {
  const frames = (changes: Partial<DecoderRun> = {}): DecoderRun => ({
    program: build.ffmpeg,
    input: ['-hide_banner', '-nostdin', '-nostats', '-threads', '1'],
    url: film,
    output: ['-map', '0:V:0', '-vf', 'format=gray,showinfo', '-f', 'rawvideo'],
    limits: ROOMY,
    onBytes: () => true,
    ...changes,
  });

  test('hands over every byte before it says that it is done, however slow the reader', async () => {
    let bytes = 0;
    let lines = 0;
    const end = await runDecoder(
      frames({
        async onBytes(chunk) {
          await new Promise((resolve) => setImmediate(resolve));
          bytes += chunk.length;
          return true;
        },
        onLine: (line) => {
          if (line.includes(' iskey:')) lines++;
        },
      }),
    );
    expect(end.how).toBe('done');
    expect(bytes).toBe(320 * 180 * 25 * 20);
    expect(lines).toBe(25 * 20);
  });

  test('stops when it is told to', async () => {
    const end = await runDecoder(frames({ onBytes: () => false }));
    expect(end.how).toBe('stopped');
    expect(await decodersRunning()).toEqual([]);
  });

  test('is ended when its wall time is over, or its CPU time', async () => {
    const endless = ['-nostdin', '-f', 'lavfi'];
    const busy = { input: endless, url: 'testsrc2=s=1280x720', output: ['-f', 'rawvideo'] };
    const wall = await runDecoder(frames({ ...busy, limits: { ...ROOMY, wallSeconds: 0.3, stdoutBytes: 2 ** 40 } }));
    expect(wall.how).toBe('too-slow');
    const cpu = await runDecoder(frames({ ...busy, limits: { ...ROOMY, cpuSeconds: 1, stdoutBytes: 2 ** 40 } }));
    expect(cpu.how).toBe('too-slow');
    expect(await decodersRunning()).toEqual([]);
  });

  test('is ended when it writes or talks without end', async () => {
    expect((await runDecoder(frames({ limits: { ...ROOMY, stdoutBytes: 1000 } }))).how).toBe('too-much');
    expect((await runDecoder(frames({ limits: { ...ROOMY, stderrBytes: 1000 } }))).how).toBe('too-much');
  });

  test('gets no more memory than it is given', async () => {
    let bytes = 0;
    const large = frames({
      input: ['-f', 'lavfi'],
      url: 'color=s=8000x8000:d=1:r=1',
      output: ['-f', 'rawvideo'],
      onBytes: (chunk) => {
        bytes += chunk.length;
        return true;
      },
    });
    const end = await runDecoder({ ...large, limits: { ...ROOMY, addressBytes: 2 ** 27 } }).catch((e: Error) => e);
    // A build with many shared libraries does not even start in so little room.
    if (end instanceof Error) expect(end.message).toMatch(/could not be started/);
    expect(bytes).toBe(0);
    await runDecoder(large);
    expect(bytes).toBe(8000 * 8000 * 1.5);
  });

  test('fails with its own words, without our paths', async () => {
    const end = await runDecoder(frames({ url: `${folder.path}/nothing.mp4` }));
    expect(end).toMatchObject({ how: 'failed', said: expect.stringContaining('the media: No such file') });
  });

  test('an abort ends the process before it throws', async () => {
    const stop = new AbortController();
    const onBytes = () => {
      stop.abort(new Error('no longer wanted'));
      return true;
    };
    await expect(runDecoder(frames({ onBytes, signal: stop.signal }))).rejects.toThrow('no longer wanted');
    expect(await decodersRunning()).toEqual([]);
    await expect(runDecoder(frames({ signal: stop.signal }))).rejects.toThrow('no longer wanted');
  });

  test('a reader that throws ends it as well', async () => {
    const onBytes = () => Promise.reject(new Error('a bug of ours'));
    await expect(runDecoder(frames({ onBytes }))).rejects.toThrow('a bug of ours');
  });

  test('writes no file', async () => {
    const target = `${folder.path}/out.gray`;
    await runDecoder(frames({ output: ['-f', 'rawvideo', '-y', target, '-f', 'rawvideo'] }));
    const { size } = await import('node:fs/promises').then((fs) => fs.stat(target).catch(() => ({ size: 0 })));
    expect(size).toBe(0);
  });
});

test('a program that is not there is the fault of the environment', async () => {
  const run = { input: [], url: 'x', output: [], limits: ROOMY, onBytes: () => true };
  await expect(runDecoder({ ...run, program: '/nowhere/ffmpeg' })).rejects.toThrow(/could not be started/);
});

test('one that somebody else kills is to be tried again, and one that crashes or takes all its CPU time is not', async () => {
  const dies = async (how: string) => {
    const program = `${folder.path}/dies-${how}`;
    await writeFile(program, `#!/bin/sh\nkill -${how} $$\n`);
    await chmod(program, 0o755);
    return runDecoder({ program, input: [], url: 'x', output: [], limits: ROOMY, onBytes: () => true });
  };
  await expect(dies('KILL')).rejects.toThrow(DecoderKilled);
  await expect(dies('KILL')).rejects.toMatchObject({ retriable: true });
  expect(await dies('SEGV')).toMatchObject({ how: 'crashed' });
  expect(await dies('XCPU')).toMatchObject({ how: 'too-slow' });
});
