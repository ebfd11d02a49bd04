import type { Probe, Rejection, Span } from '@vigil/contracts';
import { SLICE_SECONDS } from '@vigil/contracts/engine';
import { decoderLimits, demuxerOf, everyFrame, type FfmpegTools, inputOptions, streamOf } from './decoder-options.ts';
import { type DecoderEnd, runDecoder } from './ffmpeg.ts';
import type { MediaLimits } from './media-source.ts';
import { PATCH_SHAPE } from './patch-codes.ts';

/**
 * Which frames of a slice are handed over; the others are decoded at most. `again`: as dense, for a second look, which compares
 * patches too; of `every`, a reference's, nothing is handed over at the larger size.
 */
export type FrameChoice = 'keyframes' | 'dense' | 'again' | 'every';

export interface VideoJob {
  url: string;
  probe: Probe;
  /** [start, end) in seconds of the media. */
  span: Span;
  tools: FfmpegTools;
  limits: MediaLimits;
  /** Threads of the decoder process. */
  decoderThreads: number;
}

export interface Size {
  width: number;
  height: number;
}

export interface DecodedFrame {
  /** Seconds from the start of the media. */
  time: number;
  keyframe: boolean;
  /** Of a dense look: only its thumbnail is wanted. */
  between?: boolean;
  /** Levels 0..255 over the full range, row by row. Valid until the next frame, unless onFrame keeps it. */
  luma: Uint8Array;
  /** The same at largerSize, where there is one. */
  larger: Uint8Array | null;
  /** Of one that was kept: it is done with, and its memory may be used for another one of the same decoder. */
  release?: () => void;
}

export type DecodeOutcome =
  | { status: 'decoded'; frames: number; width: number; height: number }
  | { status: 'rejected'; reason: Rejection; detail: string };

/** Keyframes nearer than this to the last one are left out: in some codecs every frame is one. */
const KEYFRAME_SECONDS = 0.25;
/** Dense: the first frame at or after each half second. */
export const DENSE_RATE = 2;
/**
 * Beside them, for their thumbnails alone, the first at or after so many instants a second: a reference's thumbnails lie at its own
 * half seconds, and in a fight what lies a quarter of a second from them is another picture. Codes of a first look are kept, and most
 * are of clean uploads, so it has fewer.
 */
const THUMBNAIL_RATE = { dense: 4, again: 8 };
/** Every frame, but at most this many a second. */
const EVERY_RATE = 120;
/** A frame this long after the slice has a damaged stamp: it neither ends the slice nor hides those after it. */
const FAR_SECONDS = 60;
/** Rounding in ffmpeg's expressions; frames are told apart by their own integer time stamps afterwards. */
const SLACK = 0.0005;

/**
 * Seeking lands on a keyframe at or before where it is told to, but some containers have no index and land anywhere, so
 * a run whose first frame lies after the start of the slice is made again from further back, and at last from the start.
 */
const MARGINS = [2, 15, Number.POSITIVE_INFINITY];

const AREA = 400 * 225;
const LEAST_SIDE = 32;
const MOST_SIDE = 2048;

/** Size at which frames are compared: the aspect is kept, the area is about 400 x 225, nothing is enlarged. */
export function workingSize(width: number, height: number, area: number = AREA): Size {
  const factor = Math.min(1, Math.sqrt(area / (width * height)));
  const side = (n: number) => Math.max(LEAST_SIDE, Math.min(MOST_SIDE, 2 * Math.round((n * factor) / 2)));
  return { width: side(width), height: side(height) };
}

/** An upload's frames are handed over a second time, at the size at which their patches are taken. */
export function largerSize({ probe }: Pick<VideoJob, 'probe'>, choice: FrameChoice): Size | null {
  if (choice === 'every') return null;
  const size = workingSize(probe.width, probe.height, PATCH_SHAPE.upload.area);
  const { width, height } = workingSize(probe.width, probe.height);
  return size.width > width && size.height >= height ? size : null;
}

