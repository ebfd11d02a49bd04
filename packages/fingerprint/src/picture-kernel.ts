/**
 * The inner loops of picture codes and thumbnails, over one flat memory of lines of floats at addresses in it. Two twins:
 * picture-typescript-kernel.ts says what each does and is the oracle; assembly/picture.ts does it four samples at a time.
 */
import { typescriptKernel } from './picture-typescript-kernel.ts';
import { openWasmKernel } from './picture-wasm-kernel.ts';

/** Lines may be read and written for so many bytes beyond their ends. */
export const PADDING = 64;
/** Bytes of a sample. */
export const FLOAT = 4;
export const aligned = (at: number): number => Math.ceil(at / PADDING) * PADDING;

export interface PictureKernel {
  name: string;
  /** Below this address the memory is the kernel's own. */
  base: number;
  /** At least so many bytes, of zeros where they are new. Views of what was there before are void; its contents stay. */
  reserve(bytes: number): ArrayBuffer;
  /** `line` from `count` 8-bit pixels: grey (1 channel), or, of 3 channels, interleaved,
   * 0.001 (299 R + 587 G + 114 B). */
  luma(pixels: number, channels: 1 | 3, count: number, line: number): void;
  /** A line of levels 0..255 to the nearest bytes, half up. */
  round(line: number, count: number, levels: number): void;
  /** `sums` and the weighted line; the weighted line alone when `fresh`. */
  add(line: number, count: number, weight: number, sums: number, fresh: boolean): void;
  /**
   * Of `factor` lines of `width` bytes, one after the other, `count` averages of factor x factor: their sum times `scale`, as
   * floats. `sums` has room for `width` numbers of 32 bits.
   */
  average(pixels: number, width: number, factor: number, count: number, scale: number, sums: number, out: number): void;
  /**
   * SIDE weighted sums of a line. `rows` holds two numbers of 32 bits for each, its first sample and its first weight, two
   * more of which the last says where the weights end, then the weights.
   */
  weigh(sums: number, rows: number, out: number): void;
  /**
   * Of `count` samples of a line between two others, readable a sample beyond its ends: to `out` the sum of differences to the
   * line above, how many of these are more than `least`, and the sum of Laplacians, all without sign; and the same of
   * differences to the sample before, added to three lines of sums, `pitch` bytes apart.
   */
  steps(
    line: number,
    above: number,
    below: number,
    count: number,
    least: number,
    columns: number,
    pitch: number,
    out: number,
  ): void;
  /**
   * `out`: BAND x BAND coefficients of the SIDE x SIDE `block`. `waves`: SIDE x BAND, wave i at sample k in row k; `tall` has
   * room for BAND x SIDE.
   */
  cosines(block: number, waves: number, tall: number, out: number): void;
}

/** The fastest there is: WebAssembly where it was built (`npm run build:wasm`). */
export function openPictureKernel(): PictureKernel {
  return openWasmKernel() ?? typescriptKernel();
}
