import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { FLEET, type Members, openFleet, TOGETHER } from '../network/open-fleet.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { cpuSecondsOf, processTree } from '../support/process-tree.ts';
import { seedsHere } from '../support/seeds.ts';
import { WITHOUT_BRAKES } from '../support/vigil-process.ts';
import { type BareLoop, type BareWork, startBareLoop } from './bare-loop.ts';
import { machine } from './cpu-time.ts';
import { between, decodersOf, type FleetPlatform, openFleetPlatform, type Share, sumOf } from './fleet-load.ts';
import { closedLoop } from './latency-load.ts';
import { LARGE, MOST_ARE_CLEAN, makeClips, makeImages, type Sample, SMALL } from './latency-media.ts';
import { makeTwoFilms, measureFilm } from './pipeline-film.ts';
import { SEEDS, wholeNumber } from './whole-number.ts';

const HELP = `npm run bench -- pipeline [--seed 1] [--images 120] [--clips 24] [--rounds 3] [--film-minutes 120]
  [--only images,clips,film] [--fleet apart,together] [--large] [--quick]
  images, clips: uploads a second through a whole fleet (Kafka, S3, PostgreSQL) and the CPU time that they cost it, beside
  the same files in a bare loop: fingerprinted and no more, and judged, which is all that the engine does for them (search,
  closer look and judgement too). In turns, round by round. One of six is a copy.
  fleet: apart, every role a process; together, two processes that do everything. The film runs through the first one.
  large: pictures of twelve megapixels and clips of a minute at 720 lines, in place of .1 to 5 and of 30 s at 360.
  film: a film of which the last quarter is a copy; when its takedown comes, and whether memory stays flat.
  Prints one JSON line; ends with 1 when an aim is missed.`;

/** The aims of the product. CPU time is what is claimed: wall time says as much about the servers beside it. */
const AIMS = { overBareCpu: 0.15, takedownAfterPartOfAll: 0.1, memoryGrowth: 0.1 };
const PATIENCE_MS = 180_000;
/** On their way at any time: enough that no decoder waits. */
const IN_FLIGHT = { image: 32, clip: 8 };
const IDLE_SECONDS = 10;
const PARTS = ['images', 'clips', 'film'];
const FLEETS: Readonly<Record<string, Members>> = { apart: FLEET, together: TOGETHER };

