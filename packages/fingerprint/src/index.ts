export { checkKernels } from './check-kernels.ts';
export type { FfmpegTools } from './decoder-options.ts';
export { missingAbilities } from './ffmpeg-abilities.ts';
export { findFfmpeg } from './ffmpeg-location.ts';
export * from './fingerprinter.ts';
export * from './media-source.ts';
export * from './open-fingerprinter.ts';
export { SourceStalled } from './slow-reads.ts';