/**
 * Decodes the chosen frames of one slice with ffmpeg and hands them over in order of time.
 * `onFrame` may return true to keep the frame's luma; otherwise the memory is used again.
 */
export async function decodeFrames(
  job: VideoJob,
  choice: FrameChoice,
  seconds: number,
  onFrame: (frame: DecodedFrame) => boolean,
  signal?: AbortSignal,
): Promise<DecodeOutcome> {
  const started = performance.now();
  for (const margin of MARGINS) {
    const left = seconds - (performance.now() - started) / 1000;
    if (left <= 0) break;
    const run = await decodeOnce(job, choice, left, job.span[0] - margin, onFrame, signal);
    if (run !== 'missed') return run;
  }
  return { status: 'rejected', reason: 'too-slow', detail: `seeking took more than ${seconds} s` };
}

async function decodeOnce(
  job: VideoJob,
  choice: FrameChoice,
  seconds: number,
  seek: number,
  onFrame: (frame: DecodedFrame) => boolean,
  signal: AbortSignal | undefined,
): Promise<DecodeOutcome | 'missed'> {
  const { probe, tools, limits } = job;
  const { from, to } = bounds(job);
  const { width, height } = workingSize(probe.width, probe.height);
  const larger = largerSize(job, choice);
  const demuxer = demuxerOf(probe.format);
  if (!demuxer) throw new TypeError(`no demuxer for ${probe.format}`);
  const times = createTimes();
  const split = createSplit({ width, height }, larger);
  let filled = 0;
  let last = Number.NEGATIVE_INFINITY;
  let first = true;
  let missed = false;
  let frames = 0;
  const isBetween = createBetween(choice);

  /** False when the slice is over. */
  const complete = async (): Promise<boolean> => {
    const stamp = await times.next();
    if (!stamp) return false;
    const step = probe.frameRate > 0 ? 1 / probe.frameRate : 0;
    const time = stamp.seconds === null ? (first ? 0 : last + step) : stamp.seconds - probe.startTime;
    last = time;
    if (first && seek > 0 && time > from) {
      missed = true;
      return false;
    }
    first = false;
    if (time >= to) return false;
    if (time < from) return true;
    frames++;
    const about = { time: Math.max(0, time), keyframe: stamp.keyframe, between: isBetween(time) };
    if (onFrame({ ...about, ...split.pictures() })) split.renew();
    return true;
  };

  const end = await runDecoder({
    program: tools.ffmpeg,
    url: job.url,
    input: [
      ...['-hide_banner', '-nostdin', '-nostats', '-filter_threads', '1', '-threads', String(job.decoderThreads)],
      ...['-copyts', '-noaccurate_seek', ...(seek > 0 ? ['-ss', seek.toFixed(3)] : [])],
      ...(choice === 'keyframes' ? keyframesOnly(probe.codec) : []),
      ...inputOptions(demuxer),
    ],
    output: [
      ...streamOf(probe),
      ...['-an', '-sn', '-dn', ...everyFrame(tools.version), '-vf', filters(job, choice, from, to)],
      ...['-f', 'rawvideo'],
    ],
    limits: decoderLimits(limits, {
      seconds,
      threads: job.decoderThreads,
      stdoutBytes: split.bytes * (EVERY_RATE * (2 * SLICE_SECONDS + 2)),
    }),
    async onBytes(chunk) {
      for (let at = 0; at < chunk.length; ) {
        const n = Math.min(chunk.length - at, split.bytes - filled);
        split.fill(chunk.subarray(at, at + n), filled);
        filled += n;
        at += n;
        if (filled < split.bytes) break;
        filled = 0;
        if (!(await complete())) return false;
      }
      return true;
    },
    onLine: times.read,
    onQuiet: times.close,
    signal,
  });
  if (missed) return 'missed';
  return outcome(end, frames, { isSeen: !first, from, width, height, seconds });
}

