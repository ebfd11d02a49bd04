import { box, type Canvas, type Colour, ellipse, fill, line, look, polygon } from './canvas.ts';
import { clamp, cloud, hash2, random, step, type Texture } from './random.ts';
import type { Scene } from './scene.ts';

const INK: Colour = [0.035, 0.035, 0.05];
const RED: Colour = [0.68, 0.09, 0.05];
const CREAM: Colour = [0.86, 0.78, 0.6];
const TEAL: Colour = [0.05, 0.3, 0.32];
const OCHRE: Colour = [0.8, 0.5, 0.1];

function sheet(c: Canvas, paper: Texture, shade: number, dotted: (x: number, y: number) => number): void {
  fill(c, (x, y, out) => {
    const fibre = 0.82 + 0.3 * paper.at(x * 0.6, y * 0.6);
    const cell = 0.026;
    const [dx, dy] = [(x / cell - Math.floor(x / cell) - 0.5) * 2, (y / cell - Math.floor(y / cell) - 0.5) * 2];
    const dot = step(0.14, -0.14, Math.sqrt(dx * dx + dy * dy) - 1.35 * clamp(dotted(x, y)));
    for (let k = 0; k < 3; k++) out[k] = (CREAM[k]! * shade * (1 - dot) + INK[k]! * dot * 2) * fibre;
  });
}

function wheel(c: Canvas, x: number, y: number, r: number, teeth: number, turn: number, colour: Colour): void {
  for (let n = 0; n < teeth; n++) {
    const a = turn + (n * 2 * Math.PI) / teeth;
    box(c, x + Math.cos(a) * r, y + Math.sin(a) * r, r * 0.17, (r * 1.35) / teeth, colour, { turn: a, round: 0 });
  }
  ellipse(c, x, y, r, r, colour, { round: 0.35 });
  ellipse(c, x, y, r * 0.72, r * 0.72, CREAM, { round: 0.2 });
  for (let n = 0; n < 3; n++) {
    const a = turn + (n * Math.PI) / 3;
    line(
      c,
      x - Math.cos(a) * r * 0.8,
      y - Math.sin(a) * r * 0.8,
      x + Math.cos(a) * r * 0.8,
      y + Math.sin(a) * r * 0.8,
      r * 0.07,
      colour,
    );
  }
  ellipse(c, x, y, r * 0.22, r * 0.22, INK, { round: 0.6 });
}

/** Cut-out cogs that drive one another. */
export const cogs: Scene = (seed) => {
  const next = random(seed);
  const paper = cloud(seed + 1, 6, 16);
  const blot = cloud(seed + 2, 4, 4);
  const wheels = Array.from({ length: 7 }, (_, n) => ({
    x: 0.1 + 0.28 * n + 0.1 * (next() - 0.5),
    y: 0.25 + 0.55 * next(),
    r: 0.13 + 0.15 * next(),
    teeth: 9 + Math.floor(next() * 8),
    speed: (n % 2 ? 1 : -1) * (0.5 + 0.5 * next()),
    colour: [RED, TEAL, INK, OCHRE][Math.floor(next() * 4)]!,
  }));
  const slide = (next() - 0.5) * 0.14;
  return (c, t) => {
    look(c, slide * t, 0.03 * Math.sin(t * 0.8), 1.02 + 0.015 * t, 0.05 * Math.sin(t * 0.3));
    sheet(c, paper, 0.95, (x, y) => 1.5 * (blot.at(x * 0.2 + t * 0.015, y * 0.2) - 0.4) + y * 0.15);
    for (const w of wheels) {
      ellipse(c, w.x + 0.03, w.y + 0.04, w.r * 1.1, w.r * 1.1, INK, { alpha: 0.4, soft: 0.03 });
      wheel(c, w.x, w.y, w.r, w.teeth, w.speed * t, w.colour);
    }
    const push = 0.2 * Math.sin(t * 1.6);
    box(c, 0.95 + push, 0.9, 0.5, 0.035, INK, { round: 0 });
    ellipse(c, 0.45 + push, 0.9, 0.07, 0.07, RED);
    line(c, 0.45 + push, 0.9, wheels[1]!.x, wheels[1]!.y, 0.018, OCHRE);
  };
};

