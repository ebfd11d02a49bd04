// Set-up is plain JavaScript that must run on an old Node, so it is tried from outside, as a process of its own.
import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vigil-setup-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a module's source text with `setup` as the folder of the set-up scripts. */
function running(source: string, env: Record<string, string> = {}) {
  const options: SpawnOptions = { env, stdio: ['ignore', 'pipe', 'pipe'] };
  const text = source.replaceAll('setup/', new URL('./', import.meta.url).href);
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], options);
  const output: string[] = [];
  child.stdout!.setEncoding('utf8').on('data', (part: string) => output.push(part));
  child.stderr!.setEncoding('utf8').on('data', (part: string) => output.push(part));
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output: output.join('') }));
  });
  const said = (word: string) =>
    new Promise<void>((resolve) => {
      child.stdout!.on('data', () => output.join('').includes(word) && resolve());
    });
  return { child, ended, said };
}

describe('which ffmpeg is taken', () => {
  const choose =
    "import { ensureFfmpeg } from 'setup/ffmpeg.mjs';\n" +
    'ensureFfmpeg({ allowFallback: false }).then((found) => console.log(JSON.stringify(found)), (error) => console.log(error.message));';

  function program(name: string, libavutil: number, version = `${name} version N-1-g0`): string {
    const path = join(folder, name);
    writeFileSync(
      path,
      `#!/bin/sh\necho '${version}'\necho 'libavutil      ${libavutil}. 28.100 / ${libavutil}. 28.100'\n`,
    );
    chmodSync(path, 0o755);
    return path;
  }

  it('is the one on the path, when it is recent and has its ffprobe, snapshots without a number included', async () => {
    const [ffmpeg, ffprobe] = [program('ffmpeg', 57), program('ffprobe', 57)];
    const { output } = await running(choose, { PATH: folder }).ended;
    expect(JSON.parse(output)).toEqual({ ffmpeg, ffprobe, byName: false });
  });

  it.each<[string, () => void, RegExp]>([
    [
      'ffmpeg 4',
      () => [program('ffmpeg', 56, 'ffmpeg version 4.4.2'), program('ffprobe', 57)],
      /too old: ffmpeg version 4\.4\.2/,
    ],
    ['no ffprobe', () => program('ffmpeg', 58), /no ffprobe on the PATH/],
    ['nothing', () => undefined, /no ffmpeg and no ffprobe on the PATH/],
  ])('%s is refused with the remedies', async (_, make, reason) => {
    make();
    const { output } = await running(choose, { PATH: folder }).ended;
    expect(output).toMatch(reason);
    expect(output).toContain('apt-get install ffmpeg');
    expect(output).toContain('VIGIL_FFMPEG=');
  });

  it('is the one that was named, with the ffprobe beside it; never another in its place', async () => {
    const [ffmpeg, ffprobe] = [program('ffmpeg', 60), program('ffprobe', 60)];
    const named = await running(choose, { PATH: '', VIGIL_FFMPEG: ffmpeg }).ended;
    expect(JSON.parse(named.output)).toEqual({ ffmpeg, ffprobe, byName: true });
    const missing = await running(choose, { PATH: folder, VIGIL_FFMPEG: join(folder, 'nowhere') }).ended;
    expect(missing.output).toMatch(/nowhere does not run/);
  });
});

describe('which browser is taken', () => {
  const choose =
    "import { ensureChromium } from 'setup/chromium.mjs';\n" +
    'ensureChromium().then((found) => console.log(found), (error) => console.log(error.message));';

  function program(says: string): string {
    const file = join(folder, 'chromium');
    writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
    chmodSync(file, 0o755);
    return file;
  }

  it('is the one that was named, or nothing', async () => {
    const named = program('Chromium 150.0.1');
    expect((await running(choose, { PATH: '/usr/bin:/bin', VIGIL_CHROMIUM: named }).ended).output).toBe(`${named}\n`);
    const other = await running(choose, { PATH: folder, VIGIL_CHROMIUM: program('a browser of another kind') }).ended;
    expect(other.output).toMatch(/VIGIL_CHROMIUM does not name a browser that will do/);
  });

  it('is the one on the path', async () => {
    const here = program('Chromium 150.0.1');
    expect((await running(choose, { PATH: folder }).ended).output).toBe(`${here}\n`);
  });
});

describe('handing over', () => {
  const handOver = (program: string) =>
    "import { handOver } from 'setup/process.mjs';\n" +
    `process.exitCode = await handOver(process.execPath, ['-e', ${JSON.stringify(program)}], process.env);`;

  it('passes the exit code through, and 128 + n for a signal', async () => {
    expect((await running(handOver('process.exit(7)')).ended).code).toBe(7);
    expect((await running(handOver("process.kill(process.pid, 'SIGKILL')")).ended).code).toBe(137);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('passes %s on and waits for the end', async (signal) => {
    const drain = `process.on('${signal}', () => setTimeout(() => process.exit(5), 50)); setInterval(() => {}, 1000); console.log('up');`;
    const { child, ended, said } = running(handOver(drain));
    await said('up');
    child.kill(signal);
    expect((await ended).code).toBe(5);
  });
});

describe('a lock', () => {
  let lock: string;
  beforeEach(() => {
    lock = join(folder, 'a.lock');
  });

  const imports = "import { writeFileSync } from 'node:fs';\nimport { takeLock } from 'setup/lock.mjs';\n";
  /** Says that it waits, and with what it ended. */
  const take = (limitMs: number) =>
    `await takeLock(${JSON.stringify(lock)}, { limitMs: ${limitMs}, waiting: () => console.log('waits') })` +
    ".then(() => console.log('has it'), (error) => console.log(error.code ?? error.message));\n";
  const refused = `Another process has held \\S+a\\.lock for 1 minutes. End it, or remove that file.\n`;

  it('leaves no file behind where there is no room for its owner in it', async () => {
    const source = (imports + take(1)).replaceAll('setup/', new URL('./', import.meta.url).href);
    const args = ['-c', 'ulimit -f 0; exec "$0" --input-type=module -e "$1"', process.execPath, source];
    const limited = spawn('/bin/sh', args);
    expect((await once(limited.stdout, 'data')).join('')).toBe('EFBIG\n');
    expect(existsSync(lock)).toBe(false);
  });

  it('of an earlier process with the same number is free, one of this process is not', async () => {
    const earlier = `writeFileSync(${JSON.stringify(lock)}, String(process.pid));\n`;
    const { output } = await running(imports + earlier + take(60_000) + take(1)).ended;
    expect(output).toMatch(new RegExp(`^waits\nhas it\nwaits\n${refused}$`));
  });

  it('is taken over when it was empty for some seconds, not before', async () => {
    writeFileSync(lock, '');
    expect((await running(imports + take(1)).ended).output).toMatch(new RegExp(`^waits\n${refused}$`));
    utimesSync(lock, new Date(), new Date(Date.now() - 10_000));
    expect((await running(imports + take(60_000)).ended).output).toBe('waits\nhas it\n');
  });
});

describe('the door', () => {
  it('says how it is used when the command is unknown', async () => {
    const { output } = await running("process.argv[2] = 'dance';\nawait import('setup/run.mjs');").ended;
    expect(output).toMatch(/usage: .*<demo\|start\|test/);
  });
});
