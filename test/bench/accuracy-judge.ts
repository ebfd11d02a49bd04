import { AsyncLocalStorage } from 'node:async_hooks';
import { Policy } from '@vigil/contracts';
import { DEFAULT_LIMITS, openFingerprinter } from '@vigil/fingerprint';
import { createFileMatcher, type Judgement } from '@vigil/pipeline';
import { createIndex, DEFAULT_LIMIT, type IndexHit, type SimilarityIndex } from '@vigil/similarity';
import { ffmpegHere } from '../support/ffmpeg.ts';
import type { Work } from './accuracy-works.ts';

type MatcherParts = Parameters<typeof createFileMatcher>[0];
type Fingerprinter = MatcherParts['fingerprinter'];

/** A fingerprinter with patience, so that what is found does not depend on what else the machine does, and an empty index. */
export async function openExamParts(threads: number) {
  const limits = { ...DEFAULT_LIMITS, probeSeconds: 300, sliceSeconds: 900 };
  const fingerprinter = await openFingerprinter({ threads, ffmpeg: await ffmpegHere(), limits });
  return { fingerprinter, index: createIndex(), [Symbol.asyncDispose]: () => fingerprinter[Symbol.asyncDispose]() };
}

/** The library, and uploads judged against it, by the verbs that `vigil match` uses and the default policy. */
export interface Examiner {
  learn(work: Work): Promise<{ reason: string | null; codes: number }>;
  /**
   * What is said of a file: first against the whole library, then, when families are named, as though the library had nothing
   * of them, for which nothing is decoded again.
   */
  judge(file: string, without: ReadonlySet<string>): Promise<{ whole: Judgement; without: Judgement | null }>;
}

interface Sitting {
  codes: Map<string, ReturnType<Fingerprinter['fingerprint']>>;
  hidden: ReadonlySet<string>;
}

export function createExaminer(parts: { fingerprinter: Fingerprinter; index: SimilarityIndex }): Examiner {
  const sitting = new AsyncLocalStorage<Sitting>();
  const families = new Map<string, string>();
  const fingerprinter: Fingerprinter = {
    ...parts.fingerprinter,
    fingerprint(source, job, signal) {
      const codes = sitting.getStore()?.codes;
      const key = `${job.purpose} ${job.span}`;
      const known = codes?.get(key) ?? parts.fingerprinter.fingerprint(source, job, signal);
      codes?.set(key, known);
      return known;
    },
  };
  /** What is hidden takes no room: more is asked for, and as much as was wanted is left. */
  const roomy = (limit: number) => (sitting.getStore()?.hidden.size ? 4 * limit : limit);
  function seenOf(hits: IndexHit[], limit: number): IndexHit[] {
    const hidden = sitting.getStore()?.hidden;
    if (!hidden?.size) return hits;
    let [query, n] = [-1, 0];
    return hits.filter((hit) => {
      if (hidden.has(families.get(hit.origin.reference.id) ?? '')) return false;
      if (hit.query !== query) [query, n] = [hit.query, 0];
      return n++ < limit;
    });
  }
  const index: SimilarityIndex = {
    ...parts.index,
    search: (kind, bits, limit = DEFAULT_LIMIT) => seenOf(parts.index.search(kind, bits, roomy(limit)), limit),
    searchAsync: async (kind, bits, limit = DEFAULT_LIMIT) =>
      seenOf(await parts.index.searchAsync(kind, bits, roomy(limit)), limit),
  };
  const matcher = createFileMatcher({ fingerprinter, index, policy: Policy.parse({}) });

  return {
    async learn(work) {
      families.set(work.name, work.family);
      return matcher.learn({ name: work.name, file: work.file });
    },
    async judge(file, without) {
      const codes: Sitting['codes'] = new Map();
      const judged = (hidden: ReadonlySet<string>) =>
        sitting.run({ codes, hidden }, async () => (await matcher.judge({ name: file, file })).judgement);
      const whole = await judged(new Set());
      return { whole, without: without.size > 0 ? await judged(without) : null };
    },
  };
}
