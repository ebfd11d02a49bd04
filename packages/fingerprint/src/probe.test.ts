import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bytesSource, DEFAULT_LIMITS } from './media-source.ts';
import { probeVideo } from './probe.ts';
import { scratchFolder } from './test-support.ts';

/** Faked: ffprobe, which knows the streams at once and looks for the last packets without an end. */
const folder = await scratchFolder();
afterAll(() => folder[Symbol.asyncDispose]());

const stream = { index: 0, codec_type: 'video', codec_name: 'h264', width: 640, height: 360, duration: '40.0' };

async function probeWith(reads: { explain(): boolean }) {
  const ffprobe = join(folder.path, 'ffprobe');
  const streams = JSON.stringify({ streams: [stream], format: { duration: '40.0' } });
  await writeFile(ffprobe, `#!/bin/sh\ncase "$*" in *json*) echo '${streams}' ;; *) exec sleep 60 ;; esac\n`);
  await chmod(ffprobe, 0o755);
  const limits = { ...DEFAULT_LIMITS, probeSeconds: 3 };
  const tools = { ffmpeg: ffprobe, ffprobe, version: '6.0' };
  return probeVideo({
    url: 'http://127.0.0.1:9/',
    source: bytesSource(new Uint8Array(9)),
    reads,
    format: 'mp4',
    tools,
    limits,
  });
}

test('what a header claims is believed when the end takes too long to find, but not when the store kept it', async () => {
  expect(await probeWith({ explain: () => false })).toMatchObject({
    status: 'probed',
    probe: { duration: 40, notes: ['the duration is what the header claims'] },
  });
  expect(await probeWith({ explain: () => true })).toMatchObject({ status: 'rejected', reason: 'too-slow' });
});
