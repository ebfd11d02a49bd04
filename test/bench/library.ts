import { readdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  CODE_BYTES,
  type CodeKind,
  ENGINE_VERSION,
  type Fingerprint,
  Policy,
  type Probe,
  SLICE_SECONDS,
  type SliceAlignments,
  type SliceEvidence,
  sliceSpan,
} from '@vigil/contracts';
import {
  codesToConfirm,
  INDEX_BUDGET,
  type IndexBudget,
  indexedCodes,
  judge,
  lookCloser,
  searchSlice,
  withOtherShots,
} from '@vigil/pipeline';
import { createIndex, type Index } from '@vigil/similarity';
import { layoutOf } from '../../packages/similarity/src/layout.ts';
import { RULES, tablesOf } from '../../packages/similarity/src/rules.ts';
import { CORPUS, corpusHere } from '../support/corpus.ts';
import { machine } from './cpu-time.ts';
import { type Coder, type FileCodes, openCoder } from './file-codes.ts';
import { fitOf, fittedCodes, sliceOf, TARGETS } from './fitted-codes.ts';
import { EDITS, makeCopy } from './library-copies.ts';

const HELP = `npm run bench -- library [--codes 1e5,1e6,1e7] [--budgets 2x60@50,...] [--seed 1] [--no-recall]
  Bytes and codes an hour of reference film and a thousand reference images; recall against MB an hour, by budget
  (seconds x patches @ bits between pictures); ingest; the search of one upload against made libraries of so many codes,
  fitted to real ones. Prints one JSON line. Recall and real figures need the corpus; 1e7 codes take 4 GB.`;

const FILMS = [
  'agent327_480p.mp4',
  'popeye_sinbad_t01.mkv',
  'popeye_sinbad_t03.mkv',
  'tears_of_steel_battle_clip.webm',
  'car_detection.mp4',
  'chair_orig_22.mp4',
];
/** Where pieces are cut: arbitrary instants, so many seconds. */
const STARTS: Record<string, number[]> = { 'agent327_480p.mp4': [31.37, 127.83], 'chair_orig_22.mp4': [6.41] };
const START = [17.61];
const PIECE_SECONDS = 12;
const BUDGETS = '0.4x60@50,0.4x54@20,0.4x54@50,0.4x54@80,0.4x36@50,0.4x24@50,2x60@50,2x30@50,4x60@50,4x30@64';
const POLICY = Policy.parse({});

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const say = (line: string) => void process.stderr.write(`${line}\n`);

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      codes: { type: 'string', default: '1e5,1e6,1e7' },
      budgets: { type: 'string', default: BUDGETS },
      seed: { type: 'string', default: '1' },
      recall: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const real = corpusHere && values.recall ? await measureReal(values.budgets.split(',').map(budgetOf)) : null;
  const grown = await measureGrowth(values.codes.split(',').map(Number), Number(values.seed));
  return {
    bench: 'library',
    engine: ENGINE_VERSION,
    options: { ...values, default: INDEX_BUDGET, pieceSeconds: PIECE_SECONDS, edits: Object.keys(EDITS) },
    machine: machine(),
    real: real ?? 'the corpus is not there, or --no-recall',
    growth: grown,
  };
}

interface Budget extends IndexBudget {
  name: string;
}

function budgetOf(name: string): Budget {
  const [, seconds, patches, bits] = /^([\d.]+)x(\d+)@(\d+)$/.exec(name) ?? [];
  if (!bits) throw new RangeError(`no budget: ${name}\n${HELP}`);
  return { name, patchSeconds: Number(seconds), patches: Number(patches), pictureBits: Number(bits) };
}

/** Bytes a code of an index that is large enough for its tables to count as they do in the end. */
const settled = (kind: CodeKind): number => layoutOf(1e6, tablesOf(RULES[kind]), 1).bytes / 1e6;
const SETTLED_BYTES = { picture: settled('picture'), patch: settled('patch') };
const megabytesOf = ({ picture, patch }: Record<CodeKind, number>): number =>
  (picture * SETTLED_BYTES.picture + patch * SETTLED_BYTES.patch) / 1e6;