const say = (line: string) => void process.stderr.write(`${line}\n`);
const round = (x: number): number => Math.round(x * 10_000) / 10_000;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      images: { type: 'string' },
      clips: { type: 'string' },
      rounds: { type: 'string' },
      'film-minutes': { type: 'string' },
      only: { type: 'string', default: PARTS.join(',') },
      fleet: { type: 'string', default: Object.keys(FLEETS).join(',') },
      large: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const { quick } = values;
  const seed = wholeNumber('seed', values.seed, SEEDS, HELP);
  const images = wholeNumber('images', values.images ?? (quick ? '24' : '120'), [6, 2000], HELP);
  const clips = wholeNumber('clips', values.clips ?? (quick ? '6' : '24'), [6, 500], HELP);
  const rounds = wholeNumber('rounds', values.rounds ?? (quick ? '1' : '3'), [1, 20], HELP);
  const filmMinutes = wholeNumber('film-minutes', values['film-minutes'] ?? (quick ? '20' : '120'), [8, 240], HELP);
  const only = values.only.split(',');
  const odd = only.find((part) => !PARTS.includes(part));
  if (odd !== undefined) throw new RangeError(`--only: there is no ${odd}\n${HELP}`);
  const fleets = values.fleet.split(',');
  const unknown = fleets.find((name) => !Object.hasOwn(FLEETS, name));
  if (unknown !== undefined) throw new RangeError(`--fleet: there is no ${unknown}\n${HELP}`);

  const seeds = await seedsHere();
  say('making media ...');
  const size = values.large ? LARGE : SMALL;
  const samples = {
    image: only.includes('images') ? await makeImages(seeds, images, seed, MOST_ARE_CLEAN, size) : [],
    clip: only.includes('clips') ? await makeClips(seeds, clips, seed, MOST_ARE_CLEAN, size) : [],
  };
  const films = only.includes('film') ? await makeTwoFilms(filmMinutes * 60, seed) : null;
  const host = { ...machine(), ffmpeg: (await ffmpegHere()).version };

  const result: Record<string, unknown> = {};
  const missed: string[] = [];
  const loads = samples.image.length + samples.clip.length > 0;
  for (const name of loads ? fleets : fleets.slice(0, 1)) {
    say(`starting the fleet, ${name} ...`);
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(path.join(tmpdir(), 'vigil-bench-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const members = FLEETS[name]!;
    const fleet = await openFleet({
      members,
      settings: WITHOUT_BRAKES,
      log: (line) => {
        if (/^no |fetching|building/.test(line)) say(line);
      },
    });
    if (!fleet) throw new Error('the fleet needs Kafka and S3: see infra/README.md for what can bring them');
    stack.use(fleet);
    const platform = stack.use(await openFleetPlatform(fleet, folder));
    await platform.protect(seeds.references);
    const decoders = decodersOf(members);
    const found: Record<string, unknown> = {};
    if (loads) {
      await using bare = await startBareLoop(
        sumOf(decoders) + decoders.length,
        seeds.references.map(({ name, path: file }) => ({ name, file })),
      );
      say('idle ...');
      const upkeep = await idle(platform);
      found.idleCpuPerSecond = upkeep;
      for (const kind of ['image', 'clip'] as const) {
        if (samples[kind].length === 0) continue;
        const atOnce = sumOf(decoders) + (kind === 'image' ? decoders.length : 0);
        const beside = await besideBare(platform, bare, kind, samples[kind], { rounds, atOnce, idle: upkeep.vigil });
        found[`${kind}s`] = beside;
        if (beside.cpuOverBare > AIMS.overBareCpu) missed.push(`${name}, ${kind}s: CPU over bare`);
        if (Object.keys(beside.wrong).length > 0) missed.push(`${name}, ${kind}s: wrong verdicts`);
      }
    }
    if (films && name === fleets[0]) {
      const film = await measureFilm(platform, films, AIMS, say);
      found.film = film;
      missed.push(...film.missed);
    }
    result[name] = found;
  }
  if (missed.length > 0) process.exitCode = 1;
  const options = { seed, images, clips, rounds, filmMinutes, only, fleets, size, quick, inFlight: IN_FLIGHT };
  return { bench: 'pipeline', options, seeds: seeds.version, machine: host, aims: AIMS, ...result, missed };
}

/** What the fleet and its servers use when nothing is asked of them, in CPU seconds a second. */
async function idle(platform: FleetPlatform) {
  await sleep(2000);
  const before = await platform.cpu();
  await sleep(IDLE_SECONDS * 1000);
  return shown(between(before, await platform.cpu()), IDLE_SECONDS);
}

interface Measured {
  seconds: number;
  cpu: number;
}

/** The same files by the bare loop and by the fleet, in turns, after one turn each that is not counted. */
async function besideBare(
  platform: FleetPlatform,
  bare: BareLoop,
  kind: 'image' | 'clip',
  samples: readonly Sample[],
  { rounds, atOnce, idle: idlePerSecond }: { rounds: number; atOnce: number; idle: number },
) {
  const files = samples.map(({ file }) => file);
  const bareRound = async (work: BareWork, part = files): Promise<Measured> => {
    const before = await cpuSecondsOf(await processTree(bare.pid));
    const seconds = await bare.run(part, atOnce, work);
    return { seconds, cpu: (await cpuSecondsOf(await processTree(bare.pid))) - before };
  };
  const wrong: Record<string, number> = {};
  let confirmed = 0;
  const fleetRound = async (part = samples) => {
    const stored = await platform.store(part);
    const before = await platform.cpu();
    const began = performance.now();
    const { answers } = await closedLoop(stored, IN_FLIGHT[kind], (one) => platform.ask(one, PATIENCE_MS));
    const seconds = (performance.now() - began) / 1000;
    const share = between(before, await platform.cpu());
    confirmed = await platform.readAgain(answers.map(({ upload }) => upload));
    for (const { wrong: what } of answers) if (what) wrong[what] = (wrong[what] ?? 0) + 1;
    return { seconds, cpu: sumOf(share.vigil), share };
  };

  say(`${kind}s: warming up ...`);
  const half = files.slice(0, Math.ceil(files.length / 2));
  await bareRound('fingerprint', half);
  await bareRound('judge', half);
  await fleetRound(samples.slice(0, Math.ceil(samples.length / 2)));
  const all: { bare: Measured; judged: Measured; fleet: Awaited<ReturnType<typeof fleetRound>> }[] = [];
  for (let n = 1; n <= rounds; n++) {
    const one = { bare: await bareRound('fingerprint'), judged: await bareRound('judge'), fleet: await fleetRound() };
    all.push(one);
    const over = (than: Measured) => percent(one.fleet.cpu / than.cpu - 1);
    say(
      `${kind}s, round ${n}: fingerprinted ${one.bare.cpu.toFixed(2)} s CPU, judged ${one.judged.cpu.toFixed(2)}, fleet ${one.fleet.cpu.toFixed(2)}: ${over(one.bare)} and ${over(one.judged)} over`,
    );
  }
  const uploads = samples.length * rounds;
  const sum = (of: (round: (typeof all)[number]) => number) => all.reduce((total, one) => total + of(one), 0);
  const total = all.map(({ fleet }) => fleet.share).reduce(added);
  return {
    uploads,
    copies: samples.filter((s) => s.copyOf !== null).length * rounds,
    cpuOverBare: round(sum((p) => p.fleet.cpu) / sum((p) => p.bare.cpu) - 1),
    // What the fleet would have used in the same time anyhow: most of it where others take the processors, and rounds last.
    cpuOverBareWithoutIdle: round(
      sum((p) => p.fleet.cpu - idlePerSecond * p.fleet.seconds) / sum((p) => p.bare.cpu) - 1,
    ),
    cpuOverJudged: round(sum((p) => p.fleet.cpu) / sum((p) => p.judged.cpu) - 1),
    cpuOverBareByRound: all.map(({ bare, fleet }) => round(fleet.cpu / bare.cpu - 1)),
    bare: {
      cpuPerUpload: round(sum((p) => p.bare.cpu) / uploads),
      perSecond: round(uploads / sum((p) => p.bare.seconds)),
    },
    judged: {
      cpuPerUpload: round(sum((p) => p.judged.cpu) / uploads),
      perSecond: round(uploads / sum((p) => p.judged.seconds)),
    },
    fleet: {
      cpuPerUpload: round(sum((p) => p.fleet.cpu) / uploads),
      perSecond: round(uploads / sum((p) => p.fleet.seconds)),
      cpuPerUploadOf: shown(total, uploads),
    },
    confirmedOneRound: confirmed,
    wrong,
  };
}

const added = (a: Share, b: Share): Share => {
  const plus = (x: Record<string, number>, y: Record<string, number>) =>
    Object.fromEntries(Object.entries(x).map(([name, value]) => [name, value + y[name]!]));
  return { vigil: plus(a.vigil, b.vigil), servers: plus(a.servers, b.servers) } as Share;
};

/** Each share over so many, with the sum of Vigil's own. */
function shown({ vigil, servers }: Share, per: number) {
  const over = (shares: Record<string, number>) =>
    Object.fromEntries(Object.entries(shares).map(([name, value]) => [name, round(value / per)]));
  return { vigil: round(sumOf(vigil) / per), ...over(vigil), servers: over(servers) };
}

const percent = (part: number) => `${(100 * part).toFixed(0)} %`;
