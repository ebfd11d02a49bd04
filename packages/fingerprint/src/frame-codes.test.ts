import {
  decodeFingerprint,
  encodeFingerprint,
  FRAME_FLAT,
  FRAME_KEY,
  FRAME_PAGE,
  hamming,
  TURNS,
} from '@vigil/contracts';
import { describe, expect, it } from 'vitest';
import { ALL_TURNS, AS_IS, AS_IS_AND_MIRRORED, assemble, frameCodes } from './frame-codes.ts';
import { codeOf, pdqBlock } from './pdq.ts';

// Real: everything. Pictures are made here.
const WIDTH = 320;
const HEIGHT = 200;
const draw = (level: (u: number, v: number) => number) =>
  Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) =>
    Math.max(0, Math.min(255, Math.round(level((i % WIDTH) / WIDTH, Math.floor(i / WIDTH) / HEIGHT)))),
  );
const lively = (u: number, v: number) =>
  120 + 60 * Math.sin(23 * u + 11 * v) + 50 * (Math.hypot(u - 0.6, v - 0.4) < 0.2 ? 1 : -1) * Math.sin(40 * u * v);
const scene = draw(lively);
const flagsOf = (luma: Uint8Array) => frameCodes(luma, WIDTH, HEIGHT, { turns: AS_IS, trim: null }).flags;

describe('frameCodes', () => {
  it('leaves the levels as they are when a part of them is coded as well', () => {
    const levels = scene.slice();
    const trim = { left: 0.25, top: 0, right: 1, bottom: 0.75 };
    const coded = frameCodes(scene, WIDTH, HEIGHT, { turns: AS_IS, trim, levels, thumbnail: true });
    const plain = frameCodes(scene, WIDTH, HEIGHT, { turns: AS_IS, trim: null, thumbnail: true });
    expect(coded.codes).toHaveLength(2);
    expect(levels).toEqual(scene);
    expect(coded.thumbnail).toEqual(plain.thumbnail);
  });

  it('codes the whole picture in every turn asked for, then the trimmed one', () => {
    const trim = { left: 0.25, top: 0, right: 0.75, bottom: 1 };
    const coded = frameCodes(scene, WIDTH, HEIGHT, { turns: ALL_TURNS, trim, thumbnail: true });
    expect(coded.codes.map((code) => TURNS[code.turn])).toEqual([...TURNS, ...TURNS]);
    expect(coded.codes[0]!.place).toEqual([0, 0, 65535, 65535]);
    expect(coded.codes[8]!.place).toEqual([16384, 0, 49151, 65535]);
    const part = pdqBlock(scene, WIDTH, HEIGHT, WIDTH, trim);
    expect(coded.codes[8]).toMatchObject({ bits: codeOf(part.dct), quality: part.quality });
    expect(coded).toMatchObject({ flags: 0, quality: pdqBlock(scene, WIDTH, HEIGHT).quality });
    expect(coded.thumbnail).toHaveLength(4096);
    expect(frameCodes(scene, WIDTH, HEIGHT, { turns: AS_IS_AND_MIRRORED, trim: null }).codes).toHaveLength(2);
  });

  it.each([
    ['black', () => 0],
    ['one colour', () => 77],
    ['a gradient', (u: number) => 255 * u],
    ['a gradient downwards that is not even', (_: number, v: number) => 255 * v ** 3],
    ['stripes', (u: number) => (u < 1 / 3 ? 0 : u < 2 / 3 ? 255 : 90)],
    ['a picture faded to one part in fifty', (u: number, v: number) => 0.02 * lively(u, v)],
  ])('has no code for %s', (_, level) => {
    const coded = frameCodes(draw(level), WIDTH, HEIGHT, { turns: ALL_TURNS, trim: null });
    expect(coded.codes).toEqual([]);
    expect(coded.flags & FRAME_FLAT).toBe(FRAME_FLAT);
  });

  it('keeps the code of a dark picture', () => {
    const dark = draw((u, v) => 10 + 0.15 * lively(u, v));
    const { codes, flags } = frameCodes(dark, WIDTH, HEIGHT, { turns: AS_IS, trim: null });
    expect(flags & FRAME_FLAT).toBe(0);
    expect(hamming(codes[0]!.bits, codeOf(pdqBlock(scene, WIDTH, HEIGHT).dct))).toBeLessThanOrEqual(31);
  });

  it('marks pages: lettering on one level, with or without a border', () => {
    const letters = (u: number, v: number) => ((u * 97) % 7 < 2 && (v * 31) % 3 < 1 ? 240 : 16);
    expect(flagsOf(draw(letters)) & FRAME_PAGE).toBe(FRAME_PAGE);
    expect(flagsOf(scene) & FRAME_PAGE).toBe(0);
    const bars = draw((u, v) => (v > 0.1 && v < 0.9 ? lively(u, v) : 0));
    expect(flagsOf(bars) & FRAME_PAGE).toBe(0);
  });

  it('takes no dark scene for a page, however even it is', () => {
    // A road at night: nine tenths within eight levels, on none of which most of it lies.
    const road = (u: number, v: number) => 30 + 14 * v + 60 * Math.max(0, 1 - Math.abs(u - 0.5) / 0.06);
    expect(flagsOf(draw(road)) & FRAME_PAGE).toBe(0);
    // Black with a little noise of the codec, and the names of those who made it.
    const credits = (u: number, v: number) =>
      16 + ((u * 911 + v * 577) % 3) + ((u * 97) % 7 < 1 && (v * 31) % 3 < 1 ? 200 : 0);
    expect(flagsOf(draw(credits)) & FRAME_PAGE).toBe(FRAME_PAGE);
    // The same from a film with grain: no level has most of it, but there is lettering.
    const grained = (u: number, v: number) => credits(u, v) + ((u * 7919 + v * 104_729) % 13);
    expect(flagsOf(draw(grained)) & FRAME_PAGE).toBe(FRAME_PAGE);
  });
});

