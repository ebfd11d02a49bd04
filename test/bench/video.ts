import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { CODE_BYTES, ENGINE_VERSION, Policy, sliceCount } from '@vigil/contracts';
import { DEFAULT_LIMITS, type Fingerprinter, openFingerprinter } from '@vigil/fingerprint';
import { createFileMatcher, type JudgedFile } from '@vigil/pipeline';
import { createIndex, type Index } from '@vigil/similarity';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { machine, median, treeCpuSeconds } from './cpu-time.ts';
import { CODEC_NAMES, type FilmFile, filmOrigin, makeFilm } from './engine-media.ts';
import { fittedCodes, sliceOf } from './fitted-codes.ts';
import { runPeer } from './peers/peer-python.ts';

const HELP = `npm run bench -- video [--codes 1e6] [--codecs h264] [--heights 720] [--seconds 20,120] [--rounds 3] [--seed 1] [--no-peers]
  Video-seconds a CPU-second of judging uploads by production defaults, from the file to the verdict: probe, decoder, codes, search,
  alignment, confirmation, user and system time of the whole process tree. Clean: nothing of it is in the library;
  copied: all of it is. Beside ffmpeg that decodes keyframes only, ffmpeg that decodes all and keeps a frame a second,
  and vPDQ (PyPI, built from source, which wants cmake and the libav*-dev packages), whose codes are not even searched.
  --all: 1e6 and 1e7 codes; h264, hevc, vp9, av1; 480p, 720p, 1080p; 20, 120 and 600 s. Takes an hour and 4 GB. One JSON line.`;