/** Is the frame of a dense look not the first at or after a half second? */
function createBetween(choice: FrameChoice): (time: number) => boolean {
  if (choice !== 'dense' && choice !== 'again') return () => false;
  let last = Number.NEGATIVE_INFINITY;
  return (time) => {
    const tick = Math.floor(time * DENSE_RATE + 0.000001);
    if (tick <= last) return true;
    last = tick;
    return false;
  };
}

/** The first slice takes what lies before it, the last what lies after: stamps may be off, frames are not to be lost. */
function bounds({ span, probe }: VideoJob): { from: number; to: number } {
  const [start, end] = span;
  return {
    from: start <= 0 ? Number.NEGATIVE_INFINITY : start,
    to: end >= probe.duration - SLACK ? end + SLICE_SECONDS : end,
  };
}

/**
 * The very first frame always passes, so that one before the slice shows that none of the slice was skipped; then
 * the chosen ones. Times are the container's own (-copyts), so that all slices count alike.
 */
function filters(job: VideoJob, choice: FrameChoice, from: number, to: number): string {
  const { startTime } = job.probe;
  const start = (Number.isFinite(from) ? from + startTime : -1e9) - SLACK;
  const far = to + startTime + FAR_SECONDS;
  const tick = (t: string, rate: number) => `floor((${t}-(${startTime}))*${rate}+0.000001)`;
  const ticks = (rate: number) => `gt(${tick('t', rate)},${tick('prev_selected_t', rate)})`;
  const slice = (t: string) => `floor((${t}-(${startTime})+${SLACK})/${SLICE_SECONDS})`;
  const apart = {
    // The first of a slice whatever came before it: a run of slices gives each what it would get alone.
    keyframes: `(gte(t-prev_selected_t,${KEYFRAME_SECONDS})+gt(${slice('t')},${slice('prev_selected_t')}))*key`,
    dense: ticks(THUMBNAIL_RATE.dense),
    again: ticks(THUMBNAIL_RATE.again),
    every: `gte(t-prev_selected_t,${(1 / EVERY_RATE - SLACK).toFixed(6)})`,
  }[choice];
  return [
    `select='isnan(prev_selected_t)+isnan(t)+gte(t,${start})*lt(t,${far})*(lt(prev_selected_t,${start})${choice === 'keyframes' ? '*key' : ''}+${apart})'`,
    scaling(workingSize(job.probe.width, job.probe.height), largerSize(job, choice)),
  ].join(',');
}

/**
 * To one size; or to both, the larger above the other, so that one pipe carries them. Stacking calls every frame a
 * keyframe, so frames are described before it; it hands on one for each, in order, whatever their time stamps.
 */
function scaling(size: Size, larger: Size | null): string {
  const to = ({ width, height }: Size) => `scale=${width}:${height}:flags=area+accurate_rnd:out_range=full,format=gray`;
  const described = `${to(size)},showinfo=checksum=0`;
  if (!larger) return described;
  const wide = `pad=${larger.width}:${size.height}:0:0`;
  return `split[a][b];[a]${to(larger)}[c];[b]${described},${wide}[d];[c][d]vstack`;
}

/** Takes apart what `scaling` put together. */
function createSplit(size: Size, larger: Size | null) {
  const stride = larger?.width ?? size.width;
  const above = larger ? larger.width * larger.height : 0;
  const bytes = above + stride * size.height;
  // Fresh memory is zeroed page by page, and brings on the collector: as much work as all the rest here.
  const spare: { raw: Uint8Array; luma: Uint8Array }[] = [];
  const fresh = () =>
    spare.pop() ?? { raw: new Uint8Array(bytes), luma: new Uint8Array(larger ? size.width * size.height : 0) };
  let held = fresh();
  return {
    bytes,
    fill: (chunk: Uint8Array, at: number) => held.raw.set(chunk, at),
    pictures() {
      const mine = held;
      const { raw, luma } = mine;
      const release = () => void spare.push(mine);
      if (!larger) return { luma: raw, larger: null, release };
      for (let y = 0, p = above; y < size.height; y++, p += stride) {
        luma.set(raw.subarray(p, p + size.width), y * size.width);
      }
      return { luma, larger: raw.subarray(0, above), release };
    },
    renew() {
      held = fresh();
    },
  };
}

