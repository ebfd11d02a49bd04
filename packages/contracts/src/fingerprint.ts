import { CODE_BYTES, CODE_KINDS, type CodeKind } from './codes.ts';

/** Flags of a looked-at frame. */
export const FRAME_FLAT = 1; // nothing in it to judge: black, one colour, a plain gradient
export const FRAME_PAGE = 2; // mostly one level with lettering on it: credits, slates, pages of text
export const FRAME_KEY = 4; // the container calls it a keyframe
export const FRAME_FOUND = 8; // a copy was found here: nothing else is looked for by it
/** What a frame of a film must not be for anything to be looked for by it. */
export const FRAME_UNFIT = FRAME_FLAT | FRAME_PAGE | FRAME_FOUND;

/** Frames that were looked at, in order of time. `time` in seconds from the start of the media. */
export interface Frames {
  time: Float64Array;
  /** PDQ quality 0..100 of the whole picture. */
  quality: Uint8Array;
  flags: Uint8Array;
}

/**
 * Codes of one kind, as columns. `bits` holds 32 bytes a code. `place` holds four numbers a code:
 * - picture: left, top, right, bottom of the coded part of the frame, in 1/65535 of width and height (0 0 65535 65535 is
 *   the whole picture; anything else had its borders trimmed);
 * - patch: x, y in 1/65535 of width and height, diameter in 1/65535 of the frame's diagonal, angle in 1/65536 of a turn.
 * `turn` indexes TURNS. `quality` is PDQ quality for pictures (of the coded part), corner strength rank for patches.
 */
export interface CodeTable {
  kind: CodeKind;
  count: number;
  bits: Uint8Array;
  frame: Uint16Array;
  place: Uint16Array;
  turn: Uint8Array;
  quality: Uint8Array;
}

export const SAMPLINGS = ['still', 'keyframes', 'dense', 'every-frame'] as const;
/** still: an image. keyframes: an upload's first pass. dense: 2 frames a second. every-frame: a reference, pruned. */
export type Sampling = (typeof SAMPLINGS)[number];

export const CODE_MODES = ['exact', 'fast'] as const;
/** exact: PDQ as Meta computes it, fit for exchange. fast: from a decoder that shrank the picture first. */
export type CodeMode = (typeof CODE_MODES)[number];

/** What one slice of media looks like. */
export interface Fingerprint {
  engine: string;
  mode: CodeMode;
  sampling: Sampling;
  /** [start, end) in seconds of the media; [0, 0] for an image. */
  span: [number, number];
  width: number;
  height: number;
  frames: Frames;
  tables: CodeTable[];
  /** 64 x 64 luma pictures, row by row, for a second look; `time` in seconds, `luma` 4096 bytes each. */
  thumbnails: { time: Float64Array; luma: Uint8Array };
}

const MAGIC = 0x31504656; // "VFP1"
const THUMBNAIL_BYTES = 4096;

/**
 * May anything be looked for by this frame? Never by frames with nothing in them, nor by a film's pages (credits, slates: every film
 * has them) or where a copy was found. By a still that is a page it may: it is the work itself.
 */
export function isFit({ frames, sampling }: Pick<Fingerprint, 'frames' | 'sampling'>, frame: number): boolean {
  return (frames.flags[frame]! & (sampling === 'still' ? FRAME_FLAT : FRAME_UNFIT)) === 0;
}

export function emptyTable(kind: CodeKind): CodeTable {
  return {
    kind,
    count: 0,
    bits: new Uint8Array(0),
    frame: new Uint16Array(0),
    place: new Uint16Array(0),
    turn: new Uint8Array(0),
    quality: new Uint8Array(0),
  };
}

export function tableOf(fingerprint: Fingerprint, kind: CodeKind): CodeTable {
  return fingerprint.tables.find((t) => t.kind === kind) ?? emptyTable(kind);
}

