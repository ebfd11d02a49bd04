import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { CODE_BYTES, ENGINE_VERSION, type Fingerprint, hamming, RADIUS } from '@vigil/contracts';
import { createIndex, type Index } from '@vigil/similarity';

const HELP = `npm run bench -- index [--codes 1e5,1e6] [--data random,film] [--queries 2000] [--batch 256] [--seed 1] [--no-peers]
  Search of the similarity index, on one thread, beside FAISS (pip install faiss-cpu). Prints one JSON line.
  --codes 1e5,1e6,1e7 takes some 6 GB and, with peers, ten minutes.`;

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
      data: { type: 'string', default: 'random,film' },
      queries: { type: 'string', default: '2000' },
      batch: { type: 'string', default: '256' },
      seed: { type: 'string', default: '1' },
      peers: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const sizes = values.codes.split(',').map(Number);
  const rows: unknown[] = [];
  for (const data of values.data.split(',')) {
    for (const codes of sizes) {
      rows.push(
        await measure(codes, data, Number(values.queries), Number(values.batch), Number(values.seed), values.peers),
      );
    }
  }
  return {
    bench: 'index',
    options: { ...values, radius: RADIUS, headCodes: 'default', threads: 1 },
    machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), load: loadavg()[0], node: process.version },
    rows,
  };
}

