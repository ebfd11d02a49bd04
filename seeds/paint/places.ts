import { box, type Canvas, type Colour, ellipse, fill, glow, line, look, polygon } from './canvas.ts';
import { clamp, cloud, hash2, random, step } from './random.ts';
import type { Scene } from './scene.ts';

/** Blocks of flats by night with lit windows, a moon, and cars on a bridge. */
export const city: Scene = (seed) => {
  const next = random(seed);
  const haze = cloud(seed + 1, 5, 4);
  const wall = cloud(seed + 2, 6, 16);
  const pan = (next() < 0.5 ? -1 : 1) * 0.17;
  const moonX = 0.25 + 1.2 * next();
  const glowAt = 0.55 + 0.2 * next();
  const layers = [
    { width: 0.2, low: 0.3, tall: 0.24, speed: 0.35, dark: 0.13 },
    { width: 0.29, low: 0.42, tall: 0.3, speed: 0.75, dark: 0.075 },
    { width: 0.43, low: 0.56, tall: 0.36, speed: 1.35, dark: 0.03 },
  ].map((l) => ({ ...l, seed: Math.floor(next() * 1000), width: l.width * (0.8 + 0.5 * next()) }));
  return (c, t) => {
    look(c, 0, -0.006 * t, 1 + 0.008 * t);
    fill(c, (x, y, out) => {
      const smog = haze.at(x * 0.16 + t * 0.008, y * 0.4);
      const fire = clamp(1 - Math.abs(y - glowAt) * 1.5);
      const moon = (x - moonX) ** 2 + (y - 0.17) ** 2;
      const face = step(0.083, 0.077, Math.sqrt(moon));
      const disc = face * (0.7 + 0.2 * wall.at(x * 2, y * 2)) + 0.1 / (1 + moon * 40);
      out[0] = 0.03 + 0.42 * fire * smog + disc;
      out[1] = 0.04 + 0.2 * fire * smog + disc * 0.95;
      out[2] = 0.13 + 0.26 * smog * (1 - fire * 0.3) + disc * 0.8;
      for (const l of layers) {
        const along = (x + pan * t * l.speed) / l.width;
        const id = Math.floor(along);
        const top = l.low - l.tall * (hash2(id, l.seed) - 0.4);
        if (y < top) continue;
        const inside = along - id;
        const [wx, wy] = [inside * 8, ((y - top) * 24) / (0.6 + l.speed * 0.4)];
        const [fx, fy] = [wx - Math.floor(wx), wy - Math.floor(wy)];
        const lit = hash2(id * 31 + Math.floor(wx), Math.floor(wy) + l.seed);
        const blink = hash2(Math.floor(wx) + id, Math.floor(wy) + Math.floor(t * 0.5 + lit * 9)) < 0.93;
        const pane = fx > 0.2 && fx < 0.8 && fy > 0.25 && fy < 0.8 && inside > 0.06 && inside < 0.94 && wy > 1;
        const stone = l.dark * (0.5 + wall.at(along * 0.3, y)) * (inside < 0.5 ? 1.25 : 0.8);
        const lamp = pane && blink && lit < 0.45 ? 0.35 + lit * 1.3 : pane ? 0.02 : 0;
        out[0] = stone * 0.9 + lamp;
        out[1] = stone + lamp * (0.6 + 0.5 * lit);
        out[2] = stone * 1.4 + lamp * (lit < 0.06 ? 1.1 : 0.35);
      }
    });
    box(c, c.aspect / 2, 0.93, 1.4, 0.05, [0.035, 0.035, 0.045], { round: 0 });
    for (let n = 0; n < 13; n++) {
      const x = ((((n * 0.19 + pan * t * 1.9) % 2.47) + 2.47) % 2.47) - 0.35;
      line(c, x, 0.89, x, 0.8, 0.004, [0.05, 0.05, 0.06]);
      glow(c, x, 0.8, 0.09, [1, 0.75, 0.4], 0.55);
    }
    for (let n = 0; n < 9; n++) {
      const way = n % 2 ? 1 : -1;
      const x = ((((hash2(n, seed) * 2.6 + way * t * (0.33 + 0.16 * hash2(n, 2))) % 2.6) + 2.6) % 2.6) - 0.4;
      const y = n % 2 ? 0.94 : 0.9;
      box(c, x, y, 0.05, 0.016, [0.1 + 0.25 * hash2(n, 6), 0.1, 0.16], { corner: 0.012 });
      box(c, x - 0.004, y - 0.02, 0.026, 0.014, [0.13, 0.13, 0.18], { corner: 0.01 });
      glow(c, x + way * 0.055, y, 0.07, [1, 0.95, 0.8], 0.9);
      glow(c, x - way * 0.05, y, 0.04, [1, 0.1, 0.05], 0.9);
    }
  };
};