/** Little-endian, sections in this order; lengths precede data. A reader refuses what it does not know. */
export function encodeFingerprint(f: Fingerprint): Uint8Array {
  const head = new TextEncoder().encode(f.engine);
  const frames = f.frames.time.length;
  let size = 4 + 1 + head.length + 2 + 16 + 8 + 4 + frames * 10 + 1 + 4 + f.thumbnails.luma.length;
  size += f.thumbnails.time.length * 8;
  for (const t of f.tables) size += 5 + t.count * (CODE_BYTES + 2 + 8 + 1 + 1);
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  const u8 = (v: number) => void view.setUint8(at++, v);
  const u16s = (v: Uint16Array) => {
    for (let i = 0; i < v.length; i++, at += 2) view.setUint16(at, v[i]!, true);
  };
  const u32 = (v: number) => {
    view.setUint32(at, v, true);
    at += 4;
  };
  const f64 = (v: number) => {
    view.setFloat64(at, v, true);
    at += 8;
  };
  const bytes = (v: Uint8Array) => {
    out.set(v, at);
    at += v.length;
  };
  u32(MAGIC);
  u8(head.length);
  bytes(head);
  u8(CODE_MODES.indexOf(f.mode));
  u8(SAMPLINGS.indexOf(f.sampling));
  f64(f.span[0]);
  f64(f.span[1]);
  u32(f.width);
  u32(f.height);
  u32(frames);
  for (const t of f.frames.time) f64(t);
  bytes(f.frames.quality);
  bytes(f.frames.flags);
  u8(f.tables.length);
  for (const t of f.tables) {
    u8(CODE_KINDS.indexOf(t.kind));
    u32(t.count);
    bytes(t.bits);
    u16s(t.frame);
    u16s(t.place);
    bytes(t.turn);
    bytes(t.quality);
  }
  u32(f.thumbnails.time.length);
  for (const t of f.thumbnails.time) f64(t);
  bytes(f.thumbnails.luma);
  return out;
}

/**
 * The codes of one kind in an encoded fingerprint, 32 bytes each: a view of its bytes, without reading the rest.
 * @throws RangeError as `decodeFingerprint`
 */
export function encodedBits(data: Uint8Array, kind: CodeKind): Uint8Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 8 || view.getUint32(0, true) !== MAGIC) throw new RangeError('not a fingerprint');
  let at = 5 + data[4]! + 2 + 16 + 8;
  at += 4 + 10 * view.getUint32(at, true);
  if (at >= data.length) throw new RangeError('fingerprint is cut short');
  for (let left = data[at++]!; left > 0; left--) {
    const bytes = view.getUint32(at + 1, true) * CODE_BYTES;
    if (at + 5 + bytes > data.length) throw new RangeError('fingerprint is cut short');
    if (CODE_KINDS[data[at]!] === kind) return data.subarray(at + 5, at + 5 + bytes);
    at += 5 + (bytes / CODE_BYTES) * (CODE_BYTES + 2 + 8 + 1 + 1);
  }
  if (at > data.length) throw new RangeError('fingerprint is cut short');
  return new Uint8Array(0);
}

/** @throws RangeError when the bytes are not a fingerprint of this version, or are cut short. */
export function decodeFingerprint(data: Uint8Array): Fingerprint {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const u8 = () => view.getUint8(at++);
  const u32 = () => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const f64 = () => {
    at += 8;
    return view.getFloat64(at - 8, true);
  };
  const bytes = (n: number) => {
    if (at + n > data.length) throw new RangeError('fingerprint is cut short');
    at += n;
    // A copy, and a plain one: `slice` of a Buffer is a view of memory that others write to.
    return new Uint8Array(data.subarray(at - n, at));
  };
  const u16s = (n: number) => {
    if (at + 2 * n > data.length) throw new RangeError('fingerprint is cut short');
    const out = new Uint16Array(n);
    for (let i = 0; i < n; i++, at += 2) out[i] = view.getUint16(at, true);
    return out;
  };
  const f64s = (n: number) => {
    if (at + 8 * n > data.length) throw new RangeError('fingerprint is cut short');
    return Float64Array.from({ length: n }, f64);
  };
  const oneOf = <T>(list: readonly T[], i: number): T => {
    const value = list[i];
    if (value === undefined) throw new RangeError('fingerprint of a newer format');
    return value;
  };
  if (data.length < 8 || u32() !== MAGIC) throw new RangeError('not a fingerprint');
  const engine = new TextDecoder().decode(bytes(u8()));
  const mode = oneOf(CODE_MODES, u8());
  const sampling = oneOf(SAMPLINGS, u8());
  const span: [number, number] = [f64(), f64()];
  const width = u32();
  const height = u32();
  const n = u32();
  const frames: Frames = { time: f64s(n), quality: bytes(n), flags: bytes(n) };
  const tables: CodeTable[] = [];
  for (let k = u8(); k > 0; k--) {
    const kind = oneOf(CODE_KINDS, u8());
    const count = u32();
    tables.push({
      kind,
      count,
      bits: bytes(count * CODE_BYTES),
      frame: u16s(count),
      place: u16s(4 * count),
      turn: bytes(count),
      quality: bytes(count),
    });
  }
  const pictures = u32();
  const thumbnails = { time: f64s(pictures), luma: bytes(pictures * THUMBNAIL_BYTES) };
  if (at !== data.length) throw new RangeError('bytes after the end of a fingerprint');
  return { engine, mode, sampling, span, width, height, frames, tables, thumbnails };
}
