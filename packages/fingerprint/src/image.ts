/**
 * Stills: bytes in, codes out. The only file that knows sharp. Meant for a worker thread: one picture at a time.
 *
 * - Only the loaders named below can run at all, whatever the bytes claim; SVG and its like, which can open other files
 *   or fetch them, are refused before a decoder sees them and could not be loaded if they were not.
 * - Transparent parts are shown on white, as a page shows them. EXIF orientation is applied. Colour profiles are not, as
 *   in Meta's PDQ, save that CMYK is brought to RGB.
 * - Of animated GIF, WebP and APNG the first frame is the image.
 * - Damaged files: what decodes is judged when at least MIN_DECODED of the rows came out (cameras and messengers do
 *   leave files without their end); the missing rows come out as one flat bar, which trimming takes off.
 */
import type { Rejection } from '@vigil/contracts';
import { ENGINE_VERSION } from '@vigil/contracts/engine';
import sharp, { type Metadata } from 'sharp';
import type { Size } from './decode-frames.ts';
import type { FingerprintOutcome, PictureOutcome, ProbeOutcome } from './fingerprinter.ts';
import { ALL_TURNS, AS_IS, assemble, frameCodes } from './frame-codes.ts';
import { decodeHeic, HeicTooLarge } from './heic.ts';
import type { MediaLimits } from './media-source.ts';
import { patchesOf } from './patch-sampling.ts';
import { levelsOf, pdqTurns } from './pdq.ts';
import { lumaOf } from './pdq-filter.ts';
import { SNIFF_BYTES, sniff } from './sniff.ts';
import { findBorders } from './trim.ts';

sharp.concurrency(1);
sharp.cache(false);
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({
  operation: [
    'VipsForeignLoadJpegBuffer',
    'VipsForeignLoadPngBuffer',
    'VipsForeignLoadWebpBuffer',
    'VipsForeignLoadNsgifBuffer',
    'VipsForeignLoadHeifBuffer',
    'VipsForeignLoadTiffBuffer',
  ],
});

/** Formats that are decoded here; other images that sniff() names need another decoder, or are refused. */
export const STILL_FORMATS: ReadonlySet<string> = new Set(['jpeg', 'png', 'gif', 'webp', 'avif', 'heic', 'tiff']);

/**
 * Larger pictures are shrunk by the decoder (mode `fast`): a quarter of the time at 12 megapixels, memory that does not grow
 * with the picture, and codes 0 bits (median; p90 and worst 4 of 39) from the exact ones. Nothing is ever enlarged.
 */
const EXACT_PIXELS = 4_000_000;
const FAST_SIDE = 1024;
/** A strip keeps at least so much of its shorter side, or the 64 samples across it would be too few. */
const FAST_SHORT_SIDE = 256;

/** The nearest to what ffmpeg's scaling by area gives: codes of 92 real frames 0 bits apart (median; worst 4; linear and cubic 6). */
const FRAME_KERNEL = 'lanczos3';

/** Shorter sides have no room for the sixteen half-waves that PDQ looks for. */
const LEAST_SIDE = 32;
const MIN_DECODED = 0.25;

const WHITE = 255;

/** 8-bit pixels, interleaved, as the picture is shown. 1 channel: grey; 3: RGB; 2 and 4: the same with alpha. */
export interface Pixels {
  data: Uint8Array;
  width: number;
  height: number;
  channels: number;
}

export type Purpose = 'upload' | 'confirm' | 'reference';

interface Decoded {
  pixels: Pixels;
  /** As shown, before any shrinking. */
  width: number;
  height: number;
  mode: 'exact' | 'fast';
}

