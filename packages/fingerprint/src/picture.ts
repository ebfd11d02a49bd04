/** Frames of a film or one still, small and as JPEGs: for people to look at, never to be compared. */
import type { Probe, Rejection } from '@vigil/contracts';
import type { Size } from './decode-frames.ts';
import { decoderLimits, demuxerOf, everyFrame, type FfmpegTools, inputOptions } from './decoder-options.ts';
import { DecoderKilled, runDecoder } from './ffmpeg.ts';
import type { PictureOutcome } from './fingerprinter.ts';
import { encodePicture } from './image.ts';
import type { MediaLimits } from './media-source.ts';

/** Pixels of the longer side. */
export const PICTURE_SIDE = 320;

export interface PictureJob {
  url: string;
  probe: Probe;
  /** Seconds from the start of the film. */
  at: readonly number[];
  tools: FfmpegTools;
  limits: MediaLimits;
}

/** A film's stamps may end before its length does: then a frame from a little earlier. */
const BEFORE = [0, 1, 5];

/**
 * The first frames at or after some times, by one decoder, whose start costs more than most of what it decodes here: 54 to 60 % of the
 * CPU time of three, for three frames of clips of 30 s. Bad media is an outcome.
 */
export async function videoPictures(job: PictureJob, signal?: AbortSignal): Promise<PictureOutcome[]> {
  const found = job.at.length > 1 ? await framesAt(job, job.at, signal).catch(forWantOfMemory) : null;
  if (Array.isArray(found)) return Promise.all(found.map((frame) => shown(frame, job)));
  // Which of them are missing, slow or too large together cannot be told.
  const each: PictureOutcome[] = [];
  for (const at of job.at) each.push(await pictureNear(job, at, signal));
  return each;
}

/** Several decoders at once take more than one does. */
function forWantOfMemory(error: unknown): null {
  if (error instanceof DecoderKilled) return null;
  throw error;
}

async function pictureNear(job: PictureJob, at: number, signal: AbortSignal | undefined): Promise<PictureOutcome> {
  let last: PictureOutcome = refused('no-frames', `no frame at ${at} s`);
  for (const before of BEFORE) {
    const found = await framesAt(job, [Math.max(0, at - before)], signal);
    if (Array.isArray(found)) return shown(found[0]!, job);
    last = found;
    if (at <= before || found.reason === 'too-slow') break;
  }
  return last;
}

const refused = (reason: Rejection, detail: string) => ({ status: 'rejected' as const, reason, detail });
const shown = (data: Uint8Array, { probe }: PictureJob): Promise<PictureOutcome> =>
  encodePicture({ data, ...pictureSize(probe), channels: 3 });

/** RGB of the first frame at or after each of some times; or why not all of them are there. */
async function framesAt(
  { url, probe, tools, limits }: PictureJob,
  times: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array[] | ReturnType<typeof refused>> {
  const demuxer = demuxerOf(probe.format);
  if (!demuxer) return refused('unsupported-format', probe.format);
  const { width, height } = pictureSize(probe);
  const bytes = width * height * 3;
  const frames = new Uint8Array(bytes * times.length);
  const seconds = limits.probeSeconds * times.length;
  let filled = 0;
  // On the container's clock: what is counted from its beginning is off by what sound comes before the first frame.
  const opened = times.map((at) => [
    ...['-threads', '1', ...(at > 0 ? ['-seek_timestamp', '1', '-ss', (at + probe.startTime).toFixed(3)] : [])],
    ...inputOptions(demuxer),
  ]);
  const first = `scale=${width}:${height}:flags=area,format=rgb24,setsar=1,trim=end_frame=1`;
  const chains = times.map((_, n) => `[${n}:${probe.stream ?? 'V'}]${first}[f${n}]`);
  const inOrder = `${times.map((_, n) => `[f${n}]`).join('')}concat=n=${times.length}[frames]`;
  const end = await runDecoder({
    program: tools.ffmpeg,
    url,
    input: [
      ...['-hide_banner', '-nostdin', '-nostats', '-filter_complex_threads', '1'],
      ...opened.flatMap((options, n) => (n === 0 ? options : ['-i', url, ...options])),
    ],
    output: [
      ...['-filter_complex', [...chains, inOrder].join(';'), '-map', '[frames]'],
      ...[...everyFrame(tools.version), '-frames:v', String(times.length), '-f', 'rawvideo'],
    ],
    limits: decoderLimits(limits, { seconds, threads: 1, stdoutBytes: frames.length }),
    onBytes(chunk) {
      frames.set(chunk.subarray(0, frames.length - filled), filled);
      filled += chunk.length;
      return true;
    },
    signal,
  });
  if (filled >= frames.length) return times.map((_, n) => frames.subarray(n * bytes, (n + 1) * bytes));
  return refused(end.how === 'too-slow' ? 'too-slow' : 'no-frames', end.said || `no frame at ${times.join(', ')} s`);
}

/** Of a picture of it, which is never larger than it is. */
export function pictureSize({ width, height }: Pick<Probe, 'width' | 'height'>): Size {
  const factor = Math.min(1, PICTURE_SIDE / Math.max(width, height));
  const side = (n: number) => Math.max(2, Math.round(n * factor));
  return { width: side(width), height: side(height) };
}
