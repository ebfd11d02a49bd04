import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Action, type Decision, Policy, REJECTIONS, strictest } from '@vigil/contracts';
import { alteredText } from '@vigil/decision';
import { createFileMatcher, type JudgedFile, listFiles, type NamedFile, openMatcherParts } from '@vigil/pipeline';
import { z } from 'zod';
import {
  bold,
  clockTime,
  dim,
  green,
  note,
  red,
  say,
  spanText,
  table,
  UsageError,
  unheard,
  yellow,
} from '../output.ts';

export interface MatchOptions {
  references: string[];
  uploads: string[];
  policy?: string;
  json?: boolean;
  threads?: number;
}

/** `vigil match`: compares files with files in this process. Exit code 0 when it ran, 2 on bad arguments. */
export async function match(options: MatchOptions): Promise<void> {
  const policy = await readPolicy(options.policy);
  const references = await filesOf('--references', options.references);
  const uploads = await filesOf('--uploads', options.uploads);
  const threads = options.threads ?? availableParallelism();
  await using parts = await openMatcherParts({ threads, env: process.env, warn: note });
  const matcher = createFileMatcher({ ...parts, policy });

  await eachOf(references, threads, async (file) => {
    const learned = await matcher.learn(file);
    if (learned.reason) note(`vigil: reference ${file.name} protects nothing: ${learned.reason}`);
    else if (!options.json)
      note(
        dim(
          `learned ${file.name} (${learned.seconds > 0 ? clockTime(learned.seconds) : 'picture'}, ${learned.codes} codes)`,
        ),
      );
  });

  const rows: string[][] = [
    ['upload', 'decision', 'reference', 'in the upload', 'in the reference', 'altered'].map(bold),
  ];
  await eachOf(uploads, threads, async (file) => {
    const judged = await matcher.judge(file);
    if (options.json) say(JSON.stringify(lineOf(judged, decisionOf(judged))));
    else rows.push(...rowsOf(judged));
  });
  if (!options.json) for (const line of table(rows)) say(line);
}

async function readPolicy(file: string | undefined): Promise<Policy> {
  if (!file) return Policy.parse({});
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--policy ${file} cannot be read: ${(error as Error).message}`);
  }
  try {
    return Policy.strict().parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new UsageError(`--policy ${file} is not a policy:\n${why}`);
  }
}

async function filesOf(option: string, paths: string[]): Promise<NamedFile[]> {
  const files = await listFiles(paths).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      error.code === 'ENOENT' ? `${option}: there is no ${error.path}` : `${option}: ${error.message}`,
    );
  });
  if (files.length === 0) throw new UsageError(`${option}: no file below ${paths.join(', ')}`);
  return files;
}

/** At most `n` at once, in order of the list; ends early when nobody listens any more. */
async function eachOf<T>(items: readonly T[], n: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < items.length && !unheard()) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(n, items.length) }, lane));
}

const decisionOf = (judged: JudgedFile) =>
  judged.judgement.verdict === 'in-review' ? 'review' : strictest(judged.judgement.decisions.map((d) => d.action));

function lineOf({ name, judgement, elapsedMs }: JudgedFile, decision: Action) {
  return {
    upload: name,
    outcome: judgement.verdict === 'rejected' ? 'rejected' : 'fingerprinted',
    ...(judgement.verdict === 'rejected' ? { reason: judgement.reason } : {}),
    decision,
    matches: judgement.decisions.flatMap(matchesOf),
    coverage: round(judgement.coverage),
    elapsedMs: Math.round(elapsedMs),
  };
}

function matchesOf({ evidence }: Decision) {
  const { reference, confidence, altered, segments } = evidence;
  const spans = segments.length > 0 ? segments : [{ upload: [0, 0], reference: [0, 0] } as const];
  return [...spans]
    .sort((a, b) => b.upload[1] - b.upload[0] - (a.upload[1] - a.upload[0]))
    .map((s) => ({
      reference: reference.id,
      confidence: round(confidence),
      uploadSpan: s.upload.map(round),
      referenceSpan: s.reference.map(round),
      altered,
    }));
}

const round = (x: number) => Math.round(x * 1000) / 1000;

function rowsOf(judged: JudgedFile): string[][] {
  const { name, judgement } = judged;
  if (judgement.verdict === 'rejected') {
    const reason = judgement.reason as keyof typeof REJECTIONS;
    return [[name, yellow('rejected'), REJECTIONS[reason] ?? reason, '', '', '']];
  }
  const decision = decisionOf(judged);
  const paint = decision === 'takedown' ? red : decision === 'none' ? green : yellow;
  if (judgement.decisions.length === 0) return [[name, paint(decision), '', '', '', '']];
  return judgement.decisions.flatMap((d, i) =>
    d.evidence.segments.map((s, k) => [
      i + k === 0 ? name : '',
      i + k === 0 ? paint(decision) : dim(d.action),
      d.evidence.reference.id,
      spanText(s.upload),
      spanText(s.reference),
      alteredText(d.evidence.altered),
    ]),
  );
}
