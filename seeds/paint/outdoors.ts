import { box, type Canvas, type Colour, ellipse, fill, glow, line, look, polygon } from './canvas.ts';
import { clamp, cloud, hash2, random, step } from './random.ts';
import type { Scene } from './scene.ts';

const mix = (a: Colour, b: Colour, t: number): Colour => [
  a[0] + (b[0] - a[0]) * t,
  a[1] + (b[1] - a[1]) * t,
  a[2] + (b[2] - a[2]) * t,
];

/** Ridges behind one another, a sun that climbs or sinks, clouds and birds. */
export const mountains: Scene = (seed) => {
  const next = random(seed);
  const shape = cloud(seed + 1, 6, 4);
  const rock = cloud(seed + 2, 6, 8);
  const sky = cloud(seed + 3, 5, 3);
  const warm = next();
  const top: Colour = mix([0.05, 0.1, 0.32], [0.28, 0.1, 0.25], warm);
  const low: Colour = mix([0.75, 0.55, 0.35], [0.95, 0.42, 0.2], warm);
  const near: Colour = mix([0.03, 0.07, 0.05], [0.1, 0.04, 0.07], next());
  const sunX = 0.3 + next() * 1.1;
  const pan = (next() < 0.5 ? -1 : 1) * (0.14 + 0.05 * next());
  const horizon = 0.36 + 0.16 * next();
  const ridges = Array.from({ length: 5 }, (_, n) => ({
    base: horizon + n * (0.11 + 0.02 * next()),
    height: 0.42 - 0.05 * n,
    row: next(),
    width: 0.34 - 0.03 * n + 0.08 * next(),
    speed: 0.3 + 0.4 * n,
    colour: mix(mix(low, top, 0.45), near, (n + 1) / 5),
  }));
  const rise = next() < 0.5 ? 0.016 : -0.016;
  return (c, t) => {
    look(c);
    const sunY = horizon - 0.16 - rise * (t - 4);
    fill(c, (x, y, out) => {
      // From the front: `left` is what shows past the soft edges of the ridges met so far.
      let left = 1;
      out.fill(0);
      for (let n = ridges.length - 1; n >= 0; n--) {
        const ridge = ridges[n]!;
        const at = (x + pan * t * ridge.speed) * ridge.width + ridge.row;
        const h = ridge.base - (shape.at(at, ridge.row) - 0.35) * ridge.height;
        const cover = clamp((y - h) * c.height * 0.8) * left;
        if (cover <= 0) continue;
        const slope = shape.at(at + 0.006, ridge.row) - shape.at(at - 0.006, ridge.row);
        const grain = rock.at(at * 2.2 + y * 0.35, y * 0.9 - at * 0.8 + ridge.row);
        const shade = clamp(slope * 7 * clamp((sunX - x) * 3, -1, 1), -0.3, 0.5) * Math.exp(-9 * (y - h));
        const light = 0.25 + 1.15 * grain + shade;
        const snow = step(0.07, 0, y - h - 0.06 * grain) * step(0.5, 0.7, shape.at(at, ridge.row));
        const mist = clamp((y - ridge.base + 0.04) * 1.5, 0, 0.3);
        for (let k = 0; k < 3; k++) {
          out[k]! += cover * ((ridge.colour[k]! * light + snow * 0.45) * (1 - mist) + mist * low[k]! * 0.55);
        }
        left -= cover;
        if (left < 0.01) return;
      }
      const up = clamp(y / 0.6);
      const wisps = step(0.42, 0.7, sky.at(x * 0.22 + t * 0.012, y * 0.5 + x * 0.03)) * (1 - up * 0.6);
      const near2 = (x - sunX) ** 2 + (y - sunY) ** 2;
      const sun = 0.5 / (1 + near2 * 22) + 0.9 * step(0.063, 0.057, Math.sqrt(near2));
      for (let k = 0; k < 3; k++) {
        const base = top[k]! + (low[k]! - top[k]!) * up;
        out[k]! +=
          left *
          (base * (0.75 + 0.1 * k) + wisps * 0.4 * (low[k]! + 0.25) + sun * (k === 0 ? 0.9 : k === 1 ? 0.62 : 0.3));
      }
    });
    for (let n = 0; n < 9; n++) {
      const x = ((hash2(n, seed) * 2.4 + t * (0.12 + 0.03 * hash2(n, 7))) % 2.4) - 0.3;
      const y = 0.12 + 0.2 * hash2(n, 3) + 0.02 * Math.sin(t * 2 + n);
      const flap = 0.012 * Math.sin(t * 9 + n * 2);
      line(c, x, y, x - 0.024, y - 0.006 - flap, 0.0028, [0.02, 0.02, 0.03]);
      line(c, x, y, x + 0.024, y - 0.006 - flap, 0.0028, [0.02, 0.02, 0.03]);
    }
  };
};

