import type { Fingerprint } from '@vigil/contracts';
import type { SimilarityIndex } from '@vigil/similarity';
import type { Alteration } from './accuracy-alterations.ts';
import { createExaminer } from './accuracy-judge.ts';
import type { Sample } from './accuracy-media.ts';
import { addCopy, addStranger, type Bin, createBins, createRow, type Row } from './accuracy-score.ts';
import type { Draw, Work } from './accuracy-works.ts';

type Parts = Parameters<typeof createExaminer>[0];

export interface Answer {
  kind: 'image' | 'video';
  file: string;
  alteration: string;
  families: ReadonlySet<string>;
}

export interface Exam {
  rows: Record<'image' | 'video', Map<string, { aim: Alteration['aim']; row: Row }>>;
  clean: Record<'image' | 'video', Row>;
  bins: Bin[];
  /** The altered files, in the order of the samples, and the clean ones. */
  answers: Answer[];
  cleanFiles: { kind: 'image' | 'video'; file: string }[];
  background: unknown;
}

export interface ExamOptions extends Parts {
  draw: Draw;
  samples: readonly Sample[];
  clean: readonly Work[];
  folder: string;
  threads: number;
  verbose: boolean;
  say(text: string): void;
}

/**
 * Learns the references, makes the altered uploads and judges them, each also as though its own work were not protected.
 * @param background adds to the library what else there is to be, given what it learned
 */
export async function examine(
  options: ExamOptions,
  background: (
    index: SimilarityIndex,
    learned: readonly Fingerprint[],
    familyOf: (reference: string) => string,
  ) => unknown = () => null,
): Promise<Exam> {
  const { draw, samples, clean, folder, threads, say } = options;
  const learned: Fingerprint[] = [];
  const fingerprinter: Parts['fingerprinter'] = {
    ...options.fingerprinter,
    async fingerprint(source, job, signal) {
      const made = await options.fingerprinter.fingerprint(source, job, signal);
      if (job.purpose === 'reference' && made.status === 'codes') learned.push(made.fingerprint);
      return made;
    },
  };
  const examiner = createExaminer({ fingerprinter, index: options.index });
  const exam: Exam = {
    rows: { image: new Map(), video: new Map() },
    clean: { image: createRow(), video: createRow() },
    bins: createBins(),
    answers: [],
    cleanFiles: clean.map(({ kind, file }) => ({ kind, file })),
    background: null,
  };
  const families = new Map(draw.references.map((w) => [w.name, w.family]));
  const familyOf = (id: string) => families.get(id) ?? id;

  const kinds = new Set([...samples, ...clean].map((s) => s.kind));
  // Pictures are looked for in films as well, and films in pictures.
  await inPool(draw.references, threads, async (work) => {
    const { reason } = await examiner.learn(work);
    if (reason) say(`${work.name} protects nothing: ${reason}`);
  });
  say(
    `${draw.references.length} references learned; ${samples.length} altered uploads and ${clean.length} clean ones of ${[...kinds].join(' and ')}`,
  );
  exam.background = background(options.index, learned, familyOf);

  const told = (name: string, said: readonly string[]) => {
    if (options.verbose) for (const line of said) say(`${name}: ${line}`);
  };
  const tick = progress(samples.length + clean.length, say);
  for (const { kind, alteration } of samples)
    exam.rows[kind].set(
      alteration.name,
      exam.rows[kind].get(alteration.name) ?? { aim: alteration.aim, row: createRow() },
    );
  await inPool(samples, threads, async (sample, i) => {
    const file = await sample.make(folder);
    const own = new Set(sample.shown.map((s) => s.work.family));
    const judged = await examiner.judge(file, own);
    const { row } = exam.rows[sample.kind].get(sample.alteration.name)!;
    exam.answers[i] = { kind: sample.kind, file, alteration: sample.alteration.name, families: own };
    told(sample.name, addCopy(row, exam.bins, sample, judged.whole, familyOf));
    told(sample.name, addStranger(row, exam.bins, judged.without!));
    tick();
  });
  await inPool(clean, threads, async (work) => {
    const { whole } = await examiner.judge(work.file, new Set());
    told(`clean / ${work.name}`, addStranger(exam.clean[work.kind], exam.bins, whole));
    tick();
  });
  return exam;
}

async function inPool<T>(
  items: readonly T[],
  size: number,
  each: (item: T, i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) await each(items[i]!, i);
  };
  await Promise.all(Array.from({ length: size }, lane));
}

function progress(total: number, say: (text: string) => void): () => void {
  let done = 0;
  let last = performance.now();
  return () => {
    done++;
    if (performance.now() - last < 20_000) return;
    last = performance.now();
    say(`${done} of ${total} uploads`);
  };
}
