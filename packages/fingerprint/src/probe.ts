import type { Rejection } from '@vigil/contracts';
import { decoderLimits, demuxerOf, type FfmpegTools, inputOptions } from './decoder-options.ts';
import { type DecoderEnd, runDecoder } from './ffmpeg.ts';
import type { ProbeOutcome } from './fingerprinter.ts';
import { lookAtIsoBoxes } from './iso-boxes.ts';
import type { MediaLimits, MediaSource } from './media-source.ts';
import type { SlowReads } from './slow-reads.ts';

const SHOWN =
  'format=nb_streams,duration,start_time:' +
  'stream=index,codec_type,codec_name,codec_tag_string,width,height,start_time,duration,avg_frame_rate:' +
  'stream_disposition=attached_pic,default:stream_tags=rotate:stream_side_data=rotation';
const STAMPS = 'pts_time,dts_time,duration_time';
const JSON_BYTES = 4 * 2 ** 20;
const PACKET_BYTES = 512 * 2 ** 20;
/** Read from here on: later than any media, so that a seek ends at the last keyframe. */
const FAR_SECONDS = 1_000_000;
const BEFORE_END_SECONDS = 10;
/** Shorter sides than this have no room for what a picture code looks at; see image.ts. */
const LEAST_SIDE = 32;

interface ProbedStream {
  index?: number;
  codec_type?: string;
  codec_name?: string;
  codec_tag_string?: string;
  width?: number;
  height?: number;
  start_time?: string;
  duration?: string;
  avg_frame_rate?: string;
  disposition?: { attached_pic?: number; default?: number };
  tags?: { rotate?: string };
  side_data_list?: { rotation?: number }[];
}
interface ProbedPacket {
  stream_index?: number;
  pts_time?: string;
  dts_time?: string;
  duration_time?: string;
}
interface Probed {
  packets?: ProbedPacket[];
  format?: { nb_streams?: number; duration?: string; start_time?: string };
  streams?: ProbedStream[];
}

export interface VideoProbeJob {
  /** Where the decoder reads the same bytes that `source` has. */
  url: string;
  source: MediaSource;
  /** Of what comes from `url`. */
  reads?: Pick<SlowReads, 'explain'>;
  /** As sniffed. */
  format: string;
  tools: FfmpegTools;
  limits: MediaLimits;
}

const rejected = (reason: Rejection, detail: string): ProbeOutcome => ({ status: 'rejected', reason, detail });

/**
 * What a container says of the video stream that players show (cover art is none), and where its frames really end: durations
 * in headers are claims, so the time stamps of the last packets are read.
 */