/** Trunks at several depths, shafts of light, leaves overhead and a fox that runs through. */
export const forest: Scene = (seed) => {
  const next = random(seed);
  const bark = cloud(seed + 1, 6, 8);
  const leaves = cloud(seed + 2, 6, 12);
  const pan = (next() < 0.5 ? -1 : 1) * 0.16;
  const tint = next();
  const far: Colour = mix([0.42, 0.55, 0.28], [0.62, 0.5, 0.22], tint);
  return (c, t) => {
    look(c, 0, 0.008 * Math.sin(t * 2.1), 1, 0.006 * Math.sin(t * 1.3));
    fill(c, (x, y, out) => {
      const wood = leaves.at(x * 0.12 + pan * t * 0.02, y * 0.25);
      const shaft = step(0.5, 0.85, bark.at((x + y * 0.5) * 0.22 + t * 0.006, 0.3)) * (1 - y * 0.7);
      const ground = step(0.7, 0.82, y + 0.05 * wood);
      const moss = leaves.at((x + pan * t) * 0.5, y * 1.1);
      for (let k = 0; k < 3; k++) {
        const air = far[k]! * (0.35 + 0.75 * wood) * (1.15 - y * 0.7) + shaft * (k === 2 ? 0.3 : 0.55);
        out[k] = air + ground * ((k === 1 ? 0.2 : k === 0 ? 0.15 : 0.05) * (0.3 + 1.4 * moss) - air);
      }
    });
    for (let layer = 0; layer < 4; layer++) {
      const depth = (layer + 1) / 4;
      const span = 2.6;
      for (let n = 0; n < 7 - layer; n++) {
        const id = layer * 17 + n;
        const home = (n + 0.7 * hash2(id, seed)) * (span / (7 - layer));
        const x = ((((home + pan * t * (0.3 + 1.1 * depth)) % span) + span) % span) - 0.4;
        const half = 0.014 + 0.045 * depth * depth * (0.6 + hash2(id, 5));
        const lean = 0.09 * (hash2(id, 9) - 0.5);
        const dark = 0.3 - 0.26 * depth;
        const colour: Colour = [dark * 1.1 + 0.025, dark + 0.018, dark * 0.6 + 0.015];
        box(c, x, 0.38, half, 0.46 + 0.14 * depth, colour, { turn: lean, round: 0.9 });
        for (let b = 0; b < 3; b++) {
          const y = 0.08 + 0.22 * hash2(id, 20 + b);
          const reach = (hash2(id, 30 + b) - 0.5) * 0.5;
          line(c, x - lean * (y - 0.38), y + 0.1, x + reach, y - 0.08, half * 0.25, colour);
        }
      }
      if (layer === 2) fox(c, -0.3 + t * 0.31, 0.79 + 0.012 * Math.abs(Math.sin(t * 7)), t);
    }
    for (let n = 0; n < 44; n++) {
      const x = ((((hash2(n, seed + 1) * 2.4 + pan * 1.5 * t) % 2.4) + 2.4) % 2.4) - 0.3;
      const shade = 0.02 + 0.1 * hash2(n, 4);
      const sway = 0.01 * Math.sin(t * 1.7 + n);
      ellipse(
        c,
        x + sway,
        0.02 + 0.1 * hash2(n, 6),
        0.1,
        0.05 + 0.05 * hash2(n, 8),
        [shade * 0.7, shade * 1.3, shade * 0.3],
        {
          turn: n,
          alpha: 0.95,
        },
      );
    }
  };
};

function fox(c: Canvas, x: number, y: number, t: number): void {
  const coat: Colour = [0.78, 0.3, 0.06];
  for (let n = 0; n < 4; n++) {
    const swing = 0.045 * Math.sin(t * 11 + n * 1.7);
    const hip = x + (n < 2 ? -0.065 : 0.06);
    line(c, hip, y, hip + swing, y + 0.085 - Math.abs(swing) * 0.3, 0.009, [0.12, 0.05, 0.03]);
  }
  ellipse(c, x - 0.16, y - 0.035, 0.085, 0.03, coat, { turn: -0.35 + 0.15 * Math.sin(t * 5) });
  ellipse(c, x - 0.235, y - 0.015, 0.022, 0.016, [0.9, 0.85, 0.75]);
  ellipse(c, x, y - 0.012, 0.105, 0.043, coat);
  ellipse(c, x + 0.12, y - 0.055, 0.045, 0.034, coat, { turn: 0.2 });
  polygon(
    c,
    [
      [x + 0.1, y - 0.14],
      [x + 0.125, y - 0.075],
      [x + 0.085, y - 0.075],
    ],
    coat,
  );
  polygon(
    c,
    [
      [x + 0.14, y - 0.13],
      [x + 0.15, y - 0.075],
      [x + 0.115, y - 0.075],
    ],
    coat,
  );
  ellipse(c, x + 0.16, y - 0.045, 0.025, 0.014, [0.92, 0.88, 0.8], { turn: 0.3 });
}

