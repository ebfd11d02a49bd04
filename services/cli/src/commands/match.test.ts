/** `vigil match` as a user calls it: a process of its own, on the seeds' media. */
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SeedSet } from '../../../../seeds/generate.ts';
import { ffmpegHere } from '../../../../test/support/ffmpeg.ts';
import { seedsHere } from '../../../../test/support/seeds.ts';
import { vigil } from '../../../../test/support/vigil-process.ts';

interface Line {
  upload: string;
  outcome: string;
  reason?: string;
  decision: string;
  matches: {
    reference: string;
    confidence: number;
    uploadSpan: [number, number];
    referenceSpan: [number, number];
    altered: Record<string, unknown>;
  }[];
  coverage: number;
  elapsedMs: number;
}

let seeds: SeedSet;
let home: string;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  seeds = await seedsHere();
  home = await mkdtemp(path.join(tmpdir(), 'vigil-match-'));
  for (const folder of ['references', 'uploads/inbox', 'empty', 'cwd', 'tmp', 'home'])
    await mkdir(path.join(home, folder), { recursive: true });
  const copy = (name: string, to: string) =>
    cp([...seeds.references, ...seeds.uploads].find((s) => s.name === name)!.path, path.join(home, to));
  await copy('paper-machines.mp4', 'references/paper-machines.mp4');
  await copy('picture-morning-ridge.png', 'references/ridge.png');
  await copy('piece-mpeg4.mkv', 'uploads/inbox/piece.mkv');
  await copy('copy-small.jpg', 'uploads/copy-small.jpg');
  await copy('glass-works.mp4', 'uploads/glass-works.mp4');
  await copy('letter.jpg', 'uploads/letter.jpg');
  await copy('empty.mp4', 'uploads/empty.mp4');
  const { ffmpeg, ffprobe } = await ffmpegHere();
  env = { ...process.env, VIGIL_FFMPEG: ffmpeg, VIGIL_FFPROBE: ffprobe };
  Object.assign(env, { TMPDIR: path.join(home, 'tmp'), HOME: path.join(home, 'home') });
}, 180_000);
afterAll(() => rm(home, { recursive: true, force: true }));

const at = (name: string) => path.join(home, name);
const match = (...args: string[]) => vigil(['match', ...args], { env, cwd: at('cwd') });
const linesOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

describe('vigil match --json', () => {
  let lines: Map<string, Line>;
  let ended: Awaited<ReturnType<typeof match>>;
  beforeAll(async () => {
    ended = await match('--references', at('references'), '--uploads', at('uploads'), '--json');
    lines = new Map(linesOf(ended.stdout).map((line) => [line.upload, line]));
  }, 120_000);

  test('prints one line an upload, by its path below the folder, and nothing else', () => {
    expect(ended.code).toBe(0);
    // An old ffmpeg is warned of, also here.
    expect(ended.stderr.split('\n').filter((line) => line !== '' && !/^ffmpeg 4\S* /.test(line))).toEqual([]);
    expect([...lines.keys()].sort()).toEqual([
      'copy-small.jpg',
      'empty.mp4',
      'glass-works.mp4',
      'inbox/piece.mkv',
      'letter.jpg',
    ]);
    expect(linesOf(ended.stdout).length).toBe(5);
  });

  test('says which part of which reference a piece shows', () => {
    const line = lines.get('inbox/piece.mkv')!;
    expect(Object.keys(line)).toEqual(['upload', 'outcome', 'decision', 'matches', 'coverage', 'elapsedMs']);
    expect(line).toMatchObject({ outcome: 'fingerprinted', decision: 'takedown', coverage: 1 });
    const [best] = line.matches;
    expect(Object.keys(best!)).toEqual(['reference', 'confidence', 'uploadSpan', 'referenceSpan', 'altered']);
    expect(best!.reference).toBe('paper-machines.mp4');
    const { uploadSpan, referenceSpan } = seeds.uploads.find((u) => u.name === 'piece-mpeg4.mkv')!.expect;
    for (const [said, is] of [
      [best!.uploadSpan, uploadSpan!],
      [best!.referenceSpan, referenceSpan!],
    ] as const)
      for (const k of [0, 1] as const) expect(Math.abs(said[k] - is[k])).toBeLessThanOrEqual(1);
    expect(best!.confidence).toBeGreaterThan(0.5);
    expect(best!.confidence).toBeLessThanOrEqual(1);
    expect(line.elapsedMs).toBeGreaterThan(0);
  });

  test('gives pictures no times', () => {
    const line = lines.get('copy-small.jpg')!;
    expect(line).toMatchObject({ outcome: 'fingerprinted', decision: 'takedown', coverage: 1 });
    expect(line.matches).toEqual([
      {
        reference: 'ridge.png',
        confidence: expect.any(Number),
        uploadSpan: [0, 0],
        referenceSpan: [0, 0],
        altered: expect.not.objectContaining({ turn: expect.anything() }),
      },
    ]);
  });

  test('finds nothing in what is clean', () => {
    const { elapsedMs: _, ...line } = lines.get('glass-works.mp4')!;
    expect(line).toEqual({
      upload: 'glass-works.mp4',
      outcome: 'fingerprinted',
      decision: 'none',
      matches: [],
      coverage: 1,
    });
  });

  test('names the reason why something cannot be judged', () => {
    for (const [upload, reason] of [
      ['letter.jpg', 'not-media'],
      ['empty.mp4', 'empty'],
    ] as const) {
      const { elapsedMs: _, ...line } = lines.get(upload)!;
      expect(line).toEqual({ upload, outcome: 'rejected', reason, decision: 'none', matches: [], coverage: 0 });
    }
  });

  test('leaves nothing behind', async () => {
    const left = await Promise.all(['cwd', 'tmp', 'home', 'empty'].map((folder) => readdir(at(folder))));
    expect(left).toEqual([[], [], [], []]);
    expect((await readdir(at('references'))).sort()).toEqual(['paper-machines.mp4', 'ridge.png']);
  });
});