/** A village of paper by night; snow, a train and the smoke of chimneys. */
export const village: Scene = (seed) => {
  const next = random(seed);
  const paper = cloud(seed + 1, 6, 16);
  const hill = cloud(seed + 2, 4, 4);
  const houses = Array.from({ length: 13 }, () => ({
    x: next() * 2.8 - 0.3,
    w: 0.06 + 0.06 * next(),
    h: 0.09 + 0.12 * next(),
    depth: next(),
    colour: [RED, TEAL, OCHRE, CREAM][Math.floor(next() * 4)]!,
  })).sort((a, b) => a.depth - b.depth);
  const way = next() < 0.5 ? -1 : 1;
  return (c, t) => {
    look(c, way * 0.06 * t, 0, 1.05, 0);
    sheet(c, paper, 0.32, (x, y) => 1.1 - y * 1.25 - 0.35 * hill.at(x * 0.15 - t * 0.01, y * 0.3));
    ellipse(c, 1.25, 0.22, 0.12, 0.12, CREAM, { round: 0.3 });
    for (let layer = 0; layer < 3; layer++) {
      const tone = 0.75 - 0.24 * layer;
      for (let x = -0.6; x < 3; x += 0.1) {
        const y = 0.48 + 0.15 * layer - 0.26 * (hill.at(x * 0.2 + layer * 0.37, 0.3) - 0.5);
        ellipse(c, x, y + 0.32, 0.16, 0.32, [CREAM[0] * tone, CREAM[1] * tone, CREAM[2] * tone * 1.1], { round: 0.25 });
      }
      if (layer === 1) train(c, way > 0 ? 2.9 - 0.3 * t : -0.6 + 0.33 * t, 0.66, way > 0 ? -1 : 1, t);
      for (const h of houses) {
        if (Math.floor(h.depth * 3) !== layer) continue;
        const s = 0.8 + 0.45 * layer;
        const y = 0.58 + 0.17 * layer;
        box(c, h.x, y, h.w * s, h.h * s, h.colour, { round: 0.4 });
        const eaves = y - h.h * s;
        polygon(
          c,
          [
            [h.x, eaves - h.w * s * 1.1],
            [h.x + h.w * s * 1.25, eaves],
            [h.x - h.w * s * 1.25, eaves],
          ],
          INK,
          { round: 0 },
        );
        for (let n = 0; n < 4; n++) {
          const lit = hash2(n + Math.floor(t * 0.7 + h.x * 9), Math.floor(h.depth * 999)) < 0.7;
          box(
            c,
            h.x + (n % 2 ? 1 : -1) * h.w * s * 0.45,
            y + (n < 2 ? -0.4 : 0.25) * h.h * s,
            h.w * s * 0.2,
            h.h * s * 0.16,
            lit ? [1, 0.85, 0.3] : INK,
          );
        }
        for (let n = 0; n < 4; n++) {
          const up = (t * 0.09 + n * 0.06 + h.depth) % 0.24;
          ellipse(c, h.x + h.w * 0.6 + up * 0.4, eaves - h.w * s - up, 0.012 + up * 0.12, 0.01 + up * 0.1, CREAM, {
            alpha: 0.6 - 2.3 * up,
            soft: 0.01,
          });
        }
      }
    }
    for (let n = 0; n < 130; n++) {
      const near = 0.4 + hash2(n, 3);
      const y = ((hash2(n, 1) * 1.1 + t * 0.16 * near) % 1.1) - 0.05;
      const x = c.view.x - 1 + ((hash2(n, 2) * 2.1 + 0.04 * Math.sin(t * 2 + n) - way * t * 0.03 * near + 4.2) % 2.1);
      ellipse(c, x, y, 0.007 * near, 0.007 * near, [1, 1, 1], { round: 0 });
    }
  };
};

function train(c: Canvas, x: number, y: number, way: number, t: number): void {
  for (let n = 0; n < 5; n++) {
    const px = x - way * n * 0.235;
    box(c, px, y, 0.108, n ? 0.058 : 0.05, n ? (n % 2 ? TEAL : RED) : INK, { corner: 0.012 });
    for (let k = -1; k <= 1; k++) {
      if (n) box(c, px + k * 0.065, y - 0.012, 0.022, 0.02, [1, 0.9, 0.5]);
      wheel(c, px + k * 0.07, y + 0.06, 0.022, 6, way * t * 6, INK);
    }
    if (!n) {
      box(c, px - way * 0.06, y - 0.05, 0.045, 0.05, RED);
      box(c, px + way * 0.06, y - 0.07, 0.018, 0.035, INK);
      for (let k = 0; k < 7; k++) {
        const up = (t * 0.35 + k / 7) % 1;
        ellipse(c, px + way * (0.06 - up * 0.4), y - 0.11 - up * 0.22, 0.02 + 0.06 * up, 0.018 + 0.05 * up, CREAM, {
          alpha: 0.8 * (1 - up),
        });
      }
    }
  }
}