/** Waves in perspective, a boat that rocks and a lighthouse that turns. */
export const sea: Scene = (seed) => {
  const next = random(seed);
  const waves = cloud(seed + 1, 5, 8);
  const sky = cloud(seed + 2, 6, 4);
  const horizon = 0.36 + 0.14 * next();
  const rock = 0.25 + 1.2 * next();
  const lightX = rock < 0.89 ? rock : rock - 0.05;
  const boatFrom = rock < 0.89 ? 1.5 : 0.2;
  const drift = rock < 0.89 ? -0.1 : 0.1;
  const deep: Colour = mix([0.01, 0.1, 0.16], [0.02, 0.05, 0.16], next());
  const dusk: Colour = mix([0.9, 0.5, 0.28], [0.45, 0.55, 0.6], next());
  return (c, t) => {
    look(c, 0.03 * Math.sin(t * 0.5), 0.012 * Math.sin(t * 1.1), 1.05, 0.035 * Math.sin(t * 0.8));
    const beam = t * 1.3;
    fill(c, (x, y, out) => {
      if (y < horizon) {
        const up = clamp(1 - y / horizon);
        const bank = sky.at(x * 0.2 - t * 0.012, y * 0.55);
        const heavy = step(0.42, 0.72, bank + 0.2 * up);
        const angle = Math.atan2(y - (horizon - 0.23), x - lightX);
        const ray = Math.cos(angle - beam) ** 40 * 0.35;
        for (let k = 0; k < 3; k++) out[k] = dusk[k]! * (1.05 - 0.75 * up) * (1 - 0.72 * heavy) + 0.04 + ray;
        return;
      }
      const z = 0.09 / (y - horizon + 0.012);
      const u = (x - c.aspect / 2) * z * 0.55;
      const w =
        waves.at(u + t * 0.03, z * 0.8 - t * 0.11) * 0.6 + waves.at(u * 2.1 - t * 0.05, z * 1.9 + t * 0.07) * 0.4;
      const crest = step(0.52, 0.75, w);
      const glitter = crest * clamp(1 - Math.abs(x - 0.95 - 0.1 * Math.sin(z * 3 + t)) * 2.2) * 1.1;
      for (let k = 0; k < 3; k++) out[k] = deep[k]! * (0.4 + 1.7 * w) + dusk[k]! * (crest * 0.22 + glitter * 0.7);
    });
    const foot = horizon + 0.03;
    ellipse(c, lightX - 0.04, foot + 0.02, 0.3, 0.07, [0.06, 0.055, 0.06], { round: 0.9 });
    ellipse(c, lightX + 0.16, foot + 0.03, 0.16, 0.05, [0.08, 0.07, 0.07], { round: 0.9 });
    for (let n = 0; n < 5; n++) {
      const half = 0.034 - n * 0.0035;
      box(c, lightX, foot - 0.03 - n * 0.045, half, 0.0235, n % 2 ? [0.75, 0.1, 0.08] : [0.85, 0.83, 0.8], {
        round: 0.8,
      });
    }
    box(c, lightX, horizon - 0.215, 0.026, 0.02, [0.9, 0.8, 0.5]);
    glow(c, lightX, horizon - 0.215, 0.16 + 0.05 * Math.cos(beam), [1, 0.85, 0.5], 0.8);
    const x = boatFrom + drift * t;
    const y = 0.68 + 0.02 * Math.sin(t * 1.7);
    const tilt = 0.14 * Math.sin(t * 1.4);
    const at = (dx: number, dy: number): [number, number] => [
      x + dx * Math.cos(tilt) - dy * Math.sin(tilt),
      y + dx * Math.sin(tilt) + dy * Math.cos(tilt),
    ];
    polygon(c, [at(-0.19, 0), at(0.2, 0), at(0.13, 0.085), at(-0.14, 0.085)], [0.3, 0.09, 0.05], { round: 0.7 });
    line(c, ...at(0, 0), ...at(0, -0.42), 0.008, [0.1, 0.06, 0.03]);
    polygon(c, [at(0.015, -0.4), at(0.18, -0.05), at(0.015, -0.03)], [0.92, 0.86, 0.72], { round: 0.6 });
    polygon(c, [at(-0.015, -0.35), at(-0.015, -0.04), at(-0.13, -0.06)], [0.72, 0.2, 0.12], { round: 0.6 });
  };
};

