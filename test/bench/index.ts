import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { CODE_BYTES, type CodeKind, ENGINE_VERSION, type Fingerprint, hamming, RADIUS } from '@vigil/contracts';
import { createIndex, type Index } from '@vigil/similarity';
import { machine } from './cpu-time.ts';
import { createRandom, fitOf, fittedCodes, flip, TARGETS } from './fitted-codes.ts';

const HELP = `npm run bench -- index [--codes 1e5,1e6] [--data random,picture,patch] [--queries 2000] [--batch 256] [--seed 1]
    [--threads 2] [--no-peers] [--python python3]
  Search of the similarity index, by one thread and by several, beside FAISS (pip install faiss-cpu). \`random\`: uniform
  bits, searched exactly. \`picture\`, \`patch\`: made, fitted to real codes (the fit is printed), and searched as the product
  searches their kinds: pictures exactly, patches by wide keys. Prints one JSON line.
  --codes 1e5,1e6,1e7 takes some 6 GB and, with peers, half an hour; 1e7 without flat and 16x16 (--peers 10x25) less.`;

/** Codes of one made slice. */
const SLICE = 2000;
const SLICES_A_FILM = 64;
/** Queries that are compared with every code, one by one. */
const CHECKED = 50;
const PEERS = ['flat', 'multihash-16x16', 'multihash-10x25'];
const PEER_LIMIT_MS = 30 * 60_000;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      codes: { type: 'string', default: '1e5,1e6' },
      data: { type: 'string', default: 'random,picture,patch' },
      queries: { type: 'string', default: '2000' },
      batch: { type: 'string', default: '256' },
      seed: { type: 'string', default: '1' },
      threads: { type: 'string', default: '2' },
      python: { type: 'string', default: 'python3' },
      peers: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const sizes = values.codes.split(',').map(Number);
  const rows: unknown[] = [];
  for (const data of values.data.split(',')) {
    for (const codes of sizes) {
      const [queries, batch, seed, threads] = [values.queries, values.batch, values.seed, values.threads].map(Number);
      rows.push(
        await measure({
          ...{ count: codes, data, queries: queries!, batch: batch!, seed: seed!, threads: threads! },
          python: values.peers ? values.python : null,
        }),
      );
      process.stderr.write(`${data} ${codes}\n`);
    }
  }
  return {
    bench: 'index',
    options: { ...values, radius: RADIUS, headCodes: 'default' },
    machine: machine(),
    rows,
  };
}

interface Options {
  count: number;
  data: string;
  queries: number;
  batch: number;
  seed: number;
  threads: number;
  python: string | null;
}

async function measure({ count, data, queries, batch, seed, threads, python }: Options) {
  const codes = makeCodes(count, data, seed);
  const asked = makeQueries(codes, queries, seed);
  const kind = data === 'patch' ? 'patch' : 'picture';
  using index = createIndex();

  const adding = cpuSeconds();
  fill(index, codes, kind);
  const added = cpuSeconds() - adding;
  const asBuilt = rate(index, kind, asked, batch, 3);
  const segmentsAsBuilt = statsOf(index, kind).segments;
  const merging = cpuSeconds();
  index.compact();
  const built = cpuSeconds() - merging;
  const { bytes, walk, segments } = statsOf(index, kind);

  const row = {
    data,
    codes: count,
    ...(data === 'random'
      ? {}
      : {
          made: {
            fit: fitOf(data as 'picture', codes.subarray(0, 50_000 * CODE_BYTES)),
            target: TARGETS[data as 'picture'],
          },
        }),
    walk,
    queriesPerSecond: rate(index, kind, asked, batch, 5),
    ...latency(index, kind, asked),
    bytesPerCode: bytes / count,
    // A time and a place of twelve bytes are kept with each code; the peers keep none.
    bytesPerCodeWithoutOrigins: bytes / count - 12,
    buildMicrosPerCode: (built / count) * 1e6,
    addMicrosPerCode: (added / count) * 1e6,
    segments,
    beforeCompacting: { queriesPerSecond: asBuilt, segments: segmentsAsBuilt },
    recall: recall(index, kind, codes, asked),
    load: loadavg()[0],
  };
  // The peers' hits are counted against all codes within the radius.
  const hits = new Map<number, number>();
  for (const h of index.search(kind, asked, 1_000_000)) hits.set(h.query, (hits.get(h.query) ?? 0) + 1);
  index[Symbol.dispose]();
  const byThreads = await measureThreads(codes, kind, asked, threads);
  if (python === null) return { ...row, byThreads };
  const beside = await runPeers(codes, asked, python);
  const against = beside.rows.map(({ hits: theirs, ...peer }) => ({
    ...peer,
    timesFaster: row.queriesPerSecond / peer.queriesPerSecond,
    // Hits that they found of those that we found, over the queries that they had the time for; above 1: they found more.
    hitsOfOurs: theirs.reduce((a, b) => a + b, 0) / theirs.reduce((sum, _, i) => sum + (hits.get(i) ?? 0), 0),
  }));
  return { ...row, byThreads, peers: { faiss: beside.faiss, options: beside.options, rows: against } };
}