/** Bars and discs that swing over halftone, as on a poster. */
export const pendulums: Scene = (seed) => {
  const next = random(seed);
  const paper = cloud(seed + 1, 6, 16);
  const flow = cloud(seed + 2, 4, 3);
  const bars = Array.from({ length: 8 }, (_, n) => ({
    x: 0.05 + n * 0.25,
    length: 0.35 + 0.45 * next(),
    phase: next() * 6,
    speed: 0.8 + 0.9 * next(),
    r: 0.05 + 0.09 * next(),
    colour: [RED, INK, TEAL, OCHRE][n % 4]!,
  }));
  const lean = (next() - 0.5) * 0.8;
  return (c, t) => {
    look(c, 0.1 * Math.sin(t * 0.4), 0, 1.1, lean * 0.35 + 0.06 * t * Math.sign(lean));
    sheet(c, paper, 1, (x, y) => 1.3 * flow.at(x * 0.25 + t * 0.03, y * 0.25 + t * 0.017) - 0.25);
    polygon(
      c,
      [
        [-0.2, 0.75 + 0.1 * Math.sin(t)],
        [2.1, 0.55 + 0.12 * Math.cos(t * 0.7)],
        [2.2, 1.4],
        [-0.4, 1.4],
      ],
      OCHRE,
      { round: 0.5, alpha: 0.92 },
    );
    for (const b of bars) {
      const a = 0.75 * Math.sin(t * b.speed + b.phase);
      const [x, y] = [b.x + Math.sin(a) * b.length, -0.1 + Math.cos(a) * b.length];
      line(c, b.x + 0.03, -0.07, x + 0.03, y + 0.03, 0.016, INK, 0.35);
      line(c, b.x, -0.1, x, y, 0.014, INK);
      ellipse(c, x, y, b.r, b.r, b.colour, { round: 0.4 });
      ellipse(c, x, y, b.r * 0.55, b.r * 0.55, CREAM, { round: 0.2 });
      ellipse(c, x, y, b.r * 0.28, b.r * 0.28, b.colour);
    }
    for (let n = 0; n < 5; n++) {
      const up = (t * 0.17 + n * 0.2) % 1;
      box(c, 0.2 + n * 0.36, 1.15 - up * 0.6, 0.09, 0.14, n % 2 ? TEAL : RED, { turn: up * 3 + n, round: 0.3 });
    }
  };
};

/** A corridor of coloured plates that rushes by. */
export const corridor: Scene = (seed) => {
  const next = random(seed);
  const rust = cloud(seed + 1, 6, 8);
  const sides = 5 + Math.floor(next() * 4);
  const twist = (next() - 0.5) * 1.2;
  const tint = next();
  return (c, t) => {
    look(c, 0.22 * Math.sin(t * 0.6), 0.13 * Math.cos(t * 0.8), 1, 0.12 * t * Math.sign(twist));
    fill(c, (x, y, out) => {
      const [dx, dy] = [x - c.aspect / 2, y - 0.5];
      const r = Math.sqrt(dx * dx + dy * dy) + 1e-4;
      const z = 0.35 / r;
      const turn = (Math.atan2(dy, dx) / (2 * Math.PI) + 0.5 + twist * 0.09 * z) * sides;
      const along = z * 1.1 + t * 0.9;
      const [side, ring] = [((Math.floor(turn) % sides) + sides) % sides, Math.floor(along)];
      const [fs, fr] = [turn - Math.floor(turn), along - ring];
      const kind = hash2(side + seed, ring);
      const plate = fs > 0.06 && fs < 0.94 && fr > 0.06 && fr < 0.94 ? 1 : 0.25;
      const wear = 0.45 + 0.9 * rust.at(turn * 0.3, along * 0.3);
      const lamp = kind > 0.8 && Math.abs(fs - 0.5) < 0.18 && Math.abs(fr - 0.5) < 0.3 ? 1 : 0;
      const dark = clamp(r * 2.1) * plate * wear;
      out[0] = (0.12 + 0.75 * hash2(side, ring + 5) * tint) * dark + lamp * 1.1 * clamp(r * 4);
      out[1] = (0.12 + 0.5 * kind) * dark + lamp * 0.9 * clamp(r * 4);
      out[2] = (0.15 + 0.6 * hash2(ring, side) * (1 - tint)) * dark + lamp * 0.5 * clamp(r * 4);
    });
  };
};

/** Glass panes in a turning rose. */
export const rose: Scene = (seed) => {
  const next = random(seed);
  const glass = cloud(seed + 1, 6, 8);
  const petals = 6 + 2 * Math.floor(next() * 3);
  const hue = next();
  const [ox, oy] = [(next() - 0.5) * 0.7, (next() - 0.5) * 0.4];
  return (c, t) => {
    look(c, 0, 0, 1 + 0.2 * Math.sin(t * 0.45), 0.1 * t);
    fill(c, (x, y, out) => {
      const [dx, dy] = [x - c.aspect / 2 - ox, y - 0.5 - oy];
      const r = Math.sqrt(dx * dx + dy * dy);
      const a = (Math.atan2(dy, dx) / (2 * Math.PI) + 0.5) * petals + 0.35 * Math.sin(r * 7 - t * 0.9);
      const ring = r * 5.5 + 0.25 * Math.sin(a * 6.28 + t);
      const [pa, pr] = [Math.floor(a), Math.floor(ring)];
      const [fa, fr] = [a - pa, ring - pr];
      const pane = hash2(((pa % petals) + petals) % petals, pr + Math.floor(seed));
      const lead = fa < 0.06 || fa > 0.94 || fr < 0.08 || fr > 0.92 ? 0.06 : 1;
      const light = (0.25 + 1.1 * glass.at(x * 0.35 + t * 0.03, y * 0.35)) * lead;
      const h = (pane + hue) * 6.283;
      out[0] = (0.42 + 0.4 * Math.cos(h)) * light;
      out[1] = (0.38 + 0.36 * Math.cos(h + 2.1)) * light;
      out[2] = (0.4 + 0.4 * Math.cos(h + 4.2)) * light;
    });
  };
};