describe('assemble', () => {
  it('puts frames, codes and thumbnails into columns that survive the wire', () => {
    const first = frameCodes(scene, WIDTH, HEIGHT, { turns: AS_IS_AND_MIRRORED, trim: null, thumbnail: true });
    const black = frameCodes(new Uint8Array(WIDTH * HEIGHT), WIDTH, HEIGHT, { turns: AS_IS_AND_MIRRORED, trim: null });
    const third = frameCodes(scene, WIDTH, HEIGHT, {
      turns: AS_IS,
      trim: { left: 0, top: 0.1, right: 1, bottom: 0.9 },
      thumbnail: true,
    });
    const fingerprint = assemble(
      { engine: '1', mode: 'exact', sampling: 'dense', span: [0, 30], width: WIDTH, height: HEIGHT },
      [
        { time: 0, keyframe: true, coded: first },
        { time: 0.5, keyframe: false, coded: black },
        { time: 1, keyframe: false, coded: third },
      ],
    );
    const [table] = fingerprint.tables;
    expect(table!.count).toBe(4);
    expect([...table!.frame]).toEqual([0, 0, 2, 2]);
    expect([...table!.turn]).toEqual([0, TURNS.indexOf('mirror'), 0, 0]);
    expect([...table!.place.subarray(12)]).toEqual([0, 6554, 65535, 58982]);
    expect([...fingerprint.frames.flags]).toEqual([FRAME_KEY, FRAME_FLAT | FRAME_PAGE, 0]);
    expect([...fingerprint.thumbnails.time]).toEqual([0, 1]);
    expect(fingerprint.thumbnails.luma).toHaveLength(2 * 4096);
    expect(decodeFingerprint(encodeFingerprint(fingerprint))).toEqual(fingerprint);
  });

  it('refuses more frames than a column can number', () => {
    const coded = { codes: [], flags: 0, quality: 0 };
    const about = { engine: '1', mode: 'exact', sampling: 'dense', span: [0, 1] as [number, number] } as const;
    const frames = Array.from({ length: 65536 }, (_, time) => ({ time, keyframe: false, coded }));
    expect(() => assemble({ ...about, width: 1, height: 1 }, frames)).toThrow(RangeError);
  });
});
