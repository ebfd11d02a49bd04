import { clamp } from './random.ts';

/** Red, green and blue, 0..1 and above where light is bright. */
export type Colour = readonly [number, number, number];

/** Where the camera looks: the point in the middle, how near, and how it leans (radians). */
export interface View {
  x: number;
  y: number;
  zoom: number;
  roll: number;
}

/** Pixels in planes. Pictures are 1 high and `aspect` wide; (0, 0) is the upper left corner of the plain view. */
export interface Canvas {
  width: number;
  height: number;
  aspect: number;
  view: View;
  /** The shot's own camera, on top of what the scene does. */
  shot: View;
  r: Float32Array;
  g: Float32Array;
  b: Float32Array;
}

export function createCanvas(width: number, height: number): Canvas {
  const n = width * height;
  const aspect = width / height;
  return {
    width,
    height,
    aspect,
    view: { x: aspect / 2, y: 0.5, zoom: 1, roll: 0 },
    shot: { x: 0, y: 0, zoom: 1, roll: 0 },
    r: new Float32Array(n),
    g: new Float32Array(n),
    b: new Float32Array(n),
  };
}

export function look(c: Canvas, x = 0, y = 0, zoom = 1, roll = 0): void {
  const { shot } = c;
  c.view = { x: c.aspect / 2 + x + shot.x, y: 0.5 + y + shot.y, zoom: zoom * shot.zoom, roll: roll + shot.roll };
}

/** Paints every pixel: `shade` is given the place in the world and fills in the colour. */
export function fill(c: Canvas, shade: (x: number, y: number, out: [number, number, number]) => void): void {
  const { width, height, view } = c;
  const out: [number, number, number] = [0, 0, 0];
  const scale = 1 / (height * view.zoom);
  const cos = Math.cos(view.roll) * scale;
  const sin = Math.sin(view.roll) * scale;
  for (let j = 0, i = 0; j < height; j++) {
    const dy = j + 0.5 - height / 2;
    for (let k = 0; k < width; k++, i++) {
      const dx = k + 0.5 - width / 2;
      shade(view.x + dx * cos - dy * sin, view.y + dx * sin + dy * cos, out);
      c.r[i] = out[0];
      c.g[i] = out[1];
      c.b[i] = out[2];
    }
  }
}

/** Calls back for the pixels of a rectangle of half sizes `hx` and `hy` round a point, with the way from it in the world. */
function around(
  c: Canvas,
  x: number,
  y: number,
  hx: number,
  hy: number,
  pixel: (i: number, dx: number, dy: number) => void,
): void {
  const { width, height, view } = c;
  const scale = height * view.zoom;
  const cos = Math.cos(view.roll);
  const sin = Math.sin(view.roll);
  const wx = x - view.x;
  const wy = y - view.y;
  const px = width / 2 + (wx * cos + wy * sin) * scale;
  const py = height / 2 + (wy * cos - wx * sin) * scale;
  const rx = (hx * Math.abs(cos) + hy * Math.abs(sin)) * scale + 1;
  const ry = (hx * Math.abs(sin) + hy * Math.abs(cos)) * scale + 1;
  const [x0, x1] = [Math.max(0, Math.floor(px - rx)), Math.min(width - 1, Math.ceil(px + rx))];
  const [y0, y1] = [Math.max(0, Math.floor(py - ry)), Math.min(height - 1, Math.ceil(py + ry))];
  for (let j = y0; j <= y1; j++) {
    const dy = (j + 0.5 - py) / scale;
    for (let k = x0; k <= x1; k++) {
      const dx = (k + 0.5 - px) / scale;
      pixel(j * width + k, dx * cos - dy * sin, dx * sin + dy * cos);
    }
  }
}

function blend(c: Canvas, i: number, colour: Colour, alpha: number, light = 1): void {
  c.r[i]! += (colour[0] * light - c.r[i]!) * alpha;
  c.g[i]! += (colour[1] * light - c.g[i]!) * alpha;
  c.b[i]! += (colour[2] * light - c.b[i]!) * alpha;
}

export interface Look {
  /** Radians, clockwise. */
  turn?: number;
  alpha?: number;
  /** Width of the edge in world units; one pixel if left out. */
  soft?: number;
  /** Lit from the upper left: 0 flat, 1 round. */
  round?: number;
}

export function ellipse(c: Canvas, x: number, y: number, rx: number, ry: number, colour: Colour, o: Look = {}): void {
  const { turn = 0, alpha = 1, soft = 0, round = 0.5 } = o;
  const cos = Math.cos(turn);
  const sin = Math.sin(turn);
  const edge = Math.max(soft, 1.2 / (c.height * c.view.zoom)) / Math.min(rx, ry);
  const [ex, ey] = [rx * (1 + edge), ry * (1 + edge)];
  const [hx, hy] = [Math.hypot(ex * cos, ey * sin), Math.hypot(ex * sin, ey * cos)];
  around(c, x, y, hx, hy, (i, dx, dy) => {
    const u = (dx * cos + dy * sin) / rx;
    const v = (dy * cos - dx * sin) / ry;
    const d = Math.sqrt(u * u + v * v);
    const a = clamp((1 + edge / 2 - d) / edge) * alpha;
    if (a > 0) blend(c, i, colour, a, 1 - round * 0.55 * (0.45 + (dx + dy) / (rx + ry)));
  });
}

