import { CODE_BYTES, type CodeTable, type Fingerprint, hamming } from '@vigil/contracts';
import { isReferenceCode } from '@vigil/similarity';

/**
 * How much of a film the index keeps. All that was fingerprinted stays in the blob store, and that is what an upload is
 * compared with in the end; the index only has to propose.
 */
export interface IndexBudget {
  /** A picture code is kept when it differs by more bits than this from the last one kept of the film, and every 2 s. */
  pictureBits: number;
  /** Patches of the first frame that has some in each period of so many seconds, and at most so many, best first. */
  patchSeconds: number;
  patches: number;
}

/**
 * 21 MB an hour of films as fast as trailers and cartoons, measured by `npm run bench -- library`. All patched frames: those beside the
 * clock's are at cuts, where uploads have their keyframes (`CUT_SECONDS` of fingerprint). Of 141 altered pieces .957 are taken down,
 * with a million made codes beside, .943 with 36 patches.
 */
export const INDEX_BUDGET: IndexBudget = { pictureBits: 50, patchSeconds: 0.4, patches: 54 };

/** A code stands for what follows it so long at most, lest a copy of a still be tied to a time long past. */
const KEEP_SECONDS = 2;

/** What of a reference's slice goes into the index. Of an image everything. */
export function indexedCodes(codes: Fingerprint, budget: IndexBudget = INDEX_BUDGET): Fingerprint {
  if (codes.sampling === 'still') return codes;
  return {
    ...codes,
    tables: codes.tables.map((table) => {
      if (table.kind === 'picture') return only(table, picturesOf(codes, table, budget));
      return table.kind === 'patch' ? only(table, patchesOf(codes, table, budget)) : table;
    }),
  };
}

/** Whole pictures and trimmed ones each in a row of their own. What is no reference code keeps nothing out. */
function picturesOf(codes: Fingerprint, table: CodeTable, { pictureBits }: IndexBudget): number[] {
  const { frames } = codes;
  const last = new Map<string, number>();
  const kept: number[] = [];
  for (let i = 0; i < table.count; i++) {
    if (!isReferenceCode(codes, table, i)) continue;
    const row = `${table.turn[i]} ${table.place.subarray(4 * i, 4 * i + 4).join()}`;
    const before = last.get(row);
    const time = frames.time[table.frame[i]!]!;
    if (before !== undefined && time - frames.time[table.frame[before]!]! < KEEP_SECONDS) {
      if (hamming(table.bits, table.bits, i * CODE_BYTES, before * CODE_BYTES) <= pictureBits) continue;
    }
    last.set(row, i);
    kept.push(i);
  }
  return kept;
}

function patchesOf({ frames }: Fingerprint, table: CodeTable, { patchSeconds, patches }: IndexBudget): number[] {
  const ofFrame = new Map<number, number[]>();
  for (let i = 0; i < table.count; i++) {
    const rows = ofFrame.get(table.frame[i]!);
    if (rows) rows.push(i);
    else ofFrame.set(table.frame[i]!, [i]);
  }
  const kept: number[] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const [frame, rows] of [...ofFrame].sort(([a], [b]) => a - b)) {
    const period = Math.floor(frames.time[frame]! / patchSeconds + 1e-6);
    if (period === last) continue;
    last = period;
    const best = rows.sort((a, b) => table.quality[b]! - table.quality[a]! || a - b).slice(0, patches);
    kept.push(...best.sort((a, b) => a - b));
  }
  return kept;
}

/** The table's rows that are named. */
function only(table: CodeTable, rows: readonly number[]): CodeTable {
  if (rows.length === table.count) return table;
  const bits = new Uint8Array(rows.length * CODE_BYTES);
  const place = new Uint16Array(4 * rows.length);
  rows.forEach((row, i) => {
    bits.set(table.bits.subarray(row * CODE_BYTES, (row + 1) * CODE_BYTES), i * CODE_BYTES);
    place.set(table.place.subarray(4 * row, 4 * row + 4), 4 * i);
  });
  return {
    kind: table.kind,
    count: rows.length,
    bits,
    place,
    frame: Uint16Array.from(rows, (row) => table.frame[row]!),
    turn: Uint8Array.from(rows, (row) => table.turn[row]!),
    quality: Uint8Array.from(rows, (row) => table.quality[row]!),
  };
}
