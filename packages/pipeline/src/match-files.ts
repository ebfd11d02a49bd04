import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type Fingerprint,
  leftOf,
  type Manifest,
  type Policy,
  type Probe,
  type ReferenceKey,
  type Rejection,
  SLICE_SECONDS,
  SLICES_IN_RUN,
  type SliceAlignments,
  type SliceEvidence,
  type Span,
  sliceCount,
  sliceSpan,
  visitOrder,
} from '@vigil/contracts';
import type { Fingerprinter, FingerprintOutcome, MediaSource } from '@vigil/fingerprint';
import type { SimilarityIndex } from '@vigil/similarity';
import { indexedCodes } from './indexed-codes.ts';
import { type Judgement, judge } from './judgement.ts';
import { withOtherShots } from './other-shots.ts';
import { lookCloser } from './stages/confirm-proposal.ts';
import { codesToConfirm, countFrames, countProtecting, searchSlice } from './stages/match-slice.ts';

/** A file, and the name it goes by: its path below the folder that was given. */
export interface NamedFile {
  name: string;
  file: string;
}

/**
 * Files below the paths, in order of name; a path that is a file goes by its own name. Links to files count as files, also
 * where they lead nowhere: whoever opens them says so. Files of one name in several folders go by their whole paths.
 * @throws when a path is missing
 */
