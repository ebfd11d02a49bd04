import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Verdict } from '@vigil/contracts';
import { openPostgres } from '@vigil/runtime';
import { CLIP_SECONDS, makeCopy, makeFilm, REFERENCE_SECONDS } from '../../services/canary/src/media.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { until } from '../support/until.ts';
import { VIGIL, vigil, withoutVitest } from '../support/vigil-process.ts';
import { type DrillSet, openSet } from './open-set.ts';

export interface Drill {
  kind: DrillSet['kind'];
  /** One line a step, with the time since the start. */
  timeline: string[];
  /** One line an upload of the outage. */
  report: string[];
  /** What is not as it must be. */
  wrong: string[];
}

interface Sent {
  name: string;
  upload: string;
  isCopy: boolean;
}

const PATIENCE = { seconds: 120 };

/**
 * Breaks the matchers without anybody being told, and looks whether Vigil tells: the canary raises the alarm, the matchers are repaired,
 * `vigil replay` closes the gap, and every upload of the outage has its late verdict, none of them twice.
 */
export async function runDrill(options: {
  short: boolean;
  onlyLaptop?: boolean;
  say(line: string): void;
}): Promise<Drill> {
  const { short, onlyLaptop = false } = options;
  const drill: Drill = { kind: 'laptop', timeline: [], report: [], wrong: [] };
  const startedAt = Date.now();
  const tell = (line: string) => {
    const stamp = `${((Date.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${line}`;
    drill.timeline.push(stamp);
    options.say(stamp);
  };
  const must = (holds: boolean, what: string) => {
    if (!holds) drill.wrong.push(what);
  };

  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-drill-media-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { ffmpeg } = await ffmpegHere();
  const film = path.join(folder, 'film.mkv');
  const media = makeAll(ffmpeg, folder, film, short ? [3, 2] : [12, 8]);
  media.catch(() => undefined);
  const set = stack.use(await openSet(options.say, onlyLaptop));
  drill.kind = set.kind;
  tell(`the ${set.kind} set runs`);
  const { copies, clean } = await media;

  const ask = async <T>(method: string, route: string, file?: string): Promise<T> => {
    const body = file ? { body: Readable.toWeb(createReadStream(file)), duplex: 'half' } : {};
    const headers = { authorization: `Bearer ${set.key}`, ...(file ? { 'content-type': 'video/x-matroska' } : {}) };
    const response = await fetch(new URL(route, set.url), { method, headers, ...body } as RequestInit);
    if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
  const send = async (file: string, isCopy: boolean): Promise<Sent> => {
    const name = path.basename(file);
    const { upload } = await ask<{ upload: string }>(
      'POST',
      `/v1/uploads?name=${name}&account=${path.parse(name).name}`,
      file,
    );
    return { name, upload, isCopy };
  };
  const verdictOf = async (upload: string): Promise<Verdict | null> =>
    ask<{ verdict: Verdict | null }>('GET', `/v1/uploads/${upload}`).then(
      (u) => u.verdict,
      () => null,
    );
  const takedownsOf = async (upload: string) =>
    (await ask<{ items: { id: string; action: string }[] }>('GET', `/v1/uploads/${upload}/actions`)).items;
  const wait = <T>(what: string, look: () => Promise<T | null | false | undefined>) => until(what, look, PATIENCE);

  const { reference } = await ask<{ reference: { id: string } }>('POST', '/v1/references?name=film.mkv', film);
  await wait(
    'the film is live',
    async () => (await ask<{ state: string }>('GET', `/v1/references/${reference.id}`)).state === 'live',
  );
  let canary = stack.use(startCanary(set, path.join(folder, 'canary')));
  const before = await send(copies[0]!, true);
  await wait('the first copy is judged', () => verdictOf(before.upload));
  must((await verdictOf(before.upload))!.verdict === 'taken-down', 'a copy was not taken down before the outage');
  await wait('the canary is green', async () => canary.rounds().at(-1)?.green);
  tell('a copy was taken down, and the canary is green');

  // Where everything is one process, the door goes with the matcher: that is not what is to be noticed.
  const away = set.kind === 'laptop';
  if (away) await canary[Symbol.asyncDispose]();
  await set.matchers(true);
  if (away) canary = stack.use(startCanary(set, path.join(folder, 'canary')));
  const brokenAt = Date.now();
  const roundsBefore = canary.rounds().length;
  tell('the matchers are broken: they acknowledge every slice, and find nothing');
  const sent: Sent[] = [];
  for (const file of copies.slice(1)) sent.push(await send(file, true));
  for (const file of clean) sent.push(await send(file, false));
  for (const one of sent) {
    const said = await wait(`${one.name} is judged`, () => verdictOf(one.upload));
    must(
      said.verdict === 'cleared',
      `${one.name} was ${said.verdict} while nothing could be found: the outage was none`,
    );
  }
  tell(
    `${sent.length} uploads came in meanwhile, ${sent.filter((s) => s.isCopy).length} of them copies: all were cleared`,
  );

  await using db = openPostgres({ url: await set.databaseUrl(), max: 1 });
  const alarms = () =>
    db.query<{ value: Uint8Array }>(
      `SELECT value FROM outbox WHERE topic = 'vigil.alarms' AND published_at IS NOT NULL`,
    );
  const kinds = async () =>
    (await alarms()).map(
      (row) => JSON.parse(new TextDecoder().decode(row.value)) as { kind: string; message: string; at: number },
    );
  const alarm = await wait('the canary raises an alarm', async () =>
    (await kinds()).find((a) => a.kind === 'canary-red' && a.at > brokenAt),
  );
  must(/wrong: it is cleared/.test(alarm.message), `the alarm is about something else: ${alarm.message}`);
  const rounds = canary.rounds().slice(roundsBefore);
  const firstRed = rounds.findIndex((r) => !r.green);
  must(firstRed >= 0 && firstRed < 2, `the canary was not red within two rounds: ${JSON.stringify(rounds)}`);
  tell(`alarm after ${((Date.now() - brokenAt) / 1000).toFixed(1)} s, in round ${firstRed + 1}: ${alarm.message}`);

  if (away) await canary[Symbol.asyncDispose]();
  await set.matchers(false);
  if (away) canary = stack.use(startCanary(set, path.join(folder, 'canary')));
  const repairedAt = Date.now();
  const red = canary.rounds().length;
  await wait('the canary is green again', async () =>
    canary
      .rounds()
      .slice(red)
      .some((r) => r.green),
  );
  tell(`repaired after ${((repairedAt - brokenAt) / 1000).toFixed(1)} s; the canary is green again`);

  const replay = async () => {
    const span = ['--since', new Date(brokenAt).toISOString(), '--until', new Date(repairedAt).toISOString()];
    const args = ['replay', ...span, '--apply', '--restart', '--json'];
    const ended = await vigil(args, { env: { ...process.env, ...set.env }, seconds: 240 });
    if (ended.code !== 0) throw new Error(`vigil replay ended with ${ended.code}: ${ended.stderr.slice(-1500)}`);
    return ended.stdout.trim().split('\n').length - 1;
  };
  const changed = await replay();
  tell(`vigil replay --apply has looked at the gap again: ${changed} uploads are not as they were`);
  const first = new Map<string, string[]>();
  for (const { upload } of sent)
    first.set(
      upload,
      (await takedownsOf(upload)).map((a) => a.id),
    );
  for (const one of sent) {
    const said = (await verdictOf(one.upload))!;
    const actions = await takedownsOf(one.upload);
    const wanted = one.isCopy ? 'taken-down' : 'cleared';
    must(said.verdict === wanted, `${one.name} is ${said.verdict}, not ${wanted}`);
    must(actions.length === (one.isCopy ? 1 : 0), `${one.name} has ${actions.length} takedowns`);
    const late = ((said.decidedAt - said.receivedAt) / 1000).toFixed(1);
    drill.report.push(
      `${one.name.padEnd(14)} ${one.upload}  ${said.verdict}, revision ${said.revision} (${said.cause}), ${late} s after it came; ${actions.length} takedowns`,
    );
  }
  await replay();
  for (const { name, upload } of sent) {
    const again = (await takedownsOf(upload)).map((a) => a.id);
    must(again.join() === first.get(upload)!.join(), `a second replay took ${name} down again: ${again.join()}`);
  }
  tell(drill.wrong.length === 0 ? 'a second replay changed nothing: the gap is closed' : 'the gap is not closed');
  return drill;
}

async function makeAll(ffmpeg: string, folder: string, film: string, [pieces, others]: [number, number]) {
  await makeFilm(ffmpeg, film, REFERENCE_SECONDS);
  const copies: string[] = [];
  for (let n = 0; n < pieces + 1; n++) {
    const file = path.join(folder, `copy-${n}.mkv`);
    await makeCopy(ffmpeg, film, file);
    copies.push(file);
  }
  const clean: string[] = [];
  for (let n = 0; n < others; n++) {
    const file = path.join(folder, `clean-${n}.mkv`);
    await makeFilm(ffmpeg, file, CLIP_SECONDS);
    clean.push(file);
  }
  return { copies, clean };
}

/** `vigil canary` as a process, round after round; a machine that does much else at once is given more time. */
function startCanary(set: DrillSet, folder: string) {
  const env = {
    ...withoutVitest(process.env),
    ...{ VIGIL_CANARY_INSTANCE: set.url, VIGIL_CANARY_KEY: set.key, VIGIL_CANARY_FOLDER: folder },
    VIGIL_CANARY_OBJECTIVE_SECONDS: '30',
  };
  const child = spawn(process.execPath, [VIGIL, 'canary', '--every', '3'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const rounds: { green: boolean }[] = [];
  let half: boolean | null = null;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const said = JSON.parse(line) as { level: string; case?: string };
    const green = said.level === 'info';
    if (said.case === 'copy') half = green;
    if (said.case === 'clean' && half !== null) rounds.push({ green: half && green });
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    rounds: () => [...rounds],
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
