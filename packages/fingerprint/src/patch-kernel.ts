/**
 * The inner loops of `patch` codes, over one flat memory: planes of bytes row by row, at addresses in it. Two twins:
 * patch-typescript-kernel.ts says what each does and is the oracle; assembly/patch.ts does it 16 pixels at a time.
 */
import { typescriptKernel } from './patch-typescript-kernel.ts';
import { openWasmKernel } from './patch-wasm-kernel.ts';

/** A plane of levels 0..255. Readable for PADDING bytes beyond its end, whatever is there. */
export interface Plane {
  at: number;
  width: number;
  height: number;
}

export const PADDING = 64;

export interface PatchKernel {
  name: string;
  /** Below this address the memory is the kernel's own. */
  base: number;
  /** At least so many bytes, of zeros where they are new. Views of what was there before are void; its contents stay. */
  reserve(bytes: number): ArrayBuffer;
  /**
   * `to` from `from` by linear interpolation: `taps` holds a 16-bit index and a 16-bit weight for each column of `to`, then
   * for each row; `lines` has room for two rows of 16 bits.
   */
  interpolate(from: Plane, to: Plane, taps: number, lines: number): void;
  /** Adds `weight` (16 bits) times a line of `count` bytes to sums of 32 bits. */
  gather(line: number, count: number, weight: number, sums: number): void;
  /** A line of `to` bytes from `count` sums: averages over equal parts, half up; `whole` is what the sums of one part weigh. */
  squeeze(sums: number, count: number, to: number, whole: number, out: number): void;
  /** `soft` from `grey`; `tall` has room for a plane. */
  blur(grey: Plane, soft: number, tall: number): void;
  /** Writes score (16 bits a pixel, zeros before) and address in the plane (32 bits) of each corner; how many there are. */
  detect(grey: Plane, step: number, score: number, spots: number): number;
  /**
   * Of `count` spots the local maxima with a response: address in the plane (32 bits) at `places`, response (double) at
   * `keys`, at most `room`. How many there are. Clears the scores.
   */
  maxima(grey: Plane, score: number, spots: number, count: number, places: number, keys: number, room: number): number;
  /**
   * The code of the patch about `place` (address in the plane) to `bits`, its direction (two doubles) to `direction`.
   * `pattern`: 4 numbers of 16 bits a test, `tests` of them, a multiple of 8.
   */
  describe(
    grey: Plane,
    soft: number,
    place: number,
    pattern: number,
    tests: number,
    bits: number,
    direction: number,
  ): void;
}

/** The fastest there is: WebAssembly where it was built (`npm run build:wasm`). */
export function openPatchKernel(): PatchKernel {
  return openWasmKernel() ?? typescriptKernel();
}