export async function listFiles(paths: readonly string[]): Promise<NamedFile[]> {
  const found = new Map<string, NamedFile>();
  const add = (name: string, file: string) => found.set(path.resolve(file), { name, file });
  for (const given of paths) {
    if (!(await stat(given)).isDirectory()) {
      add(path.basename(given), given);
      continue;
    }
    for (const entry of await readdir(given, { recursive: true, withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const file = path.join(entry.parentPath, entry.name);
      if (entry.isFile() || (entry.isSymbolicLink() && !(await leadsToFolder(file))))
        add(path.relative(given, file), file);
    }
  }
  const files = [...found.values()];
  const times = new Map<string, number>();
  for (const { name } of files) times.set(name, (times.get(name) ?? 0) + 1);
  return files
    .map(({ name, file }) => ({ name: times.get(name) === 1 ? name : file, file }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const leadsToFolder = (link: string): Promise<boolean> =>
  stat(link).then(
    (s) => s.isDirectory(),
    () => false,
  );

export interface LearnedFile {
  name: string;
  reason: string | null;
  seconds: number;
  codes: number;
}

export interface JudgedFile {
  name: string;
  probe: Probe | null;
  judgement: Judgement;
  elapsedMs: number;
}

/** The same verbs as the pipeline's stages, one after another in this process: no log, no database, nothing kept. */
export interface FileMatcher {
  learn(file: NamedFile, signal?: AbortSignal): Promise<LearnedFile>;
  judge(file: NamedFile, signal?: AbortSignal): Promise<JudgedFile>;
}

export function createFileMatcher(deps: {
  fingerprinter: Fingerprinter;
  index: SimilarityIndex;
  policy: Policy;
}): FileMatcher {
  const { fingerprinter, index, policy } = deps;
  const learned = new Map<string, { duration: number; slices: Map<number, Fingerprint> }>();

  const films = withOtherShots({
    async between(key: ReferenceKey, from, to) {
      const slices = learned.get(key.id)?.slices;
      if (!slices) return [];
      const first = Math.floor(from / SLICE_SECONDS) - 1;
      const last = Math.floor(to / SLICE_SECONDS) + 1;
      return [...slices.keys()]
        .filter((n) => n >= first && n <= last)
        .sort((a, b) => a - b)
        .map((n) => slices.get(n)!);
    },
  });

  async function learn({ name, file }: NamedFile, signal?: AbortSignal): Promise<LearnedFile> {
    await using source = await openFile(file);
    const refused = (reason: string) => ({ name, reason, seconds: 0, codes: 0 });
    if ('detail' in source) return refused(`${source.reason}: ${source.detail}`);
    const looked = await fingerprinter.probe(source, signal);
    if (looked.status === 'rejected') return refused(`${looked.reason}: ${looked.detail}`);
    const { probe } = looked;
    const key = { id: name, version: 1 };
    const slices = new Map<number, Fingerprint>();
    let protecting = 0;
    let codes = 0;
    let reason: string | null = null;
    await Promise.all(
      spansOf(probe).map(async ({ n, span }) => {
        const made = await fingerprinter.fingerprint(source, { probe, span, purpose: 'reference' }, signal);
        if (made.status === 'rejected') {
          reason = `${made.reason}: ${made.detail}`;
          return;
        }
        slices.set(n, made.fingerprint);
        protecting += countProtecting(made.fingerprint);
        codes += made.fingerprint.tables.reduce((sum, t) => sum + t.count, 0);
      }),
    );
    if (slices.size === 0) return refused(reason ?? 'no-frames: nothing was decoded');
    if (protecting === 0) return refused('too-little: there is nothing in it to compare with');
    learned.set(name, { duration: probe.kind === 'video' ? probe.duration : 0, slices });
    for (const [n, slice] of slices) index.add(key, n, probe.kind, indexedCodes(slice));
    return { name, reason: null, seconds: probe.duration, codes };
  }

  async function judgeFile({ name, file }: NamedFile, signal?: AbortSignal): Promise<JudgedFile> {
    const startedAt = performance.now();
    await using source = await openFile(file);
    const media = 'detail' in source ? null : source;
    const looked = 'detail' in source ? source : await fingerprinter.probe(source, signal);
    const alignments: SliceAlignments[] = [];
    const evidence: SliceEvidence[] = [];
    const event = {
      action: 'created' as const,
      media: { source: 'file', bucket: '', key: name, version: '' },
      visibility: 'public',
      receivedAt: 0,
    };
    let outcome: Manifest['outcome'];
    let probe: Probe | null = null;
    if (looked.status === 'rejected') {
      outcome = { status: 'rejected', reason: looked.reason, detail: looked.detail };
    } else {
      probe = looked.probe;
      const spans = spansOf(probe);
      outcome = { status: 'planned', probe, slices: spans.length, shards: 1, epoch: 0 };
      for (const run of runsOf(spans)) {
        const job = { probe: looked.probe, spans: run.map(({ span }) => span) };
        const made = await fingerprinter.fingerprintRun(media!, job, signal);
        for (const [i, { n, span }] of run.entries()) {
          const about = { source: media!, probe: looked.probe, upload: name, span };
          const first = await judgeSlice(about, n, made[i]!, signal);
          const again = first.left && (await judgeSlice(about, leftOf(n, spans.length), codesMade(first.left), signal));
          for (const one of again ? [first, again] : [first]) {
            alignments.push(one.alignments);
            if (one.evidence) evidence.push(one.evidence);
          }
        }
      }
    }
    const manifest: Manifest = { upload: name, event, outcome, deadline: 0, steps: [] };
    const judgement = judge({
      manifest,
      alignments,
      evidence,
      references(key) {
        const known = learned.get(key.id);
        return known ? { live: true, duration: known.duration, policy } : null;
      },
    });
    return { name, probe, judgement, elapsedMs: performance.now() - startedAt };
  }

  async function judgeSlice(
    { source, probe, upload, span }: { source: MediaSource; probe: Probe; upload: string; span: Span },
    slice: number,
    made: FingerprintOutcome,
    signal?: AbortSignal,
  ): Promise<{ alignments: SliceAlignments; evidence: SliceEvidence | null; left: Fingerprint | null }> {
    const said = (outcome: SliceAlignments['outcome'], codes: Fingerprint | null): SliceAlignments => ({
      upload,
      slice,
      shards: 1,
      shard: 0,
      span,
      checkpoint: 0,
      outcome,
      frames: countFrames(codes),
      steps: [],
    });
    const none = { evidence: null, left: null };
    if (made.status === 'rejected') return { alignments: said({ ...made, status: 'failed' }, null), ...none };
    const codes = made.fingerprint;
    const alignments = await searchSlice(index, codes);
    if (alignments.length === 0) return { alignments: said({ status: 'nothing', why: '' }, codes), ...none };
    const proposal = `${upload}/${slice}`;
    const read = (part: Span) => fingerprinter.fingerprint(source, { probe, span: part, purpose: 'confirm' }, signal);
    const along = codesToConfirm(codes, alignments);
    const { outcome, left } = await lookCloser(along, { alignments, span }, films, read);
    return {
      alignments: said({ status: 'alignments', alignments, proposal }, codes),
      evidence: { proposal, upload, slice, shards: 1, shard: 0, checkpoint: 0, outcome, steps: [] },
      left,
    };
  }

  return { learn, judge: judgeFile };
}

const codesMade = (fingerprint: Fingerprint): FingerprintOutcome => ({ status: 'codes', fingerprint });

interface SliceSpan {
  n: number;
  span: [number, number];
}

/** Neighbours that follow each other, at most SLICES_IN_RUN. */
function runsOf(spans: readonly SliceSpan[]): SliceSpan[][] {
  const runs: SliceSpan[][] = [];
  for (const one of spans) {
    const last = runs.at(-1);
    if (last && last.length < SLICES_IN_RUN && last.at(-1)!.n === one.n - 1) last.push(one);
    else runs.push([one]);
  }
  return runs;
}

function spansOf(probe: Probe): SliceSpan[] {
  if (probe.kind === 'image') return [{ n: 0, span: [0, 0] }];
  return visitOrder(sliceCount(probe.duration)).map((n) => ({ n, span: sliceSpan(n, probe.duration) }));
}

type Unopened = AsyncDisposable & { status: 'rejected'; reason: Rejection; detail: string };

/** A file that cannot be opened is that file's outcome; the others are judged all the same. */
async function openFile(file: string): Promise<(MediaSource & AsyncDisposable) | Unopened> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    const { message } = error as Error;
    return { status: 'rejected', reason: 'missing', detail: message, [Symbol.asyncDispose]: async () => undefined };
  }
  const { size } = await handle.stat();
  return {
    size,
    async read(start, end) {
      const length = Math.max(0, Math.min(end, size) - start);
      const buffer = new Uint8Array(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await handle.read(buffer, filled, length - filled, start + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return [buffer.subarray(0, filled)];
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}