/** A tin robot close by, which looks about and swings a lantern, before lights out of focus. */
export const robot: Scene = (seed) => {
  const next = random(seed);
  const tin = cloud(seed + 1, 6, 12);
  const lights = Array.from({ length: 26 }, () => ({
    x: next() * 2.1 - 0.15,
    y: next(),
    r: 0.05 + 0.09 * next(),
    speed: 0.02 + 0.06 * next(),
    colour: [0.25 + 0.7 * next(), 0.15 + 0.5 * next(), 0.1 + 0.6 * next()] as Colour,
  }));
  const paint: Colour = [0.2 + 0.4 * next(), 0.3 + 0.2 * next(), 0.25 + 0.35 * next()];
  return (c, t) => {
    look(c, 0.05 * Math.sin(t * 0.6), 0, 1 + 0.03 * t * 0.4, 0.02 * Math.sin(t * 0.9));
    fill(c, (x, y, out) => {
      const fog = tin.at(x * 0.14 + t * 0.012, y * 0.2);
      out[0] = 0.05 + 0.16 * fog * y;
      out[1] = 0.04 + 0.1 * fog;
      out[2] = 0.12 + 0.22 * fog * (1 - y);
    });
    for (const l of lights) {
      const x = ((((l.x + l.speed * t + 0.2) % 2.2) + 2.2) % 2.2) - 0.2;
      ellipse(c, x, l.y + 0.02 * Math.sin(t + l.x * 9), l.r, l.r, l.colour, { alpha: 0.6, soft: 0.012, round: 0.15 });
    }
    const turn = 0.16 * Math.sin(t * 0.85);
    const x = c.aspect / 2 - 0.12 + 0.26 * Math.sin(t * 0.47 + 1);
    const y = 0.47 + 0.03 * Math.sin(t * 1.9);
    const gaze = 0.055 * Math.sin(t * 1.15);
    box(c, x - 0.02, 1.06, 0.33, 0.24, [paint[0] * 0.7, paint[1] * 0.7, paint[2] * 0.7], { corner: 0.08, round: 0.9 });
    for (let n = 0; n < 6; n++) ellipse(c, x - 0.25 + 0.1 * n, 0.9, 0.017, 0.017, [0.1, 0.1, 0.12], { round: 1 });
    box(c, x, y + 0.28, 0.085, 0.09, [0.12, 0.12, 0.14], { round: 0.8 });
    line(c, x, y - 0.25, x + 0.12 * Math.sin(turn + 0.3 * Math.sin(t * 4)), y - 0.4, 0.01, [0.35, 0.35, 0.38]);
    glow(
      c,
      x + 0.12 * Math.sin(turn + 0.3 * Math.sin(t * 4)),
      y - 0.41,
      0.1,
      [1, 0.25, 0.1],
      0.6 + 0.5 * Math.sin(t * 6),
    );
    box(c, x, y, 0.3, 0.25, paint, { turn, corner: 0.09, round: 1 });
    box(c, x, y, 0.26, 0.2, [paint[0] * 1.25, paint[1] * 1.25, paint[2] * 1.25], { turn, corner: 0.07, round: 0.9 });
    for (const side of [-1, 1]) {
      const ex = x + side * 0.125 * Math.cos(turn);
      const ey = y - 0.04 + side * 0.125 * Math.sin(turn);
      const blink = Math.sin(t * 1.3 + 0.4) > 0.985 ? 0.15 : 1;
      ellipse(c, x + side * 0.315, y + side * 0.315 * Math.sin(turn), 0.035, 0.075, [0.3, 0.25, 0.2], {
        turn,
        round: 1,
      });
      ellipse(c, ex, ey, 0.085, 0.085, [0.06, 0.06, 0.08]);
      ellipse(c, ex, ey, 0.07, 0.07 * blink, [0.95, 0.85, 0.5], { round: 0.7 });
      ellipse(c, ex + gaze, ey + 0.3 * gaze, 0.03, 0.03 * blink, [0.03, 0.02, 0.05]);
      ellipse(c, ex + gaze - 0.01, ey - 0.012, 0.009, 0.009 * blink, [1, 1, 1]);
    }
    for (let n = 0; n < 7; n++) {
      const open = 0.012 + 0.018 * Math.abs(Math.sin(t * 7 + n * 0.8)) * (Math.sin(t * 0.9) > -0.3 ? 1 : 0.2);
      box(c, x - 0.12 + n * 0.04, y + 0.125 + (n - 3) * 0.04 * Math.sin(turn), 0.013, open, [0.08, 0.04, 0.03]);
    }
    const swing = 0.55 * Math.sin(t * 1.6);
    const [lx, ly] = [c.aspect - 0.3 + 0.36 * Math.sin(swing), 0.08 + 0.5 * Math.cos(swing)];
    line(c, c.aspect - 0.3, 0.02, lx, ly - 0.1, 0.006, [0.3, 0.2, 0.1]);
    ellipse(c, lx, ly, 0.095, 0.115, [0.95, 0.5, 0.12], { turn: -swing, round: 0.5 });
    for (let n = -2; n <= 2; n++)
      box(c, lx, ly + n * 0.04, 0.09 * Math.cos(n * 0.45), 0.004, [0.5, 0.15, 0.04], { turn: -swing });
    glow(c, lx, ly, 0.5, [1, 0.55, 0.2], 0.45);
  };
};

