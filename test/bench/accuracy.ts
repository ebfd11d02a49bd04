import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { ENGINE_VERSION, Policy, RADIUS } from '@vigil/contracts';
import { CORPUS, corpusHere } from '../support/corpus.ts';
import { AIMS, type Alteration } from './accuracy-alterations.ts';
import { addBackground } from './accuracy-background.ts';
import { type Answer, type Exam, examine } from './accuracy-exam.ts';
import { openExamParts } from './accuracy-judge.ts';
import { filmSamples, pictureSamples } from './accuracy-media.ts';
import { askPeers, VPDQ_PERCENT } from './accuracy-peers.ts';
import { confidenceTable, type Line, rateText, tableOf } from './accuracy-report.ts';
import { median, type Row, sum } from './accuracy-score.ts';
import { drawWorks, readCorpus } from './accuracy-works.ts';
import { machine } from './cpu-time.ts';

const HELP = `npm run bench -- accuracy [--seed 1] [--quick] [--only images|films|ALTERATION] [--works 24] [--pieces 7]
    [--background 1e6] [--no-peers] [--python python3] [--keep FOLDER] [--threads 2] [--verbose]
  An examination made from the corpus: altered pictures and pieces of film that must be found, their like that must not.
  Prints tables on standard error and one JSON line. Peers: pip install pdqhash vpdq pillow numpy.
  --works     pictures under each alteration; --pieces: pieces of film under each
  --quick     6 pictures and 2 pieces
  --only      one kind, or alterations whose name contains the word
  --background adds so many made codes of pictures, and of patches, to the library
  --keep      leaves the altered media in FOLDER, and uses what is there
  --verbose   says what went wrong, upload by upload`;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      works: { type: 'string' },
      pieces: { type: 'string' },
      background: { type: 'string', default: '0' },
      peers: { type: 'boolean', default: true },
      python: { type: 'string', default: 'python3' },
      keep: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  if (!corpusHere) throw new Error(`there is no corpus at ${CORPUS}; VIGIL_CORPUS says where one is`);
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  const seed = Number(values.seed);
  const works = Number(values.works ?? (values.quick ? 6 : 24));
  const pieces = Number(values.pieces ?? (values.quick ? 2 : 7));
  const [images, films] = [values.only !== 'films', values.only !== 'images'];
  const named = ['', 'images', 'films'].includes(values.only) ? '' : values.only;
  const wanted = (a: Alteration) => a.name.includes(named);
  const draw = drawWorks(await readCorpus(), seed, works);
  const samples = [
    ...(images ? pictureSamples(draw, seed, wanted) : []),
    ...(films ? filmSamples(draw, seed, pieces, wanted) : []),
  ];
  if (samples.length === 0) throw new Error(`no alteration is called ${values.only}`);
  const clean = draw.clean.filter((w) => named === '' && (w.kind === 'image' ? images : films));

  const folder = values.keep ?? (await mkdtemp(path.join(tmpdir(), 'vigil-accuracy-')));
  await mkdir(folder, { recursive: true });
  try {
    const threads = Number(values.threads);
    await using parts = await openExamParts(threads);
    const cpu = process.cpuUsage();
    const exam = await examine(
      { ...parts, draw, samples, clean, folder, threads, say, verbose: values.verbose },
      (index, fingerprints, familyOf) =>
        addBackground({ index, learned: fingerprints, familyOf, count: Number(values.background), seed, say }),
    );
    const { user, system } = process.cpuUsage(cpu);
    const peers = values.peers ? await besidePeers(exam, draw.references, values.python) : null;
    const kinds = (['image', 'video'] as const).flatMap((kind) => {
      const lines = linesOf(exam, kind, peers);
      if (lines.length === 0) return [];
      say(`\n${kind === 'image' ? 'pictures' : 'films'}, seed ${seed}\n${tableOf(lines)}`);
      return [[kind === 'image' ? 'pictures' : 'films', summaryOf(lines, exam.clean[kind], say)] as const];
    });
    say(`\n${confidenceTable(exam.bins)}`);
    return {
      bench: 'accuracy',
      options: {
        ...values,
        works,
        pieces,
        engine: ENGINE_VERSION,
        radius: RADIUS,
        policy: Policy.parse({}),
        references: draw.references.length,
      },
      machine: machine(),
      ...Object.fromEntries(kinds),
      confidence: exam.bins,
      background: exam.background,
      cpuSeconds: Math.round((user + system) / 1e6),
      ...(peers && { peers: peers.about }),
    };
  } finally {
    if (!values.keep) await rm(folder, { recursive: true, force: true });
  }
}