const PEER = ['vpdq==0.2.5'];
const PEER_LIMIT_MS = 30 * 60_000;
const ALL = { codes: '1e6,1e7', codecs: CODEC_NAMES.join(), heights: '480,720,1080', seconds: '20,120,600' };
/** Of a library's codes so many are patches: 2,600 a minute beside some 470 pictures (`npm run bench -- library`). */
const PATCH_SHARE = 0.85;
const SLICE_CODES = 1250;
const SLICES_A_FILM = 8;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values: given } = parseArgs({
    args,
    allowNegative: true,
    options: {
      codes: { type: 'string', default: '1e6' },
      codecs: { type: 'string', default: 'h264' },
      heights: { type: 'string', default: '720' },
      seconds: { type: 'string', default: '20,120' },
      rounds: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
      all: { type: 'boolean', default: false },
      peers: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (given.help) return { help: HELP };
  const values = given.all ? { ...given, ...ALL } : given;
  const list = (text: string) => text.split(',');
  const rounds = Number(values.rounds);
  const films: FilmFile[] = [];
  const skipped: string[] = [];
  for (const codec of list(values.codecs)) {
    for (const height of list(values.heights).map(Number)) {
      for (const seconds of list(values.seconds).map(Number)) {
        const film = await makeFilm(codec, height, seconds);
        if ('skipped' in film) skipped.push(film.skipped);
        else films.push(film);
      }
    }
  }
  for (const what of new Set(skipped)) process.stderr.write(`skipped: ${what}\n`);

  const ffmpeg = await ffmpegHere();
  await using fingerprinter = await openFingerprinter({ threads: 1, ffmpeg });
  const limits = new Map<FilmFile, Limits>();
  for (const film of films) limits.set(film, await decodingLimits(ffmpeg.ffmpeg, film, rounds, values.peers));
  const rows: Record<string, unknown>[] = [];
  for (const codes of list(values.codes).map(Number)) {
    using index = createIndex();
    fill(index, codes, Number(values.seed));
    for (const kind of ['clean', 'copied'] as const) {
      const judge = await openJudge(fingerprinter, index, kind);
      for (const film of films) {
        rows.push({ codes, kind, ...(await measure(judge, film, rounds, limits.get(film)!)) });
        process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
      }
    }
  }
  return {
    bench: 'video',
    options: {
      ...values,
      policy: 'default',
      limits: DEFAULT_LIMITS,
      threads: 1,
      decoderThreads: 'default',
      library: `made: fitted to real codes, ${PATCH_SHARE} of them patches`,
      engine: ENGINE_VERSION,
    },
    machine: { ...machine(), ffmpeg: ffmpeg.version },
    skipped: [...new Set(skipped)],
    rows,
  };
}

type Judge = (file: string) => Promise<JudgedFile>;

/** Judges by the verbs of the pipeline's stages. A copied film's reference is learned beside the made codes. */
async function openJudge(fingerprinter: Fingerprinter, index: Index, kind: 'clean' | 'copied'): Promise<Judge> {
  const matcher = createFileMatcher({ fingerprinter, index, policy: Policy.parse({}) });
  if (kind === 'copied') {
    const { file } = await filmOrigin();
    const { reason } = await matcher.learn({ name: 'the film', file });
    if (reason !== null) throw new Error(`${file} cannot be learned: ${reason}`);
  }
  return (file) => matcher.judge({ name: file, file });
}

interface Limits {
  keyframes: number;
  keyframesOnly: number;
  fullDecode: number;
  vpdq: number | { skipped: string } | null;
}

async function measure(judge: Judge, film: FilmFile, rounds: number, limits: Limits) {
  await judge(film.file);
  const spent: number[] = [];
  let judged: JudgedFile | null = null;
  for (let k = 0; k < rounds; k++) {
    const start = treeCpuSeconds();
    judged = await judge(film.file);
    spent.push(treeCpuSeconds() - start);
  }
  const seconds = judged!.probe!.kind === 'video' ? judged!.probe!.duration : 0;
  const cpuSeconds = median(spent);
  const rate = (cpu: number) => seconds / cpu;
  const { vpdq } = limits;
  return {
    codec: film.codec,
    height: film.height,
    seconds,
    slices: sliceCount(seconds),
    keyframes: limits.keyframes,
    verdict: judged!.judgement.verdict,
    cpuSeconds,
    rate: rate(cpuSeconds),
    ofKeyframesOnly: limits.keyframesOnly / cpuSeconds,
    beside: {
      keyframesOnly: rate(limits.keyframesOnly),
      fullDecodeAtOneASecond: rate(limits.fullDecode),
      vpdq: typeof vpdq === 'number' ? rate(vpdq) : vpdq,
    },
    timesVpdq: typeof vpdq === 'number' ? vpdq / cpuSeconds : null,
  };
}

/** CPU seconds of the least that a decoder can do for this film, and of others that read it. */
async function decodingLimits(ffmpeg: string, film: FilmFile, rounds: number, peers: boolean): Promise<Limits> {
  const plain = ['-v', 'error', '-nostdin', '-threads', '1', '-filter_threads', '1'];
  // Decoders for AV1 do not listen to skip_frame.
  const skip = ['-skip_frame', 'nokey', ...(film.codec === 'av1' ? ['-discard', 'nokey'] : [])];
  const shown = (filter: string) => ['-an', '-vf', `${filter}scale=64:64,format=gray`, '-f', 'rawvideo', 'pipe:1'];
  const least = async (n: number, args: string[]) => {
    const spent: number[] = [];
    let bytes = 0;
    for (let k = 0; k < n; k++) {
      const start = treeCpuSeconds();
      bytes = await countBytes(ffmpeg, args);
      spent.push(treeCpuSeconds() - start);
    }
    return { cpu: median(spent), frames: bytes / 4096 };
  };
  const passthrough = ['-vsync', 'passthrough'];
  const keys = await least(rounds, [...plain, ...skip, '-i', film.file, ...passthrough, ...shown('')]);
  const full = await least(1, [...plain, '-i', film.file, ...shown('fps=1,')]);
  let vpdq: Limits['vpdq'] = null;
  if (peers) {
    const made = await runPeer<{ cpuSeconds: number }[]>('vpdq-video.py', PEER, [film.file], PEER_LIMIT_MS);
    vpdq = 'skipped' in made ? made : made[0]!.cpuSeconds;
  }
  return { keyframes: keys.frames, keyframesOnly: keys.cpu, fullDecode: full.cpu, vpdq };
}

function countBytes(program: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let bytes = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(bytes) : reject(new Error(`${program} ended with ${code}`))));
  });
}

/** Fitted to real codes (fitted-codes.ts): films of eight slices, with patches and pictures in the shares that references have. */
function fill(index: Index, count: number, seed: number): void {
  const patches = fittedCodes('patch', Math.round(count * PATCH_SHARE), seed);
  const pictures = fittedCodes('picture', Math.round(count * (1 - PATCH_SHARE)), seed);
  const slices = Math.ceil(count / SLICE_CODES);
  const part = (codes: Uint8Array, i: number) => {
    const at = (k: number) => Math.floor((k * codes.length) / CODE_BYTES / slices) * CODE_BYTES;
    return codes.subarray(at(i), at(i + 1));
  };
  for (let i = 0; i < slices; i++) {
    const key = { id: `made-${Math.floor(i / SLICES_A_FILM)}`, version: 1 };
    const slice = i % SLICES_A_FILM;
    index.add(key, slice, 'video', sliceOf({ picture: part(pictures, i), patch: part(patches, i) }, slice));
  }
  index.compact();
}