/** Bad media as an exception inside this file; it never leaves it. */
class Refused extends Error {
  reason: Rejection;
  constructor(reason: Rejection, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** Codes of a still picture, one frame at time 0. Bad media is an outcome; a throw is a bug or a lack of memory. */
export async function fingerprintImage(
  bytes: Uint8Array,
  limits: MediaLimits,
  purpose: Purpose = 'upload',
): Promise<FingerprintOutcome> {
  // Only what goes wrong while bytes are decoded is theirs.
  const decoded = await decodeImage(bytes, limits).catch(refusal);
  return 'status' in decoded ? decoded : fingerprintPixels(decoded, purpose);
}

/**
 * Pixels as they are coded; throws what `refusal` makes an outcome of.
 * @param frame the size that is wanted, if the decoder can give it, whatever the picture's
 */
export async function decodeImage(bytes: Uint8Array, limits: MediaLimits, frame?: Size): Promise<Decoded> {
  return stillFormat(bytes, limits) === 'heic' ? heic(bytes, limits) : decode(bytes, limits, frame);
}

/** What the header says; no pixel is decoded. */
export async function probeImage(bytes: Uint8Array, limits: MediaLimits): Promise<ProbeOutcome> {
  try {
    const format = stillFormat(bytes, limits);
    const notes: string[] = [];
    let size: { width: number; height: number };
    if (format === 'heic') size = await heicHeader(bytes, limits);
    else {
      const header = await open(bytes, limits, 'none').metadata();
      size = shown(header);
      if ((header.orientation ?? 1) > 1) notes.push(`orientation ${header.orientation}`);
      if ((header.pages ?? 1) > 1) notes.push(`${header.pages} frames or pages, of which the first is judged`);
    }
    return {
      status: 'probed',
      probe: {
        kind: 'image',
        format,
        codec: format,
        ...size,
        duration: 0,
        startTime: 0,
        frameRate: 0,
        size: bytes.length,
        notes,
      },
    };
  } catch (error) {
    return refusal(error);
  }
}

export type FrameLumas =
  | { status: 'decoded'; luma: Uint8Array; larger: Uint8Array | null }
  | { status: 'rejected'; reason: Rejection; detail: string };

/** A picture as a frame of video: levels 0..255 at one size, and at another one if asked for. Bad media is an outcome. */
export async function decodeFrame(
  bytes: Uint8Array,
  limits: MediaLimits,
  working: Size,
  larger: Size | null,
): Promise<FrameLumas> {
  const decoded = await decodeImage(bytes, limits, larger ?? working).catch(refusal);
  if ('status' in decoded) return decoded;
  const at = async (size: Size) => {
    const { data, width, height, channels } = onWhite(await resized(decoded.pixels, size));
    return levelsOf(lumaOf(data, width, height, channels), width, height);
  };
  return { status: 'decoded', luma: await at(working), larger: larger && (await at(larger)) };
}

/** A still as something to look at, of that size. Bad media is an outcome. */
export async function imagePicture(bytes: Uint8Array, limits: MediaLimits, size: Size): Promise<PictureOutcome> {
  const decoded = await decodeImage(bytes, limits, size).catch(refusal);
  return 'status' in decoded ? decoded : encodePicture(onWhite(await resized(decoded.pixels, size)));
}

const PICTURE_QUALITY = 70;

/** Decoded pixels as a JPEG without anything but the picture. */
export async function encodePicture({ data, width, height, channels }: Pixels): Promise<PictureOutcome> {
  const raw = { width, height, channels: channels as 1 | 3 };
  const jpeg = await sharp(data, { raw }).jpeg({ quality: PICTURE_QUALITY }).toBuffer();
  return { status: 'picture', jpeg: Uint8Array.from(jpeg), width, height };
}

async function resized(pixels: Pixels, { width, height }: Size): Promise<Pixels> {
  if (pixels.width === width && pixels.height === height) return pixels;
  const raw = { width: pixels.width, height: pixels.height, channels: pixels.channels as 1 | 2 | 3 | 4 };
  const image = sharp(pixels.data, { raw }).resize({ width, height, fit: 'fill', kernel: FRAME_KERNEL });
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { data, width, height, channels: info.channels };
}

let scratch = new Uint8Array(0);

/** Room for levels, until the next picture of this thread: fresh memory costs as much as writing to it. */
function levelsFor(pixels: number): Uint8Array {
  if (pixels > EXACT_PIXELS) return new Uint8Array(pixels);
  if (scratch.length < pixels) scratch = new Uint8Array(pixels);
  return scratch.subarray(0, pixels);
}

/** Codes of decoded pixels, whoever decoded them. */
export function fingerprintPixels(decoded: Decoded, purpose: Purpose): FingerprintOutcome {
  const { width, height, mode } = decoded;
  if (Math.min(width, height) < LEAST_SIDE) {
    return { status: 'rejected', reason: 'too-little', detail: `${width} x ${height} pixels` };
  }
  const pixels = onWhite(decoded.pixels);
  const luma = lumaOf(pixels.data, pixels.width, pixels.height, pixels.channels);
  const levels = levelsFor(pixels.width * pixels.height);
  const turns = purpose === 'reference' ? AS_IS : ALL_TURNS;
  const fullSize = { width, height };
  const whole = pdqTurns(luma, pixels.width, pixels.height, turns, { fullSize, levels, thumbnail: true });
  const coded = frameCodes(luma, pixels.width, pixels.height, {
    turns,
    whole,
    trim: findBorders([levels], pixels.width, pixels.height),
    levels,
    fullSize,
  });
  if (coded.codes.length === 0) {
    return { status: 'rejected', reason: 'too-little', detail: 'one colour, a plain gradient or plain stripes' };
  }
  const kind = purpose === 'reference' ? 'reference' : 'upload';
  coded.patches = patchesOf(levels, pixels.width, pixels.height, coded, { kind, media: 'still' });
  const about = { engine: ENGINE_VERSION, mode, sampling: 'still' as const, span: [0, 0] as [number, number] };
  return {
    status: 'codes',
    fingerprint: assemble({ ...about, width, height }, [{ time: 0, keyframe: false, coded }]),
  };
}

function stillFormat(bytes: Uint8Array, limits: MediaLimits): string {
  if (bytes.length === 0) throw new Refused('empty', 'no bytes');
  if (bytes.length > limits.maxImageBytes) throw new Refused('too-large', `${bytes.length} bytes`);
  const { kind, format } = sniff(bytes.subarray(0, SNIFF_BYTES));
  if (kind === 'image' && STILL_FORMATS.has(format)) return format;
  if (kind === 'image') throw new Refused('unsupported-format', `${format} is not among the formats that are decoded`);
  if (format === 'svg') throw new Refused('unsupported-format', 'svg may open other files, so it is never drawn');
  throw new Refused('not-media', format === 'unknown' ? 'no known signature' : `the bytes are ${format}`);
}

function open(bytes: Uint8Array, limits: MediaLimits, failOn: 'none' | 'truncated') {
  return sharp(bytes, { failOn, limitInputPixels: limits.maxPixels, sequentialRead: true, ignoreIcc: true });
}

function shown(header: Metadata): { width: number; height: number } {
  const { width, height } = header.autoOrient;
  if (!(width > 0 && height > 0)) throw new Refused('corrupt', 'the header gives no size');
  return { width, height };
}

async function decode(bytes: Uint8Array, limits: MediaLimits, frame?: Size): Promise<Decoded> {
  const size = shown(await open(bytes, limits, 'none').metadata());
  const fast = size.width * size.height > EXACT_PIXELS;
  const pixels = async (failOn: 'none' | 'truncated'): Promise<Pixels> => {
    let image = open(bytes, limits, failOn).autoOrient().timeout({ seconds: limits.sliceSeconds });
    if (frame) image = image.resize({ ...frame, fit: 'fill', kernel: FRAME_KERNEL });
    else if (fast) image = image.resize({ ...fastSize(size), fit: 'fill', kernel: 'mitchell' });
    image = image.flatten({ background: { r: WHITE, g: WHITE, b: WHITE } }).toColourspace('srgb');
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height, channels: info.channels };
  };
  const mode = fast ? 'fast' : 'exact';
  try {
    return { pixels: await pixels('truncated'), ...size, mode };
  } catch (error) {
    const why = refusal(error);
    if (why.status !== 'rejected' || (why.reason !== 'corrupt' && why.reason !== 'truncated')) throw error;
    const rest = await pixels('none');
    const share = decodedShare(rest);
    if (share < MIN_DECODED) throw new Refused('truncated', `${Math.round(100 * share)} % of the rows came out`);
    return { pixels: rest, ...size, mode };
  }
}

function fastSize({ width, height }: { width: number; height: number }): { width: number; height: number } {
  const scale = Math.max(FAST_SIDE / Math.max(width, height), FAST_SHORT_SIDE / Math.min(width, height));
  if (scale >= 1) return { width, height };
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

/** Rows that a decoder could not fill stay one level, down to the last. */
function decodedShare({ data, width, height, channels }: Pixels): number {
  const row = width * channels;
  const last = (height - 1) * row;
  for (let i = channels; i < row; i++) if (Math.abs(data[last + i]! - data[last + i - channels]!) > 2) return 1;
  let y = height - 1;
  for (; y > 0; y--) {
    let same = true;
    for (let i = 0; i < row && same; i++) same = Math.abs(data[(y - 1) * row + i]! - data[last + i]!) <= 2;
    if (!same) break;
  }
  return y / height;
}

async function heic(bytes: Uint8Array, limits: MediaLimits): Promise<Decoded> {
  const { width, height, data } = await decodeHeic(bytes, { maxPixels: Math.min(limits.maxPixels, HEIC_PIXELS) });
  return { pixels: { data, width, height, channels: 4 }, width, height, mode: 'exact' };
}

/** libheif hands out whole pictures only, at 4 bytes a pixel beside its own planes. */
const HEIC_PIXELS = 50_000_000;

async function heicHeader(bytes: Uint8Array, limits: MediaLimits) {
  const { width, height } = await decodeHeic(bytes, {
    maxPixels: Math.min(limits.maxPixels, HEIC_PIXELS),
    headerOnly: true,
  });
  return { width, height };
}

function onWhite(pixels: Pixels): Pixels {
  const { data, width, height, channels } = pixels;
  if (channels !== 2 && channels !== 4) return pixels;
  const colours = channels - 1;
  const out = new Uint8Array(width * height * colours);
  for (let i = 0, p = 0, q = 0; i < width * height; i++, p += channels) {
    const alpha = data[p + colours]!;
    for (let c = 0; c < colours; c++) {
      out[q++] = alpha === 255 ? data[p + c]! : Math.round((data[p + c]! * alpha + WHITE * (255 - alpha)) / 255);
    }
  }
  return { data: out, width, height, channels: colours };
}

function refusal(error: unknown): { status: 'rejected'; reason: Rejection; detail: string } {
  if (!(error instanceof Error)) throw error;
  const detail = error.message.replace(/\s+/g, ' ').trim().slice(0, 300);
  return { status: 'rejected', reason: reasonOf(error), detail };
}

/** sharp and libheif give no codes, only sentences. What no sentence explains is damage, in bytes that sniffed as an image. */
function reasonOf(error: Error): Rejection {
  if (error instanceof Refused) return error.reason;
  if (error instanceof HeicTooLarge) return 'too-large';
  const { message } = error;
  if (/pixel limit|too large|dimensions|out of memory/i.test(message)) return 'too-large';
  if (/timeout/i.test(message)) return 'too-slow';
  if (/premature|truncated|end of (file|stream|input)|not enough data|eof/i.test(message)) return 'truncated';
  if (/compression (format|type)|not supported|unsupported (codec|feature|compression)/i.test(message)) {
    return 'unsupported-format';
  }
  return 'corrupt';
}