async function measureReal(budgets: readonly Budget[]) {
  await using coder = await openCoder();
  const films = await read(coder, 'videos', FILMS);
  const names = (await readdir(path.join(CORPUS, 'images'))).filter((n) =>
    /^(photo|camera|coco|kodak|public|art)_/.test(n),
  );
  const images = await read(coder, 'images', names);
  const copies = await makeCopies(coder, films);
  const hours = films.reduce((sum, f) => sum + f.duration, 0) / 3600;
  const rows: unknown[] = [];
  for (const budget of budgets) {
    using index = createIndex();
    const start = cpuSeconds();
    for (const film of films) add(index, film, budget);
    const ingest = cpuSeconds() - start;
    const counts = countsOf(index);
    for (const image of images) add(index, image, budget);
    const codes = counts.picture + counts.patch;
    const asked = cpuSeconds();
    const outcomes = [];
    for (const copy of copies) outcomes.push({ copy, verdict: await verdictOf(index, films, copy) });
    const down = outcomes.filter((o) => o.verdict === 'taken-down');
    rows.push({
      budget: budget.name,
      codesAnHour: Math.round(codes / hours),
      picturesAnHour: Math.round(counts.picture / hours),
      patchesAnHour: Math.round(counts.patch / hours),
      megabytesAnHour: megabytesOf(counts) / hours,
      hoursIn1e7Codes: Math.round((1e7 / codes) * hours),
      takenDown: down.length / copies.length,
      withReview: outcomes.filter((o) => o.verdict !== 'missed' && o.verdict !== 'wrong').length / copies.length,
      wrong: outcomes.filter((o) => o.verdict === 'wrong').length,
      missed: outcomes.filter((o) => o.verdict === 'missed').map((o) => `${path.basename(o.copy.film)} ${o.copy.edit}`),
      indexMicrosPerCode: (ingest / codes) * 1e6,
      judgeMillisPerUpload: ((cpuSeconds() - asked) / copies.length) * 1e3,
    });
    say(`${budget.name}: ${down.length} of ${copies.length}`);
  }
  using pictures = createIndex();
  for (const image of images) add(pictures, image, INDEX_BUDGET);
  const counts = countsOf(pictures);
  return {
    films: films.length,
    seconds: Math.round(hours * 3600),
    uploads: copies.length,
    bytesACode: SETTLED_BYTES,
    byBudget: rows,
    aThousandImages: {
      codes: Math.round(((counts.picture + counts.patch) / images.length) * 1000),
      megabytes: (megabytesOf(counts) / images.length) * 1e3,
    },
  };
}

async function read(coder: Coder, folder: string, names: readonly string[]): Promise<FileCodes[]> {
  const found: FileCodes[] = [];
  for (const name of names) {
    const codes = await coder.codesOf(path.join(CORPUS, folder, name), 'reference');
    if (codes) found.push(codes);
  }
  return found;
}

function add(index: Index, file: FileCodes, budget: IndexBudget): void {
  for (const { slice, codes } of file.slices) {
    index.add({ id: path.basename(file.file), version: 1 }, slice, file.kind, indexedCodes(codes, budget));
  }
}

function countsOf(index: Index): Record<CodeKind, number> {
  return Object.fromEntries(index.stats().map((s) => [s.kind, s.codes])) as Record<CodeKind, number>;
}

interface Copy {
  film: string;
  edit: string;
  start: number;
  upload: FileCodes;
  dense: FileCodes;
}

async function makeCopies(coder: Coder, films: readonly FileCodes[]): Promise<Copy[]> {
  const copies: Copy[] = [];
  for (const { file } of films) {
    for (const start of STARTS[path.basename(file)] ?? START) {
      for (const edit of Object.keys(EDITS)) {
        const made = await makeCopy(file, start, PIECE_SECONDS, edit);
        const [upload, dense] = [await coder.codesOf(made, 'upload'), await coder.codesOf(made, 'confirm')];
        if (!upload || !dense) throw new Error(`${made} is refused`);
        copies.push({ film: file, edit, start, upload, dense });
        say(`${path.basename(file)} at ${start}: ${edit}`);
      }
    }
  }
  return copies;
}

