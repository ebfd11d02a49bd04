/** One frame of a film or one still, small and as a JPEG: for people to look at, never to be compared. */
import type { Probe } from '@vigil/contracts';
import type { Size } from './decode-frames.ts';
import { decoderLimits, demuxerOf, type FfmpegTools, inputOptions, streamOf } from './decoder-options.ts';
import { runDecoder } from './ffmpeg.ts';
import type { PictureOutcome } from './fingerprinter.ts';
import { encodePicture } from './image.ts';
import type { MediaLimits } from './media-source.ts';

/** Pixels of the longer side. */
export const PICTURE_SIDE = 320;

export interface PictureJob {
  url: string;
  probe: Probe;
  /** Seconds from the start of the film. */
  at: number;
  tools: FfmpegTools;
  limits: MediaLimits;
}

/** A film's stamps may end before its length does: then a frame from a little earlier. */
const BEFORE = [0, 1, 5];

/** The first frame at or after a time. Bad media is an outcome. */
export async function videoPicture(job: PictureJob, signal?: AbortSignal): Promise<PictureOutcome> {
  const size = pictureSize(job.probe);
  let last: PictureOutcome = { status: 'rejected', reason: 'no-frames', detail: `no frame at ${job.at} s` };
  for (const before of BEFORE) {
    const found = await frameAt(job, Math.max(0, job.at - before), size, signal);
    if (found instanceof Uint8Array) return encodePicture({ data: found, ...size, channels: 3 });
    last = found;
    if (job.at <= before) break;
  }
  return last;
}

async function frameAt(
  { url, probe, tools, limits }: PictureJob,
  at: number,
  { width, height }: Size,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | PictureOutcome> {
  const demuxer = demuxerOf(probe.format);
  if (!demuxer) return { status: 'rejected', reason: 'unsupported-format', detail: probe.format };
  const frame = new Uint8Array(width * height * 3);
  let filled = 0;
  const seconds = limits.probeSeconds;
  const end = await runDecoder({
    program: tools.ffmpeg,
    url,
    input: [
      ...['-hide_banner', '-nostdin', '-nostats', '-filter_threads', '1', '-threads', '1'],
      // On the container's clock: what is counted from its beginning is off by what sound comes before the first frame.
      ...(at > 0 ? ['-seek_timestamp', '1', '-ss', (at + probe.startTime).toFixed(3)] : []),
      ...inputOptions(demuxer),
    ],
    output: [
      ...streamOf(probe),
      ...['-an', '-sn', '-dn', '-frames:v', '1', '-vf', `scale=${width}:${height}:flags=area,format=rgb24`],
      ...['-f', 'rawvideo'],
    ],
    limits: decoderLimits(limits, { seconds, threads: 1, stdoutBytes: frame.length }),
    onBytes(chunk) {
      frame.set(chunk.subarray(0, frame.length - filled), filled);
      filled += chunk.length;
      return true;
    },
    signal,
  });
  if (filled >= frame.length) return frame;
  const reason = end.how === 'too-slow' ? 'too-slow' : 'no-frames';
  return { status: 'rejected', reason, detail: end.said || `no frame at ${at} s` };
}

function pictureSize({ width, height }: Pick<Probe, 'width' | 'height'>): Size {
  const factor = Math.min(1, PICTURE_SIDE / Math.max(width, height));
  const side = (n: number) => Math.max(2, Math.round(n * factor));
  return { width: side(width), height: side(height) };
}
