import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hamming } from '../packages/contracts/src/codes.ts';
import { codeOf, pdqBlock } from '../packages/fingerprint/src/pdq.ts';
import { lumaOf } from '../packages/fingerprint/src/pdq-filter.ts';
import { makeSeeds, versionOfGenerator } from './generate.ts';
import { alone } from './lock.ts';
import { createPainter, type Film, filmFrames, filmSeconds } from './paint/film.ts';
import { compose } from './paint/sound.ts';
import { PAINTED, REFERENCES, uploads } from './plan.ts';

const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const everything = uploads(() => true);

/** Codes of a film or picture at a quarter of its size, every `every` frames. */
function codesOf(film: Film, every: number) {
  const scale = film.width > 400 ? 4 : 2;
  const small = { ...film, width: film.width / scale, height: film.height / scale };
  const painter = createPainter(small);
  const out: { quality: number; code: Uint8Array }[] = [];
  for (let n = 0; n < (film.fps === 1 ? 1 : filmFrames(film)); n += every) {
    const block = pdqBlock(lumaOf(painter(n), small.width, small.height, 3), small.width, small.height);
    out.push({ quality: block.quality, code: codeOf(block.dct) });
  }
  return out;
}

describe('the painter', () => {
  const film = PAINTED['lantern-valley.mp4']!;

  it('paints the same frame again, whatever it painted before', () => {
    const [one, two] = [createPainter(film), createPainter(film)];
    for (const frame of [0, 50, 300]) two(frame);
    for (const frame of [137, 450, 899]) expect(digest(one(frame))).toBe(digest(two(frame)));
    expect(digest(one(137))).not.toBe(digest(one(138)));
  });

  it('composes the same sound again, of the length of the film', () => {
    const scenes = film.shots.map((shot) => shot.seconds);
    const sound = compose(3, scenes);
    expect(sound).toHaveLength(44 + 2 * Math.round(filmSeconds(film) * 22_050));
    expect(digest(sound)).toBe(digest(compose(3, scenes)));
    expect(digest(sound)).not.toBe(digest(compose(4, scenes)));
  });

  it('makes works that can be told from each other and from clean media', () => {
    const works = REFERENCES.map((r) => ({ name: r.name, codes: codesOf(PAINTED[r.name]!, 6) }));
    for (const { name, codes } of works) {
      const poor = codes.filter((c) => c.quality <= 60).length;
      expect(poor / codes.length, `${name}: frames of little quality`).toBeLessThanOrEqual(0.02);
    }
    const nobodys = Object.keys(PAINTED).filter((name) => !REFERENCES.some((r) => r.name === name));
    expect(nobodys.length).toBeGreaterThan(5);
    const others = nobodys.map((name) => ({ name, codes: codesOf(PAINTED[name]!, 12) }));
    for (const work of works) {
      for (const other of [...works, ...others]) {
        if (other === work) continue;
        const nearest = Math.min(...other.codes.flatMap((o) => work.codes.map((w) => hamming(o.code, w.code))));
        expect(nearest, `${other.name} and ${work.name}`).toBeGreaterThan(50);
      }
    }
  });

  it('makes films that move: no picture comes back, or stays', () => {
    for (const name of ['lantern-valley.mp4', 'paper-machines.mp4']) {
      const codes = codesOf(PAINTED[name]!, 12);
      for (const [i, a] of codes.entries()) {
        for (const b of codes.slice(i + 3)) expect(hamming(a.code, b.code), `${name} from ${i} s`).toBeGreaterThan(31);
      }
    }
  });
});

describe('the list of seeds', () => {
  it('names every file once, and makes each of them in one way', () => {
    const names = [...REFERENCES.map((r) => r.name), ...everything.map((u) => u.name)];
    expect(new Set(names).size).toBe(names.length);
    for (const r of REFERENCES) expect(PAINTED, r.name).toHaveProperty([r.name]);
    for (const u of everything) expect(u.name in PAINTED, u.name).toBe(u.make.by === 'painting');
    for (const name of Object.keys(PAINTED)) expect(names).toContain(name);
  });

  it('expects of a copy which work it shows, and which part of it', () => {
    const copies = everything.filter((u) => u.expect.verdict === 'taken-down');
    expect(copies.length).toBeGreaterThanOrEqual(14);
    for (const { name, expect: e } of copies) {
      const work = REFERENCES.find((r) => r.name === e.reference);
      const [[u0, u1], [r0, r1]] = [e.uploadSpan!, e.referenceSpan!];
      expect(work, name).toBeDefined();
      expect(r1, name).toBeLessThanOrEqual(work!.seconds);
      expect((u1 - u0) * (e.altered?.speed ?? 1), name).toBeCloseTo(r1 - r0, 2);
      if (work!.kind === 'video') expect(r1 - r0, name).toBeGreaterThanOrEqual(10);
    }
  });

  it('has copies of all kinds, and clean media of all kinds', () => {
    const altered = everything.map((u) => u.expect.altered ?? {});
    for (const how of ['turn', 'inverted', 'inset', 'speed'] as const) {
      expect(
        altered.some((a) => a[how] !== undefined),
        how,
      ).toBe(true);
    }
    const verdicts = everything.map((u) => u.expect.verdict);
    expect(verdicts.filter((v) => v === 'cleared').length).toBeGreaterThanOrEqual(6);
    expect(verdicts.filter((v) => v === 'rejected').length).toBeGreaterThanOrEqual(3);
    for (const u of everything) expect(u.expect.reason !== undefined, u.name).toBe(u.expect.verdict === 'rejected');
  });

  it('does without VP9 where ffmpeg cannot write it', () => {
    const names = uploads((name) => name !== 'libvpx-vp9').map((u) => u.name);
    expect(everything.map((u) => u.name).filter((name) => !names.includes(name))).toEqual(['piece-vp9.webm']);
  });
});

describe('the generator', () => {
  it('has a version', async () => {
    expect(await versionOfGenerator()).toMatch(/^[0-9a-f]{16}$/);
  });

  it('says which ffmpeg it cannot run, and leaves no lock, nor the drafts of someone who was killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vigil-seeds-'));
    try {
      await writeFile(join(folder, 'lantern-valley.mp4.4194305.part.mp4.wav'), 'half');
      for (let n = 0; n < 2; n++) {
        await expect(makeSeeds(folder, { ffmpeg: join(folder, 'no-ffmpeg') })).rejects.toThrow('cannot run ffmpeg');
      }
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('lets one work while the others wait for what it makes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vigil-seeds-'));
    try {
      let made: string | null = null;
      let times = 0;
      const work = async () => {
        times++;
        await new Promise((done) => setTimeout(done, 50));
        made = 'made';
        return made;
      };
      const all = await Promise.all([1, 2, 3].map(() => alone(join(folder, 'lock'), async () => made, work)));
      expect([all, times]).toEqual([['made', 'made', 'made'], 1]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
