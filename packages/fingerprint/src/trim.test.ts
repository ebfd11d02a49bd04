import { describe, expect, it } from 'vitest';
import type { Region } from './pdq-filter.ts';
import { findBorders } from './trim.ts';

// Real: everything. Pictures are made here: waves and hard-edged discs, moving from frame to frame.

interface Picture {
  luma: Uint8Array;
  width: number;
  height: number;
}

function scene(width: number, height: number, time = 0): Picture {
  const luma = Uint8Array.from({ length: width * height }, (_, i) => {
    const u = (i % width) / width;
    const v = Math.floor(i / width) / height;
    let level = 110 + 50 * Math.sin(9 * u + 4 * v + time) + 30 * Math.sin(31 * v - 17 * u);
    for (let k = 0; k < 14; k++) {
      const x = (k * 0.37 + 0.05 * time * (k % 3)) % 1;
      const y = (k * 0.59 + 0.04 * time) % 1;
      if ((u - x) ** 2 + (v - y) ** 2 < (0.02 + 0.01 * (k % 7)) ** 2) level = (k * 53) % 256;
    }
    return Math.round(Math.max(0, Math.min(255, level)));
  });
  return { luma, width, height };
}

function onto(canvas: Picture, picture: Picture, left: number, top: number): Picture {
  const luma = canvas.luma.slice();
  for (let y = 0; y < picture.height; y++) {
    luma.set(picture.luma.subarray(y * picture.width, (y + 1) * picture.width), (top + y) * canvas.width + left);
  }
  return { ...canvas, luma };
}

const plain = (width: number, height: number, level: number): Picture => ({
  luma: new Uint8Array(width * height).fill(level),
  width,
  height,
});

/** The picture enlarged to fill a canvas and blurred by a wide box, as phone editors fill a 9:16 frame. */
function blurred(picture: Picture, width: number, height: number): Picture {
  const luma = new Uint8Array(width * height);
  const scale = Math.max(width / picture.width, height / picture.height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      let count = 0;
      for (let dy = -24; dy <= 24; dy += 4) {
        for (let dx = -24; dx <= 24; dx += 4) {
          const px = Math.floor(picture.width / 2 + (x + dx - width / 2) / scale);
          const py = Math.floor(picture.height / 2 + (y + dy - height / 2) / scale);
          if (px < 0 || py < 0 || px >= picture.width || py >= picture.height) continue;
          sum += picture.luma[py * picture.width + px]!;
          count++;
        }
      }
      luma[y * width + x] = count ? Math.round(sum / count) : 0;
    }
  }
  return { luma, width, height };
}

function expectRegion(found: Region | null, left: number, top: number, right: number, bottom: number) {
  expect(found).not.toBeNull();
  const { left: l, top: t, right: r, bottom: b } = found!;
  for (const [is, wanted] of [
    [l, left],
    [t, top],
    [r, right],
    [b, bottom],
  ] as const) {
    expect(Math.abs(is - wanted)).toBeLessThan(0.006);
  }
}

const still = (picture: Picture) => findBorders([picture.luma], picture.width, picture.height);

describe('findBorders', () => {
  it('leaves a picture without borders alone', () => {
    expect(still(scene(320, 240))).toBeNull();
    expect(still(scene(1200, 500))).toBeNull();
  });

  it('takes off black bars, above and below or left and right', () => {
    expectRegion(still(onto(plain(320, 240, 0), scene(320, 180), 0, 30)), 0, 0.125, 1, 0.875);
    expectRegion(still(onto(plain(640, 360, 3), scene(202, 360), 219, 0)), 219 / 640, 0, 421 / 640, 1);
  });

  it('takes off a frame of one colour, and a white border', () => {
    expectRegion(still(onto(plain(400, 300, 90), scene(376, 276), 12, 12)), 0.03, 0.04, 0.97, 0.96);
    expectRegion(still(onto(plain(400, 300, 255), scene(320, 240), 40, 30)), 0.1, 0.1, 0.9, 0.9);
  });

  it('takes off one bar alone', () => {
    expectRegion(still(onto(plain(320, 240, 255), scene(320, 200), 0, 40)), 0, 40 / 240, 1, 1);
  });

  it('finds the picture inside the blurred copy of itself', () => {
    const frames = [0, 1, 2, 3, 4].map((time) => {
      const picture = scene(360, 202, time);
      return onto(blurred(picture, 360, 640), picture, 0, 219).luma;
    });
    expectRegion(findBorders(frames, 360, 640), 0, 219 / 640, 1, 421 / 640);
    expectRegion(findBorders(frames.slice(0, 1), 360, 640), 0, 219 / 640, 1, 421 / 640);
  });

  it('judges all frames together: a black frame does not hide the bars, a dark scene is not a bar', () => {
    const barred = [1, 2, 3].map((time) => onto(plain(320, 240, 0), scene(320, 180, time), 0, 30).luma);
    expectRegion(findBorders([plain(320, 240, 0).luma, ...barred], 320, 240), 0, 0.125, 1, 0.875);
    const dark = onto(scene(320, 240, 1), plain(320, 60, 0), 0, 0).luma;
    expect(findBorders([dark, scene(320, 240, 2).luma, scene(320, 240, 3).luma], 320, 240)).toBeNull();
  });

  it('finds edges to the pixel in pictures larger than it works on', () => {
    const found = still(onto(plain(1920, 1440, 0), scene(1920, 1081), 0, 181));
    expect(Math.round(found!.top * 1440)).toBe(181);
    expect(Math.round(found!.bottom * 1440)).toBe(1262);
  });

  it('has nothing to say about one colour, tiny pictures, or no frames', () => {
    expect(still(plain(300, 200, 128))).toBeNull();
    expect(still(scene(40, 40))).toBeNull();
    expect(findBorders([], 100, 100)).toBeNull();
  });
});