/** Under water: light from above, weed, shoals that turn together, bubbles. */
export const underwater: Scene = (seed) => {
  const next = random(seed);
  const ripple = cloud(seed + 1, 4, 8);
  const floor = cloud(seed + 2, 6, 8);
  const blue: Colour = [0.01 + 0.03 * next(), 0.16 + 0.14 * next(), 0.3 + 0.12 * next()];
  const shoals = Array.from({ length: 3 }, () => ({
    y: 0.2 + 0.45 * next(),
    way: next() < 0.5 ? -1 : 1,
    speed: 0.13 + 0.1 * next(),
    from: next() * 2,
    size: 0.02 + 0.03 * next(),
    colour: [0.5 + 0.5 * next(), 0.25 + 0.5 * next(), 0.1 + 0.3 * next()] as Colour,
  }));
  const weeds = Array.from({ length: 17 }, () => ({ x: next() * 2.2 - 0.2, tall: 0.18 + 0.4 * next(), tint: next() }));
  const whale = next();
  return (c, t) => {
    look(c, 0.05 * t, 0.02 * Math.sin(t * 0.7), 1.04, 0.02 * Math.sin(t * 0.5));
    fill(c, (x, y, out) => {
      const ray = ripple.at((x - y * 0.35) * 0.35 + t * 0.02, t * 0.025);
      const light = step(0.4, 0.8, ray) * clamp(1.05 - y) * 1.1;
      const bed = 0.83 - 0.2 * (floor.at(x * 0.13, 0.2) - 0.4);
      if (y < bed) {
        const murk = 0.5 + ripple.at(x * 0.1 - t * 0.01, y * 0.3);
        out[0] = blue[0] * (1.4 - y) * murk + light * 0.25;
        out[1] = blue[1] * (1.5 - y) * murk + light * 0.45;
        out[2] = blue[2] * (1.5 - y) * murk + light * 0.45;
        return;
      }
      const near = ripple.at(x * 0.6 + 0.06 * ripple.at(x, t * 0.1), y * 1.6 + t * 0.06);
      const net = 1 - clamp(Math.abs(near - 0.5) * 7);
      const sandy = 0.4 + 0.9 * floor.at(x * 0.5, y);
      out[0] = 0.26 * sandy + net * 0.3;
      out[1] = 0.3 * sandy + net * 0.42;
      out[2] = 0.22 * sandy + net * 0.35;
    });
    const wx = -0.4 + 0.24 * t * (whale < 0.5 ? 1 : -1) + (whale < 0.5 ? 0 : 2.6);
    const facing = whale < 0.5 ? 1 : -1;
    const wy = 0.27 + 0.12 * whale + 0.04 * Math.sin(t * 0.9);
    ellipse(c, wx, wy, 0.36, 0.1, [0.05, 0.1, 0.16], { turn: 0.06 * Math.sin(t), round: 1, alpha: 0.92 });
    const tail = 0.07 * Math.sin(t * 2);
    for (const up of [-1, 1]) {
      ellipse(c, wx - facing * 0.42, wy + tail + up * 0.035, 0.1, 0.026, [0.05, 0.1, 0.16], {
        turn: facing * up * -0.6,
      });
    }
    ellipse(c, wx + facing * 0.05, wy + 0.1, 0.11, 0.03, [0.04, 0.08, 0.13], {
      turn: facing * (2.2 + 0.2 * Math.sin(t * 1.5)),
    });
    ellipse(c, wx + facing * 0.26, wy - 0.015, 0.012, 0.012, [0.8, 0.85, 0.85]);
    for (const s of shoals) {
      for (let n = 0; n < 16; n++) {
        const raw = s.from + s.way * s.speed * t + (hash2(n, seed) - 0.5) * 0.55;
        const x = ((((raw + 0.3) % 2.9) + 2.9) % 2.9) - 0.3;
        const y = s.y + (hash2(n, 11) - 0.5) * 0.24 + 0.035 * Math.sin(t * 1.8 + x * 4 + n);
        const k = s.size * (0.7 + 0.6 * hash2(n, 2));
        const wag = 0.35 * Math.sin(t * 9 + n);
        ellipse(c, x, y, k, k * 0.45, s.colour, { turn: wag * 0.3, round: 0.9 });
        const bx = x - s.way * k * 0.9;
        const tip = bx - s.way * k * 0.6;
        const fin: [number, number][] = [
          [bx, y],
          [tip, y + k * (0.5 + wag)],
          [tip, y - k * (0.5 - wag)],
        ];
        polygon(c, s.way > 0 ? fin : fin.reverse(), s.colour);
        ellipse(c, x + s.way * k * 0.6, y - k * 0.08, k * 0.12, k * 0.12, [0.02, 0.02, 0.04]);
      }
    }
    for (const [n, w] of weeds.entries()) {
      let [px, py] = [w.x, 0.97];
      for (let k = 1; k <= 6; k++) {
        const x = w.x + 0.014 * k * Math.sin(t * 1.2 + k * 0.5 + n);
        const y = 0.97 - (w.tall * k) / 6;
        line(c, px, py, x, y, 0.02 - 0.0026 * k, [0.02 + 0.1 * w.tint, 0.1 + 0.12 * (1 - w.tint), 0.04]);
        [px, py] = [x, y];
      }
    }
    for (let n = 0; n < 22; n++) {
      const y = 1.1 - ((hash2(n, 5) * 1.3 + t * (0.1 + 0.1 * hash2(n, 6))) % 1.3);
      const x = hash2(n, seed + 9) * 2.2 + 0.02 * Math.sin(t * 3 + n);
      const r = 0.005 + 0.012 * hash2(n, 8);
      ellipse(c, x, y, r, r, [0.5, 0.75, 0.8], { alpha: 0.7, round: 1 });
    }
  };
};