/** Fields from above: the camera turns over them, under it balloons and the shadows of clouds. */
export const fields: Scene = (seed) => {
  const next = random(seed);
  const soil = cloud(seed + 1, 6, 16);
  const clouds = cloud(seed + 2, 5, 4);
  const turn0 = next() * 6;
  const spin = (next() < 0.5 ? -1 : 1) * 0.07;
  const size = 0.24 + 0.1 * next();
  const crops: Colour[] = [
    [0.12, 0.26, 0.05],
    [0.55, 0.45, 0.12],
    [0.25, 0.38, 0.1],
    [0.3, 0.17, 0.08],
    [0.72, 0.62, 0.25],
    [0.07, 0.16, 0.06],
  ];
  return (c, t) => {
    look(c, 0.25 * t * 0.4, 0.1 * t * 0.5, 0.95 + 0.02 * t, turn0 + spin * t);
    const river = (x: number) => 0.5 + 0.9 * (soil.at(x * 0.06, 0.4) - 0.5) + 0.5 * Math.sin(x * 1.1 + seed);
    fill(c, (x, y, out) => {
      const gx = x / size + 0.35 * Math.floor(y / size / 1.4);
      const gy = y / size / 1.4;
      const [cx, cy] = [Math.floor(gx), Math.floor(gy)];
      const [fx, fy] = [gx - cx, gy - cy];
      const kind = hash2(cx + seed, cy);
      const crop = crops[Math.floor(kind * crops.length)]!;
      const furrow = 0.85 + 0.3 * Math.sin(((kind * 977) % 1 < 0.5 ? fx : fy) * 46);
      const hedge = Math.min(fx, fy, 1 - fx, 1 - fy) < 0.03 ? 0.35 : 1;
      const earth = 0.6 + 0.8 * soil.at(x * 0.5, y * 0.5);
      const water = step(0.06, 0.05, Math.abs(y - river(x)));
      const shadow = 1 - 0.6 * step(0.5, 0.66, clouds.at(x * 0.16 + t * 0.018, y * 0.16));
      for (let k = 0; k < 3; k++) {
        const land = crop[k]! * furrow * hedge * earth;
        out[k] = (land + water * ((k === 2 ? 0.5 : k === 1 ? 0.38 : 0.22) - land)) * shadow * 1.25;
      }
    });
    for (let n = 0; n < 26; n++) {
      const [x, y] = [(hash2(n, seed) - 0.15) * 3.4, (hash2(n, seed + 5) - 0.35) * 2.4];
      ellipse(c, x + 0.012, y + 0.014, 0.024, 0.02, [0.01, 0.02, 0.01], { alpha: 0.6 });
      ellipse(c, x, y, 0.02, 0.02, [0.08, 0.2, 0.05], { round: 1 });
    }
    for (let n = 0; n < 3; n++) {
      const x = c.view.x - 0.5 + 0.5 * n + 0.16 * Math.sin(t * 0.35 + n * 2);
      const y = c.view.y - 0.15 + 0.25 * Math.sin(n * 2.4 + t * 0.3);
      const r = 0.085 + 0.03 * n;
      ellipse(c, x + 0.13, y + 0.16, r, r * 0.9, [0.01, 0.015, 0.01], { alpha: 0.5, soft: 0.04 });
      ellipse(
        c,
        x,
        y,
        r,
        r,
        [
          [0.8, 0.12, 0.08],
          [0.9, 0.7, 0.1],
          [0.1, 0.25, 0.65],
        ][n] as unknown as Colour,
        { round: 1 },
      );
      ellipse(c, x, y, r * 0.62, r * 0.62, [0.9, 0.88, 0.8], { round: 0.9 });
      ellipse(
        c,
        x,
        y,
        r * 0.3,
        r * 0.3,
        [
          [0.8, 0.12, 0.08],
          [0.9, 0.7, 0.1],
          [0.1, 0.25, 0.65],
        ][n] as unknown as Colour,
      );
    }
  };
};