function fill(index: Index, codes: Uint8Array, kind: CodeKind): void {
  const count = codes.length / CODE_BYTES;
  for (let i = 0; i * SLICE < count; i++) {
    const bits = codes.subarray(i * SLICE * CODE_BYTES, Math.min(count, (i + 1) * SLICE) * CODE_BYTES);
    const [film, slice] = [Math.floor(i / SLICES_A_FILM), i % SLICES_A_FILM];
    index.add({ id: String(film), version: 1 }, slice, 'video', fingerprintOf(bits, slice, kind));
  }
}

const statsOf = (index: Index, kind: CodeKind) => index.stats().find((s) => s.kind === kind)!;

/** Rounds of one thread and of all, taking turns, and all queries in each: a neighbour disturbs both alike. */
const ROUNDS = 7;
/** Queries a round, at least: threads take them in parts of 1024. */
const MANY = 8192;

async function measureThreads(codes: Uint8Array, kind: CodeKind, asked: Uint8Array, threads: number) {
  const rates = { one: [] as number[], all: [] as number[] };
  const cpu = { one: [] as number[], all: [] as number[] };
  const times = Math.max(1, Math.ceil(MANY / (asked.length / CODE_BYTES)));
  const many = new Uint8Array(asked.length * times);
  for (let i = 0; i < times; i++) many.set(asked, i * asked.length);
  const count = many.length / CODE_BYTES;
  const settled = async (index: Index) => {
    while (index.maintain(1)) await new Promise((resolve) => setTimeout(resolve, 10));
    index.compact();
  };
  using all = createIndex({ threads });
  const start = [performance.now(), cpuSeconds()] as const;
  fill(all, codes, kind);
  const callerMs = performance.now() - start[0];
  await settled(all);
  // The same memory is searched by the caller's thread: what one thread does, without a copy of the library.
  let delayed = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const [alone, aloneCpu] = [performance.now(), cpuSeconds()];
    all.search(kind, many);
    const [between, betweenCpu] = [performance.now(), cpuSeconds()];
    let last = between;
    const watch = setInterval(() => {
      delayed = Math.max(delayed, performance.now() - last);
      last = performance.now();
    }, 1);
    await all.searchAsync(kind, many);
    clearInterval(watch);
    rates.one.push(count / ((between - alone) / 1e3));
    rates.all.push(count / ((performance.now() - between) / 1e3));
    cpu.one.push(count / (betweenCpu - aloneCpu));
    cpu.all.push(count / (cpuSeconds() - betweenCpu));
  }
  const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
  const best = (values: number[]) => Math.max(...values);
  return {
    threads,
    // By the clock, unlike the rest; the best of the rounds is the one that others disturbed least.
    queriesPerSecond: { one: median(rates.one), all: median(rates.all) },
    ratio: median(rates.all) / median(rates.one),
    ratioOfBest: best(rates.all) / best(rates.one),
    // So many times a thread's own rate is what the threads would do with a core each: all their CPU time is counted, and the
    // caller's, who names the hits.
    ratioByCpu: (median(cpu.all) / median(cpu.one)) * threads,
    longestEventLoopDelayMs: delayed,
    addingCallerMicrosPerCode: (callerMs / (codes.length / CODE_BYTES)) * 1e3,
    load: loadavg()[0],
  };
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Queries a CPU second: the median of so many rounds. */
function rate(index: Index, kind: CodeKind, asked: Uint8Array, batch: number, rounds: number): number {
  const rates = Array.from({ length: rounds }, () => {
    const start = cpuSeconds();
    for (let i = 0; i < asked.length; i += batch * CODE_BYTES) {
      index.search(kind, asked.subarray(i, i + batch * CODE_BYTES));
    }
    return asked.length / CODE_BYTES / (cpuSeconds() - start);
  });
  return rates.sort((a, b) => a - b)[rounds >> 1]!;
}