/** A box of half sizes hx and hy with rounded corners. */
export function box(
  c: Canvas,
  x: number,
  y: number,
  hx: number,
  hy: number,
  colour: Colour,
  o: Look & { corner?: number } = {},
): void {
  const { turn = 0, alpha = 1, soft = 0, round = 0.25, corner = 0 } = o;
  const cos = Math.cos(turn);
  const sin = Math.sin(turn);
  const edge = Math.max(soft, 1.2 / (c.height * c.view.zoom));
  const wide = Math.abs(hx * cos) + Math.abs(hy * sin) + edge;
  const tall = Math.abs(hx * sin) + Math.abs(hy * cos) + edge;
  around(c, x, y, wide, tall, (i, dx, dy) => {
    const u = Math.abs(dx * cos + dy * sin) - hx + corner;
    const v = Math.abs(dy * cos - dx * sin) - hy + corner;
    const d = (u > 0 && v > 0 ? Math.sqrt(u * u + v * v) : Math.max(u, v)) - corner;
    const a = clamp(0.5 - d / edge) * alpha;
    if (a > 0) blend(c, i, colour, a, 1 - (round * (dx + dy) * 0.6) / (hx + hy) - round * 0.2);
  });
}

/** A line of some width with round ends. */
export function line(
  c: Canvas,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  half: number,
  colour: Colour,
  alpha = 1,
) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  const turn = Math.atan2(y1 - y0, x1 - x0);
  box(c, (x0 + x1) / 2, (y0 + y1) / 2, length / 2 + half, half, colour, { turn, alpha, corner: half, round: 0 });
}

/** A filled outline without dents; corners clockwise as seen. */
export function polygon(c: Canvas, points: readonly (readonly [number, number])[], colour: Colour, o: Look = {}): void {
  const { alpha = 1, soft = 0, round = 0.2 } = o;
  let x = 0;
  let y = 0;
  for (const p of points) {
    x += p[0] / points.length;
    y += p[1] / points.length;
  }
  let reach = 0;
  let [wide, tall] = [0, 0];
  for (const p of points) {
    reach = Math.max(reach, Math.hypot(p[0] - x, p[1] - y));
    wide = Math.max(wide, Math.abs(p[0] - x));
    tall = Math.max(tall, Math.abs(p[1] - y));
  }
  const edge = Math.max(soft, 1.2 / (c.height * c.view.zoom));
  const sides = points.map((p, n) => {
    const q = points[(n + 1) % points.length]!;
    const length = Math.hypot(q[0] - p[0], q[1] - p[1]) || 1;
    return { nx: (q[1] - p[1]) / length, ny: -(q[0] - p[0]) / length, px: p[0] - x, py: p[1] - y };
  });
  around(c, x, y, wide + edge, tall + edge, (i, dx, dy) => {
    let d = -Infinity;
    for (const s of sides) d = Math.max(d, (dx - s.px) * s.nx + (dy - s.py) * s.ny);
    const a = clamp(0.5 - d / edge) * alpha;
    if (a > 0) blend(c, i, colour, a, 1 - (round * (dx + dy)) / (2 * reach));
  });
}

/** Adds light that fades to nothing at the radius. */
export function glow(c: Canvas, x: number, y: number, radius: number, colour: Colour, strength: number): void {
  around(c, x, y, radius, radius, (i, dx, dy) => {
    const d = 1 - (dx * dx + dy * dy) / (radius * radius);
    if (d <= 0) return;
    const a = d * d * strength;
    c.r[i]! += colour[0] * a;
    c.g[i]! += colour[1] * a;
    c.b[i]! += colour[2] * a;
  });
}

export interface Finish {
  /** Changes from frame to frame. */
  grainSeed: number;
  grain: number;
  vignette: number;
  /** All light, for fades. */
  light: number;
  /** 0 black and white, 1 as painted. */
  colourful: number;
}

const LEVELS = 4096;
/** Light 0..2 to a byte: a soft shoulder above 0.7, then gamma. */
const BYTE = Uint8Array.from({ length: 2 * LEVELS + 1 }, (_, i) => {
  const v = i / LEVELS;
  const soft = v < 0.7 ? v : 0.7 + 0.3 * (1 - 1 / (1 + (v - 0.7) / 0.3));
  return Math.round(255 * clamp(soft) ** (1 / 1.6));
});
const toByte = (v: number): number => BYTE[v <= 0 ? 0 : v >= 2 ? 2 * LEVELS : (v * LEVELS + 0.5) | 0]!;

/** Grain, darker corners, a soft shoulder, and out as 24-bit RGB. */
export function develop(c: Canvas, f: Finish, out = new Uint8Array(c.width * c.height * 3)): Uint8Array {
  const { width, height } = c;
  const { r, g, b } = c;
  let state = Math.imul(f.grainSeed + 1, 0x9e3779b1) | 1;
  for (let j = 0, i = 0, o = 0; j < height; j++) {
    const v = (j / height - 0.5) * 2;
    for (let k = 0; k < width; k++, i++, o += 3) {
      const u = (k / width - 0.5) * 2;
      const light = f.light * (1 - f.vignette * (u * u + v * v) * 0.5);
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      const grey = (0.3 * r[i]! + 0.59 * g[i]! + 0.11 * b[i]!) * light;
      const noise = (state / 4294967296) * f.grain * (0.25 + Math.sqrt(grey < 0 ? 0 : grey));
      const base = grey * (1 - f.colourful) + noise;
      const tint = light * f.colourful;
      out[o] = toByte(base + r[i]! * tint);
      out[o + 1] = toByte(base + g[i]! * tint);
      out[o + 2] = toByte(base + b[i]! * tint);
    }
  }
  return out;
}
