import type { Probe } from '@vigil/contracts';
import type { DecoderLimits } from './ffmpeg.ts';
import type { MediaLimits } from './media-source.ts';

/** The two programs, as found by findFfmpeg. */
export interface FfmpegTools {
  ffmpeg: string;
  ffprobe: string;
  version: string;
}

/**
 * The demuxer that each sniffed container gets, by force and alone on the whitelist. All of these are plain: they hold
 * their own samples and name nothing else. Never on it: hls, dash, concat, image2, sdp, rtsp, imf, tiles, lavfi.
 */
const DEMUXERS: Record<string, string> = {
  mp4: 'mov',
  mov: 'mov',
  '3gp': 'mov',
  matroska: 'matroska',
  avi: 'avi',
  flv: 'flv',
  asf: 'asf',
  ogg: 'ogg',
  'mpeg-ps': 'mpeg',
  'mpeg-ts': 'mpegts',
  gif: 'gif',
};

export const demuxers = (): string[] => [...new Set(Object.values(DEMUXERS))];

export function demuxerOf(format: string): string | null {
  return Object.hasOwn(DEMUXERS, format) ? DEMUXERS[format]! : null;
}

const MAX_ALLOC_BYTES = 512 * 2 ** 20;
const PROBE_BYTES = 5_000_000;
const ANALYSE_MICROSECONDS = 5_000_000;

/** What ffmpeg and ffprobe are told alike about the media: where they may read, as what, and how much before they know. */
export function inputOptions(demuxer: string): string[] {
  return [
    ...['-protocol_whitelist', 'http,tcp', '-format_whitelist', demuxer, '-max_alloc', String(MAX_ALLOC_BYTES)],
    ...['-probesize', String(PROBE_BYTES), '-analyzeduration', String(ANALYSE_MICROSECONDS)],
    // Off by default; said aloud, because a data reference may name any address or file.
    ...(demuxer === 'mov' ? ['-enable_drefs', '0', '-use_absolute_path', '0'] : []),
    ...['-f', demuxer],
  ];
}

/** The stream that was probed and no other; what old events say of a film does not name it. */
export const streamOf = ({ stream }: Pick<Probe, 'stream'>): string[] =>
  stream === undefined ? [] : ['-map', `0:${stream}`];

const STDERR_BYTES = 16 * 2 ** 20;

export function decoderLimits(
  limits: MediaLimits,
  bounds: { seconds: number; threads: number; stdoutBytes: number },
): DecoderLimits {
  return {
    wallSeconds: bounds.seconds,
    cpuSeconds: Math.ceil(bounds.seconds * bounds.threads) + 1,
    addressBytes: limits.decoderBytes,
    stderrBytes: STDERR_BYTES,
    stdoutBytes: bounds.stdoutBytes,
  };
}

/** `-fps_mode` came with 5.1, `-vsync` goes with 8: both let every frame through as it is. */
export function everyFrame(version: string): string[] {
  const [major = 0, minor = 0] = version.split(/[. ]/, 2).map(Number);
  return [major > 5 || (major === 5 && minor >= 1) ? '-fps_mode' : '-vsync', 'passthrough'];
}