/** As the pipeline judges, over the whole of the references' codes; `wrong`: down, or before a person, for another film. */
async function verdictOf(index: Index, films: readonly FileCodes[], copy: Copy) {
  const alignments: SliceAlignments[] = [];
  const evidence: SliceEvidence[] = [];
  const { duration } = copy.upload;
  const references = withOtherShots({
    between: async ({ id }, from, to) => {
      const film = films.find((f) => path.basename(f.file) === id);
      const near = ({ slice }: { slice: number }) =>
        (slice + 2) * SLICE_SECONDS >= from && (slice - 1) * SLICE_SECONDS <= to;
      return film ? film.slices.filter(near).map((s) => s.codes) : [];
    },
  });
  for (const { slice, codes } of copy.upload.slices) {
    const span = sliceSpan(slice, duration);
    const found = await searchSlice(index, codes);
    const about = {
      upload: 'u',
      slice,
      shards: 1,
      shard: 0,
      span,
      checkpoint: 0,
      frames: { seen: 1, usable: 1 },
      steps: [],
    };
    const proposal = String(slice);
    const outcome =
      found.length > 0
        ? ({ status: 'alignments', alignments: found, proposal } as const)
        : ({ status: 'nothing', why: '' } as const);
    alignments.push({ ...about, outcome });
    if (found.length === 0) continue;
    const dense = copy.dense.slices.find((s) => s.slice === slice)?.codes;
    const nothing = { status: 'rejected', reason: 'no-frames', detail: 'it is not read in parts here' } as const;
    const { outcome: looked } = await lookCloser(
      codesToConfirm(codes, found),
      { alignments: found, span },
      references,
      async ([from, to]) =>
        dense && from === span[0] && to === span[1] ? { status: 'codes', fingerprint: dense } : nothing,
    );
    evidence.push({
      ...{ proposal, upload: 'u', slice, shards: 1, shard: 0, checkpoint: 0, steps: [] },
      outcome: looked,
    });
  }
  const probe = { kind: 'video', duration } as Probe;
  const event = {
    action: 'created' as const,
    media: { source: 'file', bucket: '', key: 'u', version: '' },
    visibility: 'public',
    receivedAt: 0,
  };
  const slices = copy.upload.slices.length;
  const { verdict, decisions } = judge({
    manifest: {
      upload: 'u',
      event,
      outcome: { status: 'planned', probe, slices, shards: 1, epoch: 0 },
      deadline: 0,
      steps: [],
    },
    alignments,
    evidence,
    references: ({ id }) => {
      const film = films.find((f) => path.basename(f.file) === id);
      return film ? { live: true, duration: film.duration, policy: POLICY } : null;
    },
  });
  const best = decisions[0]?.evidence;
  if (verdict !== 'taken-down' && verdict !== 'in-review') return 'missed';
  return best?.reference.id === path.basename(copy.film) ? verdict : 'wrong';
}

/** Of a made hour of film: INDEX_BUDGET's codes, as `measureReal` counts them, in slices of 30 s. */
const SLICE = { picture: 237, patch: 1297 };
const SLICES_A_FILM = 8;
const UPLOAD_FRAMES = 6;