export async function probeVideo(job: VideoProbeJob, signal?: AbortSignal): Promise<ProbeOutcome> {
  const { format, limits, source } = job;
  const deadline = performance.now() + limits.probeSeconds * 1000;
  const left = () => Math.max(0.001, (deadline - performance.now()) / 1000);
  let json = '';
  const look = (input: string[], shown: string) => {
    json = '';
    const output = ['-show_entries', shown, '-of', 'json=c=1'];
    return ask(job, left(), input, output, JSON_BYTES, (text) => (json += text), signal);
  };
  // Streams and last packets in one go; where that fails, because nothing can be sought in it or too many packets come after
  // its last keyframe, one after the other.
  let end = await look(['-read_intervals', `${FAR_SECONDS}%`], `packet=stream_index,${STAMPS}:${SHOWN}`);
  if (end.how !== 'done') end = await look([], SHOWN);
  if (end.how !== 'done') return explain(job, end, signal);
  const probed = JSON.parse(json) as Probed;
  const streams = probed.streams ?? [];
  const films = streams.filter((s) => s.codec_type === 'video' && s.disposition?.attached_pic !== 1);
  const stream = films.toSorted((a, b) => shownScore(b) - shownScore(a))[0];
  if (!stream) {
    if (streams.every((s) => s.codec_type === 'data')) return explain(job, end, signal);
    const kinds = [...new Set(streams.map((s) => (s.codec_type === 'video' ? 'cover art' : s.codec_type)))].join(', ');
    return rejected('no-picture', `it holds ${kinds}`);
  }
  if (stream.codec_tag_string === 'encv') return rejected('encrypted', 'the video track is under Common Encryption');
  if (!stream.codec_name || stream.codec_name === 'unknown') {
    return rejected('unsupported-format', `video of kind ${stream.codec_tag_string ?? 'unknown'} in ${format}`);
  }
  const { width, height, rotation } = sizeOf(stream);
  if (!(width > 0 && height > 0)) {
    const refused = /picture size (\d+)x(\d+) is invalid/i.exec(end.said);
    if (refused && Number(refused[1]) * Number(refused[2]) > limits.maxPixels) {
      return rejected('too-large', `${refused[1]} x ${refused[2]} pixels`);
    }
    if (/external track/i.test(end.said)) {
      return rejected('unsupported-format', 'its content lies in another file, which is never opened');
    }
    return rejected('corrupt', 'the size of the picture cannot be told');
  }
  if (width * height > limits.maxPixels) return rejected('too-large', `${width} x ${height} pixels`);
  if (Math.min(width, height) < LEAST_SIDE) return rejected('too-little', `${width} x ${height} pixels`);

  const startTime = number(stream.start_time) ?? number(probed.format?.start_time) ?? 0;
  const claimed = number(stream.duration) ?? number(probed.format?.duration);
  const track = String(stream.index ?? 'V:0');
  let late = false;
  const lastFrom = async (interval: string | null) => {
    const found = await lastStamp(job, left(), interval, track, signal);
    late ||= found === 'too-slow';
    return found === 'too-slow' ? null : found;
  };
  const stamp =
    lastOf(probed.packets ?? [], stream.index) ??
    (await lastFrom(`${FAR_SECONDS}%`)) ??
    (claimed !== null && claimed > 0 ? await lastFrom(`${Math.max(0, claimed - BEFORE_END_SECONDS)}%`) : null) ??
    (await lastFrom(null));
  // What the header claims is believed when nothing else can be had, not when the store did not give it.
  if (stamp === null && late && job.reads?.explain()) return rejected('too-slow', 'its last packets could not be read');
  const notes: string[] = [];
  if (films.length > 1) notes.push(`${films.length} video tracks, of which one is judged`);
  if (rotation !== 0) notes.push(`rotated by ${rotation} degrees`);
  if (stamp === null) {
    if (claimed === null) return rejected('truncated', 'no video packet is in it');
    notes.push('the duration is what the header claims');
  }
  const duration = stamp === null ? claimed! : Math.max(0, stamp - startTime);
  if (claimed !== null && stamp !== null && Math.abs(claimed - duration) > 2) {
    notes.push(`the header claims ${claimed.toFixed(1)} s`);
  }
  if (duration > limits.maxDurationSeconds) return rejected('too-long', `${Math.round(duration)} s`);
  return {
    status: 'probed',
    probe: {
      kind: 'video',
      format,
      codec: stream.codec_name,
      width,
      height,
      duration,
      startTime,
      frameRate: rate(stream.avg_frame_rate),
      ...(stream.index !== undefined && { stream: stream.index }),
      size: source.size,
      notes,
    },
  };
}

/** Runs ffprobe once. */
async function ask(
  { url, format, tools, limits }: VideoProbeJob,
  seconds: number,
  input: string[],
  output: string[],
  stdoutBytes: number,
  onText: (text: string) => void,
  signal: AbortSignal | undefined,
): Promise<DecoderEnd> {
  const decoder = new TextDecoder();
  return runDecoder({
    program: tools.ffprobe,
    url,
    input: ['-v', 'warning', '-threads', '1', ...inputOptions(demuxerOf(format)!), ...input],
    output: [...output, '-o'],
    limits: decoderLimits(limits, { seconds, threads: 1, stdoutBytes }),
    onBytes(chunk) {
      onText(decoder.decode(chunk, { stream: true }));
      return true;
    },
    signal,
  });
}