describe('vigil match', () => {
  const one = ['--references', 'references/ridge.png', '--uploads', 'uploads/copy-small.jpg'];
  const oneFile = () => one.map((word) => (word.includes('/') ? at(word) : word));

  test('prints a table that a person reads', async () => {
    const { code, stdout, stderr } = await match(...oneFile(), at('uploads/letter.jpg'));
    const rows = stdout.trimEnd().split('\n');
    expect(code).toBe(0);
    expect(rows.length).toBe(3);
    expect(rows[0]).toMatch(/^upload +decision +reference +in the upload +in the reference +altered$/);
    expect(rows.find((row) => row.startsWith('copy-small.jpg'))).toMatch(/takedown +ridge\.png +whole picture/);
    expect(rows.find((row) => row.startsWith('letter.jpg'))).toContain(
      'rejected  the bytes are neither an image nor a video',
    );
    expect(stderr).toContain('learned ridge.png (picture');
  });

  test('judges by the policy that it is given', async () => {
    const policy = at('policy.json');
    await writeFile(policy, JSON.stringify({ onManifest: 'monitor', territories: ['AT'] }));
    const { code, stdout } = await match(...oneFile(), '--policy', policy, '--json');
    expect(code).toBe(0);
    const [line] = linesOf(stdout);
    expect(line).toMatchObject({ decision: 'monitor', matches: [{ reference: 'ridge.png' }] });
  });

  test('follows links to files, and says so where one leads nowhere', async () => {
    await mkdir(at('links'), { recursive: true });
    await symlink(at('uploads/copy-small.jpg'), at('links/linked.jpg'));
    await symlink(at('uploads/no-such-file'), at('links/nowhere.jpg'));
    const { code, stdout } = await match('-r', at('references/ridge.png'), '-u', at('links'), '--json');
    expect(code).toBe(0);
    const said = linesOf(stdout).map((l) => [l.upload, l.outcome, l.reason, l.decision]);
    expect(said.sort()).toEqual([
      ['linked.jpg', 'fingerprinted', undefined, 'takedown'],
      ['nowhere.jpg', 'rejected', 'missing', 'none'],
    ]);
  });

  test('keeps files of one name in several folders apart', async () => {
    for (const folder of ['a', 'b']) await mkdir(at(folder), { recursive: true });
    await cp(at('references/ridge.png'), at('a/work.png'));
    await cp(seeds.references.find((r) => r.name === 'picture-shoal.jpg')!.path, at('b/work.png'));
    const { code, stdout } = await match('-r', at('a'), at('b'), '-u', at('uploads/copy-small.jpg'), '--json');
    expect(code).toBe(0);
    const [line] = linesOf(stdout);
    expect(line!.matches.map((m) => m.reference)).toEqual([path.join(at('a'), 'work.png')]);
  });

  test('goes on when a reference cannot be read, and says that it protects nothing', async () => {
    const { code, stdout, stderr } = await match(
      ...['-r', at('references/ridge.png'), at('uploads/letter.jpg')],
      ...['-u', at('uploads/copy-small.jpg'), '--json'],
    );
    expect(code).toBe(0);
    expect(linesOf(stdout).map((l) => l.decision)).toEqual(['takedown']);
    expect(stderr).toMatch(/reference letter\.jpg protects nothing: not-media/);
  });

  test.each([
    ['no arguments', () => [], /required option '-r, --references <path\.\.\.>' not specified/],
    ['no uploads', () => ['-r', at('references')], /required option '-u, --uploads <path\.\.\.>' not specified/],
    ['a missing path', () => ['-r', at('nowhere'), '-u', at('uploads')], /--references: there is no .*nowhere/],
    [
      'another missing path',
      () => ['-r', at('references'), '-u', at('gone.mp4')],
      /--uploads: there is no .*gone\.mp4/,
    ],
    ['an empty folder', () => ['-r', at('references'), '-u', at('empty')], /--uploads: no file below .*empty/],
    ['an unknown option', () => ['-r', at('references'), '-u', at('uploads'), '--fast'], /unknown option '--fast'/],
    ['threads that are none', () => [...oneFile(), '--threads', '0'], /give a whole number above zero/],
    [
      'a policy that is not there',
      () => [...oneFile(), '--policy', at('none.json')],
      /--policy .*none\.json cannot be read/,
    ],
  ])('ends with 2 and says what is wrong: %s', async (_, args, message) => {
    const { code, stdout, stderr } = await match(...args());
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test.each([
    ['of unknown fields', '{"minContiguousSecond": 3}', /is not a policy:\n.*"?minContiguousSecond"?/],
    ['of values out of range', '{"minUploadShare": 1.5}', /is not a policy:[\s\S]*minUploadShare/],
    ['of broken JSON', '{"territories": [', /is not a policy:\n.*JSON/],
    ['of another kind', '[]', /is not a policy:\n.*object/],
  ])('ends with 2 for a policy %s', async (_, text, message) => {
    await writeFile(at('wrong.json'), text);
    const { code, stdout, stderr } = await match(...oneFile(), '--policy', at('wrong.json'));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});
