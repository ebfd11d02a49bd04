import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { demuxers } from './decoder-options.ts';

/** One of each is enough. */
const CODECS: readonly (readonly string[])[] = [
  ['h264'],
  ['hevc'],
  ['vp8'],
  ['vp9'],
  ['libdav1d', 'libaom-av1', 'av1'],
  ['mpeg4'],
  ['mpeg2video'],
  ['mjpeg'],
  ['gif'],
  ['theora'],
  ['flv'],
  ['wmv2'],
];

/** Containers and codecs that platforms' films come in and this build cannot read: such uploads end as rejected. */
export async function missingAbilities(ffmpeg: string): Promise<{ demuxers: string[]; decoders: string[] }> {
  const [containers, codecs] = await Promise.all([listed(ffmpeg, '-demuxers'), listed(ffmpeg, '-decoders')]);
  return {
    demuxers: demuxers().filter((name) => !containers.has(name)),
    decoders: CODECS.filter((names) => !names.some((name) => codecs.has(name))).map((names) => names.join(' or ')),
  };
}

/** " D  matroska,webm  Matroska / WebM", " V....D h264  H.264": flags, names, words. */
async function listed(ffmpeg: string, what: string): Promise<Set<string>> {
  const { stdout } = await promisify(execFile)(ffmpeg, ['-hide_banner', what], { timeout: 20_000, maxBuffer: 2 ** 24 });
  const names = stdout.split('\n').flatMap((line) => /^\s[A-Z. ]+\s([a-z0-9_,-]+)\s/.exec(line)?.[1]?.split(',') ?? []);
  return new Set(names);
}