/** Seconds, on the container's clock, at which the last video frame from `interval` on ends; null when none is found. */
async function lastStamp(
  job: VideoProbeJob,
  seconds: number,
  interval: string | null,
  track: string,
  signal: AbortSignal | undefined,
): Promise<number | 'too-slow' | null> {
  let rest = '';
  let last: number | null = null;
  const line = (text: string) => {
    const [pts, dts, duration] = text.split(',').map(Number);
    const end = endOf(pts, dts, duration);
    if (end !== null) last = Math.max(last ?? end, end);
  };
  const end = await ask(
    job,
    seconds,
    [...(interval ? ['-read_intervals', interval] : []), '-select_streams', track],
    ['-show_entries', `packet=${STAMPS}`, '-of', 'csv=p=0'],
    PACKET_BYTES,
    (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!.slice(0, 1000);
      for (const each of lines) line(each);
    },
    signal,
  );
  if (end.how === 'too-slow') return 'too-slow';
  return end.how === 'done' || end.how === 'failed' ? last : null;
}

/** Where the last of a stream's packets ends; null when there is none. */
function lastOf(packets: readonly ProbedPacket[], stream: number | undefined): number | null {
  let last: number | null = null;
  for (const packet of packets) {
    if (packet.stream_index !== stream) continue;
    const end = endOf(Number(packet.pts_time), Number(packet.dts_time), Number(packet.duration_time));
    if (end !== null) last = Math.max(last ?? end, end);
  }
  return last;
}

function endOf(pts = Number.NaN, dts = Number.NaN, duration = Number.NaN): number | null {
  const at = Number.isFinite(pts) ? pts : dts;
  return Number.isFinite(at) ? at + (Number.isFinite(duration) ? duration : 0) : null;
}

/** Why ffprobe could make nothing of it. */
async function explain({ source, format }: VideoProbeJob, end: DecoderEnd, signal?: AbortSignal) {
  if (end.how === 'too-slow') return rejected('too-slow', 'looking at the container took too long');
  if (end.how === 'crashed' || end.how === 'too-much') return rejected('corrupt', `the demuxer failed: ${end.said}`);
  if (/cannot allocate memory/i.test(end.said))
    return rejected('too-large', 'its tables need more memory than allowed');
  if (demuxerOf(format) === 'mov') {
    const look = await lookAtIsoBoxes(source, signal);
    if (look.encrypted) return rejected('encrypted', 'its tracks are under Common Encryption');
    if (look.cutShort) {
      const what = look.moov === 'whole' ? 'its last part' : 'its index (moov)';
      return rejected('truncated', `${what} is ${look.moov === 'missing' ? 'missing' : 'cut short'}`);
    }
    if (look.moov === 'missing') return rejected('corrupt', 'its index (moov) is missing');
  }
  if (/end of file|eof\b|ended prematurely|truncat/i.test(end.said)) return rejected('truncated', end.said);
  return rejected('corrupt', end.said || 'no stream was found in it');
}

/**
 * As players choose: a default track before others, then the largest picture. ffmpeg by itself would put those first that had packets
 * while it looked, and take a small decoy when the film begins late: it is told which (`streamOf`).
 */
function shownScore(stream: ProbedStream): number {
  return (stream.width ?? 0) * (stream.height ?? 0) + (stream.disposition?.default ? 5_000_000 : 0);
}

/** As shown: quarter turns swap the sides. */
function sizeOf(stream: ProbedStream) {
  const side = stream.side_data_list?.find((data) => data.rotation !== undefined)?.rotation;
  const turn = Math.round(number(stream.tags?.rotate) ?? side ?? 0);
  const rotation = ((turn % 360) + 360) % 360;
  const [width, height] = [stream.width ?? 0, stream.height ?? 0];
  return rotation % 180 === 90 ? { width: height, height: width, rotation } : { width, height, rotation };
}

function number(text: string | undefined): number | null {
  const value = text === undefined ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

const MOST_FRAMES_A_SECOND = 1000;

/** "30000/1001" as a number; 0 when unknown or absurd. */
function rate(text: string | undefined): number {
  const [over, under] = (text ?? '').split('/').map(Number);
  const value = over! / under!;
  return Number.isFinite(value) && value > 0 && value < MOST_FRAMES_A_SECOND ? value : 0;
}