/** One library that grows; at each size the search of one upload of six patched frames, a copy and a stranger. */
async function measureGrowth(sizes: readonly number[], seed: number) {
  const perSlice = SLICE.picture + SLICE.patch;
  const most = Math.ceil(Math.max(...sizes) / perSlice);
  using index = createIndex({ threads: 2 });
  const rows: unknown[] = [];
  const fits: Record<string, unknown> = {};
  for (const kind of ['picture', 'patch'] as const) {
    fits[kind] = { made: fitOf(kind, fittedCodes(kind, 100_000, seed)), target: TARGETS[kind] };
  }
  const part = 512;
  let slices = 0;
  let adding = 0;
  const heldBefore = process.memoryUsage().rss;
  let uploads: Fingerprint[] = [];
  for (const size of sizes.toSorted((a, b) => a - b)) {
    const until = Math.min(most, Math.ceil(size / perSlice));
    while (slices < until) {
      const n = Math.min(part, until - slices);
      const pictures = fittedCodes('picture', n * SLICE.picture, seed + slices);
      const patches = fittedCodes('patch', n * SLICE.patch, seed + slices);
      if (slices === 0) uploads = makeUploads(pictures, patches, seed);
      const start = cpuSeconds();
      for (let i = 0; i < n; i++, slices++) {
        const cut = (bits: Uint8Array, of: number) => bits.subarray(i * of * CODE_BYTES, (i + 1) * of * CODE_BYTES);
        const fingerprint = sliceOf(
          { picture: cut(pictures, SLICE.picture), patch: cut(patches, SLICE.patch) },
          slices % SLICES_A_FILM,
        );
        const id = `film-${Math.floor(slices / SLICES_A_FILM)}`;
        index.add({ id, version: 1 }, slices % SLICES_A_FILM, 'video', fingerprint);
      }
      adding += cpuSeconds() - start;
      // So that threads hand over what they merged.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const before = cpuSeconds();
    while (index.maintain(1)) await new Promise((resolve) => setTimeout(resolve, 5));
    adding += cpuSeconds() - before;
    const stats = index.stats();
    const codes = stats.reduce((sum, s) => sum + s.codes, 0);
    const held = process.memoryUsage().rss;
    const costs = [];
    for (const upload of uploads) {
      const rounds = [];
      for (let i = 0; i < 5; i++) {
        const [wall, cpu] = [performance.now(), cpuSeconds()];
        const found = await searchSlice(index, upload);
        rounds.push({ cpu: (cpuSeconds() - cpu) * 1e3, wall: performance.now() - wall, found: found.length });
      }
      costs.push(rounds.sort((a, b) => a.cpu - b.cpu)[2]!);
    }
    rows.push({
      codes,
      hours: codes / (SLICE.picture + SLICE.patch) / 120,
      bytesACode: stats.reduce((sum, s) => sum + s.bytes, 0) / codes,
      segments: stats.map((s) => `${s.kind} ${s.segments}`).filter((s) => !s.startsWith('sound')),
      residentMegabytes: Math.round(held / 1e6),
      residentBytesACode: (held - heldBefore) / codes,
      addMicrosPerCode: (adding / codes) * 1e6,
      copyCpuMs: costs[0]!.cpu,
      copyWallMs: costs[0]!.wall,
      copyAlignments: costs[0]!.found,
      strangerCpuMs: costs[1]!.cpu,
      strangerWallMs: costs[1]!.wall,
      strangerAlignments: costs[1]!.found,
      load: loadavg()[0],
    });
    say(`${codes} codes`);
  }
  return { labelled: 'made codes, fitted to real ones', fits, upload: { frames: UPLOAD_FRAMES, patches: 300 }, rows };
}

/** Six frames, 300 patches each: near codes of the library's first film, and of a film that is not in it. */
function makeUploads(pictures: Uint8Array, patches: Uint8Array, seed: number): Fingerprint[] {
  const upload = (picture: Uint8Array, patch: Uint8Array): Fingerprint => {
    const made = sliceOf({ picture, patch }, 0);
    const frame = Uint16Array.from({ length: UPLOAD_FRAMES * 300 }, (_, i) => Math.floor(i / 300));
    return {
      ...made,
      sampling: 'keyframes',
      frames: {
        time: Float64Array.from({ length: UPLOAD_FRAMES }, (_, i) => 5 * i),
        quality: new Uint8Array(UPLOAD_FRAMES).fill(100),
        flags: new Uint8Array(UPLOAD_FRAMES),
      },
      tables: made.tables.map((t) => (t.kind === 'patch' ? { ...t, frame } : t)),
    };
  };
  const of = (bits: Uint8Array, count: number) => bits.slice(0, count * CODE_BYTES);
  return [
    upload(of(pictures, UPLOAD_FRAMES), of(patches, UPLOAD_FRAMES * 300)),
    upload(fittedCodes('picture', UPLOAD_FRAMES, seed + 1e6), fittedCodes('patch', UPLOAD_FRAMES * 300, seed + 1e6)),
  ];
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await bench(process.argv.slice(2)))}\n`);
