/** What borders are looked for in: a picture at the size at which it is looked at, and where its levels jump. */
import { aligned, FLOAT, openPictureKernel, PADDING, type PictureKernel } from './picture-kernel.ts';

export interface Plane {
  data: Float32Array | Uint8Array;
  width: number;
  height: number;
}

export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

/** Of each line, summed over its samples and all planes, but for the outermost of both. */
export interface Steps {
  /** Differences to the line before. */
  jump: Float32Array;
  /** How many of these are more than `least`. */
  share: Float32Array;
  /** Laplacians: the detail in it. */
  detail: Float32Array;
  /** Samples that were summed up. */
  cells: number;
}

export interface TrimPlanes {
  /** Averages of whole factor x factor squares, the luma itself by 1; what is over at the right and the bottom is left out. */
  shrink(luma: Uint8Array, width: number, height: number, factor: number): Plane;
  steps(planes: readonly Plane[], box: Box, least: number): { rows: Steps; columns: Steps };
}

export function createTrimPlanes(kernel: PictureKernel = openPictureKernel()): TrimPlanes {
  return {
    shrink(luma, width, height, factor) {
      if (factor === 1) return { data: luma.subarray(0, width * height), width, height };
      const [w, h] = [Math.floor(width / factor), Math.floor(height / factor)];
      const bytes = aligned(kernel.base);
      const sums = aligned(bytes + factor * width + PADDING);
      const out = aligned(sums + FLOAT * width + PADDING);
      const memory = kernel.reserve(out + FLOAT * w + PADDING);
      const lines = new Uint8Array(memory, bytes, factor * width);
      const averages = new Float32Array(memory, out, w);
      const data = new Float32Array(w * h);
      for (let y = 0; y < h; y++) {
        lines.set(luma.subarray(y * lines.length, (y + 1) * lines.length));
        kernel.average(bytes, width, factor, w, 1 / (factor * factor), sums, out);
        data.set(averages, y * w);
      }
      return { data, width: w, height: h };
    },

    steps(planes, box, least) {
      const { width } = planes[0]!;
      const [w, h] = [box.x1 - box.x0, box.y1 - box.y0];
      const inner = w - 2;
      const pitch = aligned(FLOAT * inner + PADDING);
      const columnsAt = aligned(kernel.base);
      const out = columnsAt + 3 * pitch;
      const plane = out + PADDING;
      const memory = kernel.reserve(plane + FLOAT * width * h + PADDING);
      new Uint8Array(memory, columnsAt, 3 * pitch).fill(0);
      const rows = stepsOf(h, planes.length * inner);
      const found = new Float32Array(memory, out, 3);
      for (const { data } of planes) {
        new Float32Array(memory, plane, width * h).set(data.subarray(box.y0 * width, box.y1 * width));
        for (let y = 1; y < h - 1; y++) {
          const line = plane + FLOAT * (y * width + box.x0 + 1);
          kernel.steps(line, line - FLOAT * width, line + FLOAT * width, inner, least, columnsAt, pitch, out);
          rows.jump[y]! += found[0]!;
          rows.share[y]! += found[1]!;
          rows.detail[y]! += found[2]!;
        }
      }
      const columns = stepsOf(w, planes.length * (h - 2));
      [columns.jump, columns.share, columns.detail].forEach((of, k) => {
        of.set(new Float32Array(memory, columnsAt + k * pitch, inner), 1);
      });
      return { rows, columns };
    },
  };
}

function stepsOf(lines: number, cells: number): Steps {
  const [jump, share, detail] = [new Float32Array(lines), new Float32Array(lines), new Float32Array(lines)];
  return { jump, share, detail, cells };
}
