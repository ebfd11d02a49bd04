export type { FfmpegTools } from './decoder-options.ts';
export * from './ffmpeg-location.ts';
export * from './fingerprinter.ts';
export * from './media-source.ts';
export * from './open-fingerprinter.ts';
export { type PatchCodes, type PatchKind, type PatchOptions, patchCodes, swapHalves } from './patch-codes.ts';