/** One query at a time, waiting for each: by the clock, and by the CPU, which no neighbour lengthens. */
function latency(index: Index, kind: CodeKind, asked: Uint8Array) {
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < asked.length; i += CODE_BYTES) {
    const [start, startCpu] = [performance.now(), threadMicros()];
    index.search(kind, asked.subarray(i, i + CODE_BYTES));
    cpu.push(threadMicros() - startCpu);
    wall.push((performance.now() - start) * 1000);
  }
  const at = (values: number[], share: number) => values.sort((a, b) => a - b)[Math.floor(values.length * share)]!;
  return {
    p50Micros: at(wall, 0.5),
    p99Micros: at(wall, 0.99),
    p99CpuMicros: at(cpu, 0.99),
    worstCpuMicros: cpu.at(-1)!,
  };
}

const threadMicros = (): number => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};

/** Over the first CHECKED queries: what a comparison with every code finds, and what the index has of it, or besides. */
function recall(index: Index, kind: CodeKind, codes: Uint8Array, asked: Uint8Array) {
  let [expected, found, wrong] = [0, 0, 0];
  const checked = Math.min(CHECKED, asked.length / CODE_BYTES);
  for (let q = 0; q < checked; q++) {
    const truth = new Map<string, number>();
    for (let i = 0; i < codes.length / CODE_BYTES; i++) {
      const d = hamming(asked, codes, q * CODE_BYTES, i * CODE_BYTES);
      if (d > RADIUS) continue;
      truth.set(nameOf(Math.floor(i / SLICE), i % SLICE), d);
    }
    expected += truth.size;
    for (const h of index.search(kind, asked.subarray(q * CODE_BYTES, (q + 1) * CODE_BYTES), 1_000_000)) {
      const { reference, time, place } = h.origin;
      const name = nameOf(Number(reference.id) * SLICES_A_FILM + time, place[0]);
      if (truth.get(name) === h.distance) found++;
      else wrong++;
    }
  }
  return { queries: checked, hits: expected, found: expected === 0 ? 1 : found / expected, wrong };
}

const nameOf = (slice: number, code: number) => `${slice} ${code}`;

/** Origins that name the code: the slice's number as its time, the code's place in the slice as its left edge. */
function fingerprintOf(bits: Uint8Array, slice: number, kind: CodeKind): Fingerprint {
  const count = bits.length / CODE_BYTES;
  const place = new Uint16Array(4 * count);
  for (let i = 0; i < count; i++) place[4 * i] = i;
  const turn = new Uint8Array(count);
  const quality = new Uint8Array(count).fill(100);
  return {
    engine: ENGINE_VERSION,
    mode: 'exact',
    sampling: 'every-frame',
    span: [0, 30],
    width: 640,
    height: 360,
    frames: { time: Float64Array.of(slice), quality: Uint8Array.of(100), flags: Uint8Array.of(0) },
    tables: [{ kind, count, bits, frame: new Uint16Array(count), place, turn, quality }],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

/** Uniform bits, or as real ones are. Patches are what most of a library is. */
function makeCodes(count: number, data: string, seed: number): Uint8Array {
  if (data === 'picture' || data === 'patch') return fittedCodes(data, count, seed);
  if (data !== 'random') throw new RangeError(`no such data: ${data}\n${HELP}`);
  const random = createRandom(seed);
  return new Uint8Array(new Uint32Array(count * 8).map(random.word).buffer);
}

/** Codes of the library, 0 to 31 bits away. */
function makeQueries(codes: Uint8Array, count: number, seed: number): Uint8Array {
  const random = createRandom(seed + 1);
  const asked = new Uint8Array(count * CODE_BYTES);
  for (let i = 0; i < count; i++) {
    const code = random.below(codes.length / CODE_BYTES);
    asked.set(codes.subarray(code * CODE_BYTES, (code + 1) * CODE_BYTES), i * CODE_BYTES);
    flip(asked, i * CODE_BYTES, i % (RADIUS + 1), random);
  }
  return asked;
}

interface Peers {
  faiss: string;
  options: string;
  rows: {
    index: string;
    queries: number;
    queriesPerSecond: number;
    bytesPerCode: number;
    buildMicrosPerCode: number;
    hits: number[];
  }[];
}

async function runPeers(codes: Uint8Array, asked: Uint8Array, python: string): Promise<Peers> {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-bench-'));
  try {
    const [codesFile, queriesFile] = [join(folder, 'codes.bin'), join(folder, 'queries.bin')];
    await writeFile(codesFile, codes);
    await writeFile(queriesFile, asked);
    const script = join(import.meta.dirname, 'peers', 'faiss-binary.py');
    const { stdout } = await promisify(execFile)(python, [script, codesFile, queriesFile, String(RADIUS), ...PEERS], {
      timeout: PEER_LIMIT_MS,
      maxBuffer: 64 << 20,
    });
    return JSON.parse(stdout) as Peers;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await bench(process.argv.slice(2)))}\n`);
