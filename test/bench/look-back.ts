import { parseArgs } from 'node:util';
import { CODE_BYTES, codesEnvelope, ENGINE_VERSION, type Fingerprint, RADIUS } from '@vigil/contracts';
import type { LogRecord } from '@vigil/event-log';
import { createSift, searchSlice } from '@vigil/pipeline';
import { createIndex, createSieve, type Index } from '@vigil/similarity';
import { flipped, randomWords } from '../support/made-uploads.ts';
import { cpuMs, machine } from './cpu-time.ts';
import { fittedCodes } from './fitted-codes.ts';

const HELP = `npm run bench -- look-back [--codes 10000000] [--new 500,10000] [--library 1000000] [--seed 1]
  Stored codes a second and core that stream past new references, from the bytes on the log on: slices of 64 picture codes as real
  ones are distributed; those with a weak hit are searched in full. Beside it the same codes searched in the whole library, of
  which so many are tried as take some seconds. Copies are planted at 0 to ${RADIUS} bits: all must be found. One line of JSON.`;

const SLICE = 64;
/** Slices that are made, and pass by again and again; and of so many one with a copy of a new reference. */
const BLOCK = 4096;
const COPY_EVERY = 256;
/** As many as a run reads at once. */
const AT_ONCE = 200;
const LIBRARY_TRIED = 100_000;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      codes: { type: 'string', default: '10000000' },
      new: { type: 'string', default: '500,10000' },
      library: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const [codes, library, seed] = [Number(values.codes), Number(values.library), Number(values.seed)];
  const rows = [];
  for (const n of values.new.split(',').map(Number)) {
    rows.push(await measure(codes, n, seed));
    process.stderr.write(`${n} new codes\n`);
  }
  const whole = searchLibrary(library, seed);
  return {
    bench: 'look-back',
    options: { ...values, slice: SLICE, radius: RADIUS },
    machine: machine(),
    rows: rows.map((row) => ({ ...row, timesFaster: row.codesPerSecond / whole.codesPerSecond })),
    wholeLibrary: whole,
  };
}

async function measure(stored: number, count: number, seed: number) {
  const fresh = fittedCodes('picture', count, seed + 1000);
  using index = createIndex();
  fill(index, fresh);
  index.compact();
  const building = cpuMs();
  const sieve = await createSieve(fresh);
  const buildMs = cpuMs() - building;
  const sift = createSift(sieve, async (record) => record, { warn: () => undefined } as never);
  const [planted, seen] = [new Set<string>(), new Set<string>()];
  let [codes, near, ms] = [0, 0, 0];
  const records = makeBlock(fresh, seed, planted);
  while (codes < stored) {
    const begun = cpuMs();
    for (let i = 0; i < records.length; i += AT_ONCE) {
      const found = await sift(records.slice(i, i + AT_ONCE));
      codes += found.codes;
      near += found.near.length;
      for (const record of found.near) {
        const alignments = await searchSlice(index, fingerprints.get(record)!);
        if (alignments.length > 0) seen.add(record.key);
      }
    }
    ms += cpuMs() - begun;
  }
  const missed = [...planted].filter((key) => !seen.has(key)).length;
  return {
    newCodes: count,
    storedCodes: codes,
    codesPerSecond: codes / (ms / 1000),
    slicesNear: near,
    planted: planted.size,
    missed,
    buildMs,
  };
}

/** Of records, what a full search opens: reading it is not what is measured. */
const fingerprints = new WeakMap<LogRecord, Fingerprint>();

function makeBlock(fresh: Uint8Array, seed: number, planted: Set<string>): LogRecord[] {
  const next = randomWords(seed + 1);
  const bits = fittedCodes('picture', BLOCK * SLICE, seed);
  return Array.from({ length: BLOCK }, (_, n) => {
    const own = bits.slice(n * SLICE * CODE_BYTES, (n + 1) * SLICE * CODE_BYTES);
    const key = `slice ${n}`;
    if (n % COPY_EVERY === 0) {
      const at = (next() % (fresh.length / CODE_BYTES)) * CODE_BYTES;
      own.set(flipped(fresh.subarray(at, at + CODE_BYTES), next() % (RADIUS + 1), next), (next() % SLICE) * CODE_BYTES);
      planted.add(key);
    }
    const fingerprint = fingerprintOf(own);
    const event = {
      id: key,
      type: 'made',
      source: 'bench',
      subject: key,
      time: 0,
      data: { owner: { type: 'upload', id: key } },
    };
    const record = { topic: 't', partition: 0, offset: n, time: 0, ...codesEnvelope(key, event, fingerprint) };
    fingerprints.set(record, fingerprint);
    return record;
  });
}

function searchLibrary(library: number, seed: number) {
  const codes = fittedCodes('picture', library, seed + 5000);
  using index = createIndex();
  fill(index, codes);
  index.compact();
  const asked = fittedCodes('picture', LIBRARY_TRIED, seed);
  // As it is and as its complement, as a slice is searched.
  const both = new Uint8Array(2 * asked.length);
  both.set(asked);
  both.set(
    asked.map((b) => b ^ 255),
    asked.length,
  );
  const begun = cpuMs();
  for (let i = 0; i < both.length; i += 2 * SLICE * CODE_BYTES)
    index.search('picture', both.subarray(i, i + 2 * SLICE * CODE_BYTES), 64);
  return { libraryCodes: library, tried: LIBRARY_TRIED, codesPerSecond: LIBRARY_TRIED / ((cpuMs() - begun) / 1000) };
}

function fill(index: Index, codes: Uint8Array): void {
  for (let i = 0; i * SLICE * CODE_BYTES < codes.length; i++) {
    const bits = codes.slice(i * SLICE * CODE_BYTES, (i + 1) * SLICE * CODE_BYTES);
    index.add({ id: `ref_${i}`, version: 1 }, 0, 'video', fingerprintOf(bits));
  }
}

function fingerprintOf(bits: Uint8Array): Fingerprint {
  const count = bits.length / CODE_BYTES;
  const frames = Array.from({ length: count }, (_, i) => i);
  return {
    ...{ engine: ENGINE_VERSION, mode: 'exact', sampling: 'dense', span: [0, 30], width: 640, height: 360 },
    frames: {
      time: Float64Array.from(frames, (i) => (30 * i) / count),
      quality: new Uint8Array(count).fill(100),
      flags: new Uint8Array(count),
    },
    tables: [
      {
        ...{ kind: 'picture', count, bits, frame: Uint16Array.from(frames), turn: new Uint8Array(count) },
        place: Uint16Array.from(frames.flatMap(() => [0, 0, 65535, 65535])),
        quality: new Uint8Array(count).fill(100),
      },
    ],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}