/**
 * Decoders are told to skip, because they judge by the bitstream; a container's list of keyframes may lie. Those for AV1
 * do not listen, and decode what they are given.
 */
function keyframesOnly(codec: string): string[] {
  return ['-skip_frame', 'nokey', ...(codec === 'av1' ? ['-discard', 'nokey'] : [])];
}

interface Stamp {
  /** Null where the container gives the frame no time. */
  seconds: number | null;
  keyframe: boolean;
}

const CONFIG = /^\[Parsed_showinfo_\d+ @ 0x[0-9a-f]+\] config in time_base: (\d+)\/(\d+)/;
const FRAME = /^\[Parsed_showinfo_\d+ @ 0x[0-9a-f]+\] n: *\d+ pts: *(-?\d+|NOPTS) .*? iskey:([01])/;

/** Time stamps as showinfo prints them, a line a frame, in the order in which the frames come out of the other pipe. */
function createTimes() {
  const known: Stamp[] = [];
  let waiting: ((stamp: Stamp | null) => void) | null = null;
  let closed = false;
  let base = [0, 1] as [number, number];
  const give = () => {
    if (!waiting || (known.length === 0 && !closed)) return;
    const to = waiting;
    waiting = null;
    to(known.shift() ?? null);
  };
  return {
    read(line: string) {
      const config = CONFIG.exec(line);
      if (config) base = [Number(config[1]), Number(config[2])];
      const frame = FRAME.exec(line);
      if (!frame) return;
      const seconds = frame[1] === 'NOPTS' ? null : (Number(frame[1]) * base[0]) / base[1];
      known.push({ seconds, keyframe: frame[2] === '1' });
      give();
    },
    close() {
      closed = true;
      give();
    },
    next: () =>
      new Promise<Stamp | null>((resolve) => {
        waiting = resolve;
        give();
      }),
  };
}

const SOMETHING_FAILED = /error|invalid|corrupt|could not|failed/i;
/** Said of packets of the stream that is read, up to ffmpeg 6 and from 7 on. */
const DECODING_FAILED = /error (while decoding stream|submitting packet to decoder)/i;

function outcome(
  end: DecoderEnd,
  frames: number,
  about: { isSeen: boolean; from: number; width: number; height: number; seconds: number },
): DecodeOutcome {
  const { said } = end;
  const rejected = (reason: Rejection, detail: string): DecodeOutcome => ({ status: 'rejected', reason, detail });
  if (end.how === 'too-slow') return rejected('too-slow', `decoding took more than ${Math.round(about.seconds)} s`);
  if (end.how === 'too-much') return rejected('corrupt', `the decoder complained without end: ${said}`);
  if (end.how === 'crashed') return rejected('corrupt', `the decoder crashed: ${said}`);
  if (frames === 0) {
    if (/cannot allocate memory/i.test(said)) return rejected('too-large', said);
    if (/decoder.*not found|no decoder|unknown decoder/i.test(said)) return rejected('unsupported-format', said);
    // Where a frame before the slice came out, other words are of other tracks, or of the container.
    const complaint = about.isSeen && end.how !== 'failed' ? DECODING_FAILED : SOMETHING_FAILED;
    if (complaint.test(said)) return rejected('corrupt', said);
    // Nothing in the first slice is nothing at all; a later slice may lie within a still.
    if (!Number.isFinite(about.from)) return rejected('no-frames', said || 'the decoder gave no frame');
  }
  return { status: 'decoded', frames, width: about.width, height: about.height };
}
