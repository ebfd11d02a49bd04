import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findFfmpeg, readVersion } from './ffmpeg-location.ts';
import { scratchFolder } from './test-support.ts';

const folder = await scratchFolder();
afterAll(() => folder[Symbol.asyncDispose]());

/** A folder with programs that only know their version. */
async function programs(name: string, banner: string, pair = ['ffmpeg', 'ffprobe']): Promise<string> {
  const path = join(folder.path, name);
  for (const program of pair) {
    const file = join(path, program);
    await mkdir(dirname(file), { recursive: true });
    const said = banner.replace('PROGRAM', program.endsWith('probe') ? 'ffprobe' : 'ffmpeg');
    await writeFile(file, `#!/bin/sh\nprintf '%b' '${said}'\n`);
    await chmod(file, 0o755);
  }
  return path;
}

const recent = await programs('recent', 'PROGRAM version 7.1.1-static Copyright (c)\\n');
const dated = await programs('dated', 'PROGRAM version 4.4.2-0ubuntu0.22.04.1 Copyright (c)\\n');
const snapshot = ['@ffmpeg-installer/linux-x64/ffmpeg', '@ffprobe-installer/linux-x64/ffprobe'];
const fallbackFolder = await programs(
  'old',
  'PROGRAM version N-47683-g0e\\nlibavcodec     58. 42.100 / 58\\n',
  snapshot,
);

describe('findFfmpeg', () => {
  test('takes a recent pair on the path', async () => {
    const found = await findFfmpeg({ path: `/nowhere:${recent}`, allowOld: false });
    expect(found).toEqual({
      ffmpeg: join(recent, 'ffmpeg'),
      ffprobe: join(recent, 'ffprobe'),
      version: '7.1.1-static',
      old: false,
      warning: null,
    });
  });

  test('passes over an old one on the path, and says so', async () => {
    const options = { path: dated, allowOld: false, fallbackFolder };
    await expect(findFfmpeg(options)).rejects.toThrow(/4\.4\.2.*older than 5.*apt-get install ffmpeg/s);
    expect(await findFfmpeg({ ...options, allowOld: true })).toMatchObject({
      ffmpeg: join(fallbackFolder, snapshot[0]!),
      version: '4.0 (N-47683-g0e)',
      old: true,
      warning: expect.stringContaining('old build'),
    });
  });

  test('takes the named pair before any other, or fails', async () => {
    const named = { ffmpegPath: join(recent, 'ffmpeg'), ffprobePath: join(recent, 'ffprobe') };
    expect(await findFfmpeg({ ...named, path: dated, allowOld: false })).toMatchObject({ version: '7.1.1-static' });
    const gone = { ffmpegPath: '/nowhere/ffmpeg', ffprobePath: '/nowhere/ffprobe', path: recent, allowOld: true };
    await expect(findFfmpeg(gone)).rejects.toThrow(/do not both run/);
    await expect(findFfmpeg({ ffmpegPath: named.ffmpegPath, path: recent, allowOld: true })).rejects.toThrow(/both/);
    const old = { ffmpegPath: join(dated, 'ffmpeg'), ffprobePath: join(dated, 'ffprobe'), path: '' };
    await expect(findFfmpeg({ ...old, allowOld: false })).rejects.toThrow(/too old/);
    expect(await findFfmpeg({ ...old, allowOld: true })).toMatchObject({ old: true });
  });

  test('names the remedies when there is none, or only half of one', async () => {
    await expect(findFfmpeg({ path: '', allowOld: true, fallbackFolder: '/nowhere' })).rejects.toThrow(
      /apt-get install/,
    );
    const half = join(folder.path, 'half');
    await mkdir(half);
    await symlink(join(recent, 'ffmpeg'), join(half, 'ffmpeg'));
    await expect(findFfmpeg({ path: half, allowOld: false })).rejects.toThrow(/no usable ffmpeg/);
  });
});

test.each([
  ['ffmpeg version 5.1.9-0+deb12u1 Copyright', '5.1.9-0+deb12u1'],
  ['ffprobe version n6.1 Copyright', '6.1'],
  [
    'ffmpeg version N-119000-gabc Copyright\nlibavutil      60.  0.100\nlibavcodec     62.  1.100 / 62',
    '8.0 (N-119000-gabc)',
  ],
  ['avconv 12', null],
  ['ffmpeg version ?', null],
])('reads the version in %j', (text, version) => {
  expect(readVersion(text)).toBe(version);
});