/** A road through the desert, towards the viewer, with poles and cacti at its side. */
export const road: Scene = (seed) => {
  const next = random(seed);
  const sand = cloud(seed + 1, 6, 8);
  const hills = cloud(seed + 2, 6, 5);
  const horizon = 0.4 + 0.1 * next();
  const high: Colour = mix([0.16, 0.3, 0.6], [0.3, 0.14, 0.4], next());
  const low: Colour = [0.95, 0.68, 0.4];
  const bendBy = (next() < 0.5 ? -1 : 1) * (0.5 + 0.3 * next());
  return (c, t) => {
    look(c, 0.3 * Math.sin(t * 0.55 + seed), 0.006 * Math.sin(t * 5), 1, 0.06 * Math.sin(t * 0.7));
    const travel = t * 2.6;
    const bend = (z: number) => bendBy * Math.sin(t * 0.42 + z * 0.06) * Math.min(z, 9) * 0.045;
    const yaw = 0.28 * Math.sin(t * 0.42);
    fill(c, (x, y, out) => {
      const side = x - c.aspect / 2;
      if (y < horizon) {
        const ridge = horizon - 0.02 - 0.27 * clamp(hills.at(side * 0.13 + yaw * 0.3, seed * 0.1) - 0.3);
        const stripe = y > ridge ? 1 : 0;
        const strata =
          0.55 + 0.5 * sand.at(0.3 + side * 0.05, y * 4) + 0.35 * hills.at(side * 0.8 + yaw * 1.6, y * 1.5);
        const puff = step(0.5, 0.72, hills.at(side * 0.25 + yaw * 0.2 + t * 0.01, y * 0.8 + 0.5));
        for (let k = 0; k < 3; k++) {
          const air = high[k]! + (low[k]! - high[k]!) * clamp(y / horizon) ** 2 + puff * 0.33;
          out[k] = stripe ? (k === 0 ? 0.42 : k === 1 ? 0.19 : 0.14) * strata : air;
        }
        return;
      }
      const z = 0.2 / (y - horizon + 0.006);
      const across = side * z * 1.6 - bend(z) * z;
      const along = z * 1.4 + travel;
      const lane = Math.abs(across);
      const dune = sand.at(across * 0.11 + 0.2, along * 0.09);
      if (lane < 0.55) {
        const dash = lane < 0.025 && along % 1 < 0.5 ? 1 : 0;
        const rim = lane > 0.49 && lane < 0.52 ? 0.8 : 0;
        const tar = 0.07 + 0.07 * sand.at(across, along * 0.4);
        out[0] = tar + dash * 0.8 + rim * 0.7;
        out[1] = tar + dash * 0.62 + rim * 0.7;
        out[2] = tar + dash * 0.15 + rim * 0.66;
        return;
      }
      const light = (0.45 + 0.8 * dune) * (0.85 + 0.15 * Math.min(1, z / 4));
      out[0] = 0.82 * light;
      out[1] = 0.52 * light;
      out[2] = 0.27 * light;
    });
    for (let n = 14; n >= 0; n--) {
      const z = n * 0.9 + 0.9 - ((travel / 1.4) % 0.9);
      const id = Math.floor(travel / 1.4 / 0.9) + n;
      const y = horizon + 0.2 / z - 0.006;
      const left = hash2(id, seed) < 0.5 ? -1 : 1;
      const x = c.aspect / 2 + (left * (0.9 + 0.9 * hash2(id, 3)) + bend(z) * z) / (z * 1.6);
      const s = 0.5 / z;
      const shade = 0.6 + 0.4 * Math.min(1, z / 5);
      if (hash2(id, 8) < 0.5) {
        line(c, x, y, x, y - s * 0.95, s * 0.022, [0.13, 0.07, 0.04]);
        line(c, x - s * 0.22, y - s * 0.85, x + s * 0.22, y - s * 0.85, s * 0.016, [0.13, 0.07, 0.04]);
      } else {
        const green: Colour = [0.08 * shade, 0.22 * shade, 0.08 * shade];
        line(c, x, y, x, y - s * 0.55, s * 0.06, green);
        line(c, x, y - s * 0.25, x - s * 0.17, y - s * 0.3, s * 0.04, green);
        line(c, x - s * 0.17, y - s * 0.3, x - s * 0.17, y - s * 0.48, s * 0.04, green);
        line(c, x, y - s * 0.2, x + s * 0.15, y - s * 0.24, s * 0.035, green);
        line(c, x + s * 0.15, y - s * 0.24, x + s * 0.15, y - s * 0.4, s * 0.035, green);
      }
    }
  };
};