async function measure(count: number, data: string, queries: number, batch: number, seed: number, peers: boolean) {
  const random = createRandom(seed);
  const codes = makeCodes(count, data, random);
  const asked = makeQueries(codes, queries, random);
  const index = createIndex();

  const adding = cpuSeconds();
  for (let i = 0; i * SLICE < count; i++) {
    const bits = codes.subarray(i * SLICE * CODE_BYTES, Math.min(count, (i + 1) * SLICE) * CODE_BYTES);
    const [film, slice] = [Math.floor(i / SLICES_A_FILM), i % SLICES_A_FILM];
    index.add({ id: String(film), version: 1 }, slice, 'video', fingerprintOf(bits, slice));
  }
  const added = cpuSeconds() - adding;
  const asBuilt = rate(index, asked, batch, 3);
  const segmentsAsBuilt = index.stats()[0]!.segments;
  const merging = cpuSeconds();
  index.compact();
  const built = cpuSeconds() - merging;
  const { bytes, walk, segments } = index.stats()[0]!;

  const row = {
    data,
    codes: count,
    walk,
    queriesPerSecond: rate(index, asked, batch, 5),
    ...latency(index, asked),
    bytesPerCode: bytes / count,
    // A time and a place of twelve bytes are kept with each code; the peers keep none.
    bytesPerCodeWithoutOrigins: bytes / count - 12,
    buildMicrosPerCode: (built / count) * 1e6,
    addMicrosPerCode: (added / count) * 1e6,
    segments,
    beforeCompacting: { queriesPerSecond: asBuilt, segments: segmentsAsBuilt },
    recall: recall(index, codes, asked),
  };
  if (!peers) return row;
  const beside = await runPeers(codes, asked);
  const hits = new Map<number, number>();
  for (const h of index.search('picture', asked, 1_000_000)) hits.set(h.query, (hits.get(h.query) ?? 0) + 1);
  const against = beside.rows.map(({ hits: theirs, ...peer }) => ({
    ...peer,
    timesFaster: row.queriesPerSecond / peer.queriesPerSecond,
    // Hits that they found of those that we found, over the queries that they had the time for; above 1: they found more.
    hitsOfOurs: theirs.reduce((a, b) => a + b, 0) / theirs.reduce((sum, _, i) => sum + (hits.get(i) ?? 0), 0),
  }));
  return { ...row, peers: { faiss: beside.faiss, options: beside.options, rows: against } };
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Queries a CPU second: the median of so many rounds. */
function rate(index: Index, asked: Uint8Array, batch: number, rounds: number): number {
  const rates = Array.from({ length: rounds }, () => {
    const start = cpuSeconds();
    for (let i = 0; i < asked.length; i += batch * CODE_BYTES) {
      index.search('picture', asked.subarray(i, i + batch * CODE_BYTES));
    }
    return asked.length / CODE_BYTES / (cpuSeconds() - start);
  });
  return rates.sort((a, b) => a - b)[rounds >> 1]!;
}

function latency(index: Index, asked: Uint8Array): { p50Micros: number; p99Micros: number } {
  const times: number[] = [];
  for (let i = 0; i < asked.length; i += CODE_BYTES) {
    const start = performance.now();
    index.search('picture', asked.subarray(i, i + CODE_BYTES));
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  return { p50Micros: times[times.length >> 1]!, p99Micros: times[Math.floor(times.length * 0.99)]! };
}

/** Over the first CHECKED queries: what a comparison with every code finds, and what the index has of it, or besides. */
function recall(index: Index, codes: Uint8Array, asked: Uint8Array) {
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
    for (const h of index.search('picture', asked.subarray(q * CODE_BYTES, (q + 1) * CODE_BYTES), 1_000_000)) {
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
function fingerprintOf(bits: Uint8Array, slice: number): Fingerprint {
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
    tables: [{ kind: 'picture', count, bits, frame: new Uint16Array(count), place, turn, quality }],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

type Random = ReturnType<typeof createRandom>;

/** xorshift128 */
function createRandom(seed: number) {
  let [a, b, c, d] = [0x12345678 ^ seed, 0x9abcdef0, 0xdeadbeef, 0x0badf00d];
  const word = () => {
    const t = a ^ (a << 11);
    a = b;
    b = c;
    c = d;
    d = (d ^ (d >>> 19) ^ (t ^ (t >>> 8))) >>> 0;
    return d;
  };
  for (let i = 0; i < 16; i++) word();
  return { word, below: (n: number) => word() % n };
}

/**
 * `random`: independent uniform bits. `film`: runs of 2 to 17 codes that lie 20 to 51 bits from the one before, as pruned
 * frames of a shot do; one shot in eight shares half of its bits with one of 32 common pictures. Made, not measured.
 */
function makeCodes(count: number, data: string, random: Random): Uint8Array {
  if (data !== 'random' && data !== 'film') throw new RangeError(`no such data: ${data}\n${HELP}`);
  const words = new Uint32Array(count * 8);
  if (data === 'random') return new Uint8Array(words.map(random.word).buffer);
  const common = new Uint32Array(32 * 8).map(random.word);
  for (let i = 0, left = 0; i < count; i++, left--) {
    if (left > 0) {
      words.copyWithin(i * 8, (i - 1) * 8, i * 8);
      flip(words, i, 20 + random.below(32), random);
      continue;
    }
    left = 2 + random.below(16);
    for (let w = 0; w < 8; w++) words[i * 8 + w] = random.word();
    if (random.below(8) === 0) {
      const from = random.below(32);
      words.set(common.subarray(from * 8, from * 8 + 4), i * 8 + 4 * random.below(2));
    }
  }
  return new Uint8Array(words.buffer);
}

function flip(words: Uint32Array, code: number, bits: number, random: Random): void {
  const seen = new Set<number>();
  while (seen.size < bits) seen.add(random.below(256));
  for (const bit of seen) words[code * 8 + (bit >> 5)]! ^= 1 << (bit & 31);
}

/** Codes of the library, 0 to 31 bits away. */
function makeQueries(codes: Uint8Array, count: number, random: Random): Uint8Array {
  const from = new Uint32Array(codes.buffer);
  const words = new Uint32Array(count * 8);
  for (let i = 0; i < count; i++) {
    const code = random.below(codes.length / CODE_BYTES);
    words.set(from.subarray(code * 8, code * 8 + 8), i * 8);
    flip(words, i, i % (RADIUS + 1), random);
  }
  return new Uint8Array(words.buffer);
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

async function runPeers(codes: Uint8Array, asked: Uint8Array): Promise<Peers> {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-bench-'));
  try {
    const [codesFile, queriesFile] = [join(folder, 'codes.bin'), join(folder, 'queries.bin')];
    await writeFile(codesFile, codes);
    await writeFile(queriesFile, asked);
    const script = join(import.meta.dirname, 'peers', 'faiss-binary.py');
    const { stdout } = await promisify(execFile)(
      'python3',
      [script, codesFile, queriesFile, String(RADIUS), ...PEERS],
      { timeout: PEER_LIMIT_MS, maxBuffer: 64 << 20 },
    );
    return JSON.parse(stdout) as Peers;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await bench(process.argv.slice(2)))}\n`);