type PeerNames = Record<string, number>;
interface Beside {
  /** Works of an alteration that each peer finds. */
  found(kind: 'image' | 'video', alteration: string): PeerNames;
  about: Record<string, unknown>;
}

async function besidePeers(exam: Exam, references: Parameters<typeof askPeers>[0], python: string): Promise<Beside> {
  const of = (list: readonly { kind: string; file: string }[], kind: string) => list.filter((a) => a.kind === kind);
  const queries = (kind: string) => [...of(exam.answers, kind), ...of(exam.cleanFiles, kind)].map((a) => a.file);
  const { pdq, vpdq, seconds } = await askPeers(
    references,
    { images: queries('image'), films: queries('video') },
    python,
  );
  const table: Record<string, (a: number) => string[]> = {
    'PDQ 31': (i) => pdq[i] ?? [],
    ...Object.fromEntries(
      VPDQ_PERCENT.map((p) => [`vPDQ ${p}`, (i: number) => (vpdq[i] ?? []).filter(([, x]) => x >= p).map(([f]) => f)]),
    ),
  };
  const peersOf = (kind: string) => Object.keys(table).filter((name) => name.startsWith('v') === (kind === 'video'));
  const answers = (kind: string) => of(exam.answers, kind) as Answer[];
  const wrong = (kind: 'image' | 'video', name: string) => {
    const asked = answers(kind);
    const total = asked.length + of(exam.cleanFiles, kind).length;
    let n = 0;
    for (let i = 0; i < total; i++) if (table[name]!(i).some((f) => !asked[i]?.families.has(f))) n++;
    return rateText(n, total);
  };
  return {
    found(kind, alteration) {
      const asked = answers(kind);
      const count = (name: string) =>
        asked.reduce(
          (n, a, i) =>
            n + (a.alteration === alteration ? [...a.families].filter((f) => table[name]!(i).includes(f)).length : 0),
          0,
        );
      return Object.fromEntries(peersOf(kind).map((name) => [name, count(name)]));
    },
    about: {
      cpuSeconds: seconds,
      wrong: Object.fromEntries(
        (['image', 'video'] as const).flatMap((k) =>
          answers(k).length > 0 ? peersOf(k).map((name) => [name, wrong(k, name)]) : [],
        ),
      ),
    },
  };
}

function linesOf(exam: Exam, kind: 'image' | 'video', peers: Beside | null): Line[] {
  return [...exam.rows[kind].entries()].map(([name, { aim, row }]) => ({
    name,
    aim: AIMS[aim],
    row,
    peers: peers?.found(kind, name) ?? {},
  }));
}

function summaryOf(lines: readonly Line[], clean: Row, say: (text: string) => void) {
  const all = sum(lines.map((l) => l.row));
  const mean = (f: (l: Line) => number) => lines.reduce((n, l) => n + f(l), 0) / lines.length;
  const round = (x: number | null) => (x === null ? null : Math.round(1000 * x) / 1000);
  const summary = {
    alterations: lines.length,
    recallAtTakedown: round(mean((l) => l.row.down / l.row.works)),
    recallWithReview: round(mean((l) => l.row.reviewed / l.row.works)),
    belowTheirAim: lines.filter((l) => l.aim !== null && l.row.down / l.row.works < l.aim).map((l) => l.name),
    wrongReferenceTakenDown: rateText(all.wrongDown, all.uploads),
    wrongReferenceReviewed: rateText(all.wrongReviewed, all.uploads),
    falseTakedowns: {
      ofAltered: rateText(all.falseDown, all.strangers),
      ofClean: rateText(clean.falseDown, clean.strangers),
    },
    falseReviews: {
      ofAltered: rateText(all.falseReviewed, all.strangers),
      ofClean: rateText(clean.falseReviewed, clean.strangers),
    },
    ...(all.ends.length > 0 && {
      endsMedianSeconds: round(median(all.ends)),
      offsetMedianSeconds: round(median(all.offsets)),
    }),
    peers: Object.fromEntries(
      Object.keys(lines[0]!.peers).map((p) => [p, round(mean((l) => l.peers[p]! / l.row.works))]),
    ),
  };
  for (const [name, value] of Object.entries(summary)) say(`${name}: ${JSON.stringify(value)}`);
  return {
    ...summary,
    byAlteration: Object.fromEntries(
      lines.map(({ name, row: { ends, offsets, ...counts }, peers }) => [
        name,
        { ...counts, ends: round(median(ends)), offset: round(median(offsets)), ...peers },
      ]),
    ),
  };
}
