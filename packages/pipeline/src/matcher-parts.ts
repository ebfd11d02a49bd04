import { DEFAULT_LIMITS, type Fingerprinter, findFfmpeg, openFingerprinter } from '@vigil/fingerprint';
import { createIndex, type SimilarityIndex } from '@vigil/similarity';

/** What comparing files with files needs, opened; the old fallback decoder is good enough here, with a warning. */
export async function openMatcherParts(options: {
  threads: number;
  env: NodeJS.ProcessEnv;
  warn(message: string): void;
}): Promise<{ fingerprinter: Fingerprinter; index: SimilarityIndex; [Symbol.asyncDispose](): Promise<void> }> {
  const { VIGIL_FFMPEG: ffmpegPath, VIGIL_FFPROBE: ffprobePath, PATH } = options.env;
  const ffmpeg = await findFfmpeg({ ffmpegPath, ffprobePath, path: PATH ?? '', allowOld: true });
  if (ffmpeg.warning) options.warn(ffmpeg.warning);
  const fingerprinter = await openFingerprinter({ threads: options.threads, limits: DEFAULT_LIMITS, ffmpeg });
  return { fingerprinter, index: createIndex(), [Symbol.asyncDispose]: () => fingerprinter[Symbol.asyncDispose]() };
}