/** A room with a chequered floor, where a lamp swings and a ball bounces. */
export const room: Scene = (seed) => {
  const next = random(seed);
  const wood = cloud(seed + 1, 6, 8);
  const paper = cloud(seed + 2, 4, 16);
  const cols = 5 + Math.floor(next() * 4);
  const wallTint: Colour = [0.35 + 0.3 * next(), 0.2 + 0.3 * next(), 0.16 + 0.3 * next()];
  const windowX = 0.25 + 0.3 * next();
  const skirting = 0.62;
  return (c, t) => {
    look(c, 0.14 * Math.sin(t * 0.5), 0.01 * Math.sin(t), 1.06 + 0.04 * Math.sin(t * 0.37), 0.015 * Math.sin(t * 0.8));
    const swing = 0.5 * Math.sin(t * 1.45);
    const [lx, ly] = [1.05 + 0.34 * Math.sin(swing), -0.05 + 0.34 * Math.cos(swing)];
    fill(c, (x, y, out) => {
      const far = Math.hypot(x - lx, (y - ly) * 1.15);
      const light = 0.16 + 1.05 * clamp(1.05 - far) ** 2;
      if (y < skirting) {
        const rows = Math.floor(y * cols * 2.2);
        const flower = Math.cos(x * cols * 6.28 + (rows % 2) * 3.14) * Math.cos(y * cols * 2.2 * 6.28 + 3.14);
        const motif = step(0.35, 0.6, flower) * 0.8 + 0.55 + 0.35 * paper.at(x * 0.4, y * 0.4);
        const edge = y > skirting - 0.03 ? 0.4 : 1;
        for (let k = 0; k < 3; k++) out[k] = wallTint[k]! * motif * light * edge * (k === 2 ? 0.85 : 1.1);
        return;
      }
      const z = 0.32 / (y - skirting + 0.16);
      const [u, v] = [(x - c.aspect / 2) * z * 2.6 + 40.3, z * 4.2 + 8];
      const tile = (Math.floor(u) + Math.floor(v)) % 2 ? 1 : 0.22;
      const grain = 0.6 + 0.6 * wood.at(u * 0.2, v * 0.12);
      out[0] = 0.62 * tile * grain * light;
      out[1] = 0.5 * tile * grain * light;
      out[2] = 0.36 * tile * grain * light;
    });
    box(c, windowX, 0.28, 0.165, 0.2, [0.12, 0.07, 0.04]);
    box(c, windowX, 0.28, 0.145, 0.18, [0.08, 0.14, 0.32], { round: 0.8 });
    ellipse(c, windowX + 0.05, 0.2, 0.035, 0.035, [0.85, 0.85, 0.75]);
    for (let n = 0; n < 12; n++) {
      const y = 0.1 + ((hash2(n, 3) * 0.36 + t * 0.16) % 0.36);
      line(
        c,
        windowX - 0.14 + 0.28 * hash2(n, 4),
        y,
        windowX - 0.145 + 0.28 * hash2(n, 4),
        y + 0.02,
        0.002,
        [0.5, 0.6, 0.8],
        0.7,
      );
    }
    box(c, windowX, 0.28, 0.006, 0.18, [0.12, 0.07, 0.04]);
    box(c, windowX, 0.28, 0.145, 0.006, [0.12, 0.07, 0.04]);
    picture(c, 1.42, 0.3, wallTint);
    for (const x of [0.88, 1.36]) box(c, x, 0.72, 0.014, 0.13, [0.13, 0.06, 0.03]);
    box(c, 1.12, 0.59, 0.34, 0.02, [0.3, 0.15, 0.07]);
    ellipse(c, 1.24, 0.515, 0.055, 0.06, [0.15, 0.3, 0.55], { round: 1 });
    for (let n = 0; n < 5; n++) {
      const x = 1.24 + (n - 2) * 0.035 + 0.006 * Math.sin(t * 1.4 + n);
      line(c, 1.24, 0.47, x, 0.37, 0.004, [0.1, 0.25, 0.08]);
      ellipse(c, x, 0.36, 0.022, 0.022, n % 2 ? [0.9, 0.35, 0.3] : [0.95, 0.8, 0.3], { round: 0.8 });
    }
    for (let n = 0; n < 3; n++)
      box(
        c,
        0.98,
        0.55 - n * 0.034,
        0.075 - 0.008 * n,
        0.015,
        [
          [0.5, 0.1, 0.08],
          [0.1, 0.3, 0.2],
          [0.6, 0.5, 0.2],
        ][n] as unknown as Colour,
      );
    const bx = 0.15 + 1.5 * Math.abs(((t * 0.21) % 2) - 1);
    const hop = Math.abs(Math.sin(t * 3.3));
    ellipse(c, bx, 0.91, 0.08 * (1.1 - 0.4 * hop), 0.02, [0.02, 0.01, 0.01], { alpha: 0.6, soft: 0.02 });
    ellipse(c, bx, 0.84 - 0.3 * hop, 0.075, 0.075 - 0.015 * (1 - hop) ** 4, [0.85, 0.15, 0.1], { round: 1 });
    ellipse(c, bx, 0.84 - 0.3 * hop, 0.075, 0.025, [0.95, 0.9, 0.8], { turn: t * 4, round: 0.5 });
    line(c, 1.05, -0.2, lx, ly, 0.005, [0.04, 0.03, 0.03]);
    polygon(
      c,
      [
        [lx - 0.03, ly - 0.02],
        [lx + 0.03, ly - 0.02],
        [lx + 0.11, ly + 0.07],
        [lx - 0.11, ly + 0.07],
      ],
      [0.1, 0.32, 0.22],
    );
    ellipse(c, lx, ly + 0.075, 0.035, 0.03, [1, 0.95, 0.8]);
    glow(c, lx, ly + 0.08, 0.42, [1, 0.8, 0.45], 0.4);
  };
};

function picture(c: Canvas, x: number, y: number, tint: Colour): void {
  box(c, x, y, 0.15, 0.12, [0.45, 0.32, 0.1], { round: 0.8 });
  box(c, x, y, 0.13, 0.1, [tint[2], tint[0], tint[1]]);
  polygon(
    c,
    [
      [x - 0.12, y + 0.095],
      [x - 0.03, y - 0.05],
      [x + 0.05, y + 0.095],
    ],
    [0.12, 0.16, 0.2],
  );
  polygon(
    c,
    [
      [x - 0.02, y + 0.095],
      [x + 0.06, y - 0.02],
      [x + 0.12, y + 0.095],
    ],
    [0.2, 0.2, 0.16],
  );
  ellipse(c, x + 0.07, y - 0.05, 0.02, 0.02, [0.95, 0.75, 0.3]);
}
