import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Altered, CLIP_SECONDS, makeCopy, makeFilm, REFERENCE_SECONDS, sweepHalves } from './media.ts';
import { CannotRun, type Settings } from './settings.ts';
import { Refused, type Upload, type Vigil } from './vigil.ts';

/** Its own holder's name, by which Vigil leaves its cases out of reports, strikes, brakes and exports. */
export const HOLDER = 'vigil-canary';
const TOPIC = 'vigil.takedowns';
const POLL_MS = 100;
/** What is late is waited for this many times as long, so that late and missing can be told apart. */
const PATIENCE = 6;
const LIVE_SECONDS = 120;
/** How far the place in the reference may lie from where the copy was cut. */
const PLACE_SECONDS = 1.5;

export interface Result {
  case: 'copy' | 'clean';
  green: boolean;
  /** Of one that is not green; begins with: late, missing, wrong, not judged, or not tried. */
  why: string | null;
  upload: string | null;
  /** From the answer to the upload until its end. */
  ms: number | null;
  /** What was sent. */
  what: string;
}

export interface Canary {
  /** An altered copy that must be taken down in time, and a clean clip that must be cleared. Never throws but when it is stopped. */
  round(signal: AbortSignal): Promise<Result[]>;
}

export function createCanary(settings: Settings, vigil: Vigil): Canary {
  const { folder, ffmpeg, objectiveSeconds } = settings;
  const master = path.join(folder, 'reference.mkv');
  let reference: string | null = null;
  /** Of the round before: what was found of it has been acted on by now. */
  let old: string[] = [];

  /** The id of its reference, which is live. @throws why there is none */
  async function protect(signal: AbortSignal): Promise<string> {
    await mkdir(folder, { recursive: true });
    await sweepHalves(folder);
    if (!existsSync(master)) await makeFilm(ffmpeg, master, REFERENCE_SECONDS);
    const until = Date.now() + LIVE_SECONDS * 1000;
    for (let state = 'unknown'; Date.now() < until; await sleep(POLL_MS, null, { signal })) {
      // The same bytes of the same holder are the same reference: said again, nothing happens.
      reference ??= (await vigil.register('canary.mkv', master, HOLDER)).reference.id;
      const found = await vigil.reference(reference).catch((error: unknown) => {
        if (!(error instanceof Refused && error.status === 404)) throw error;
        reference = null;
        return { state: 'unknown', reason: null };
      });
      state = found.state;
      if (state === 'live') return reference!;
      if (state === 'rejected') {
        await rm(master, { force: true });
        reference = null;
        throw new CannotRun(`its reference was rejected (${found.reason}); the next round makes another one`);
      }
      if (state === 'disabled') reference = null;
    }
    throw new CannotRun(`its reference is not live within ${LIVE_SECONDS} s`);
  }

  async function send(kind: Result['case'], file: string): Promise<{ upload: string; sentAt: number }> {
    const account = `vigil-canary-${new Date().toISOString().slice(0, 10)}`;
    const { upload } = await vigil.upload(`canary-${kind}.mkv`, file, account);
    old.push(upload);
    return { upload, sentAt: performance.now() };
  }

  /** Waits for what must be said of an upload. Null: it was; else what is wrong with it, or that nothing came. */
  async function expect(
    upload: string,
    sentAt: number,
    look: (found: Upload) => Promise<'not yet' | string | null>,
    signal: AbortSignal,
  ): Promise<{ why: string | null; ms: number | null }> {
    let last = 'nothing is said of it';
    for (;;) {
      const found = await vigil.look(upload);
      const ms = performance.now() - sentAt;
      if (found?.verdict) {
        const said = await look(found);
        if (said === null) {
          const late = ms > objectiveSeconds * 1000;
          return { ms, why: late ? `late: after ${(ms / 1000).toFixed(1)} s, of ${objectiveSeconds}` : null };
        }
        // Wrong is what stops takedowns: a rejection says nothing of what is found.
        if (said !== 'not yet')
          return { ms, why: `${found.verdict.verdict === 'rejected' ? 'not judged' : 'wrong'}: ${said}` };
        last = `${found.verdict.verdict}, but no takedown on ${TOPIC}`;
      }
      if (ms > PATIENCE * objectiveSeconds * 1000)
        return { ms: null, why: `missing: ${last} after ${(ms / 1000).toFixed(0)} s` };
      await sleep(POLL_MS, null, { signal });
    }
  }

  async function tryCopy(signal: AbortSignal): Promise<Omit<Result, 'green'>> {
    const file = path.join(folder, 'copy.mkv');
    const own = await protect(signal);
    const { how, from } = await makeCopy(ffmpeg, master, file);
    const { upload, sentAt } = await send('copy', file);
    const look = async (found: Upload) => {
      const { verdict, decisions } = found.verdict!;
      if (verdict !== 'taken-down') return wordsOf(found);
      const decision = decisions.find((d) => d.evidence.reference.id === own);
      const astray = decision ? misplaced(decision.evidence.segments, { how, from }) : 'of another reference';
      if (astray) return `it is taken down, ${astray}`;
      const takedowns = (await vigil.actions(upload)).filter((a) => a.action === 'takedown');
      if (takedowns.length > 1) return `there are ${takedowns.length} takedowns of it`;
      const published = (await vigil.trace(upload)).some((s) => s.stage === 'publish' && s.outcome === TOPIC);
      return takedowns.length === 1 && published ? null : 'not yet';
    };
    return { case: 'copy', upload, what: how, ...(await expect(upload, sentAt, look, signal)) };
  }

  async function tryClean(signal: AbortSignal): Promise<Omit<Result, 'green'>> {
    const file = path.join(folder, 'clean.mkv');
    await mkdir(folder, { recursive: true });
    await makeFilm(ffmpeg, file, CLIP_SECONDS);
    const { upload, sentAt } = await send('clean', file);
    const look = async (found: Upload) => {
      if (found.verdict!.verdict !== 'cleared' || found.mediaState !== 'shown') return wordsOf(found);
      return (await vigil.actions(upload)).length > 0 ? 'it was taken down, and is shown again' : null;
    };
    return { case: 'clean', upload, what: 'a film of chance', ...(await expect(upload, sentAt, look, signal)) };
  }

  return {
    async round(signal) {
      const gone = old;
      old = [];
      // What cannot be taken back now is tried again; it does no harm but to take room.
      for (const upload of gone) await vigil.takeBack(upload).catch(() => void old.push(upload));
      old = old.slice(-100);
      const results: Result[] = [];
      for (const [kind, attempt] of [
        ['copy', tryCopy],
        ['clean', tryClean],
      ] as const) {
        try {
          const result = await attempt(signal);
          results.push({ ...result, green: result.why === null });
        } catch (error) {
          signal.throwIfAborted();
          const why = `not tried: ${error instanceof Error ? error.message : String(error)}`;
          results.push({ case: kind, green: false, why, upload: null, ms: null, what: '' });
        }
      }
      return results;
    },
  };
}

const wordsOf = ({ verdict }: Upload): string => {
  const rules = verdict!.decisions.map((d) => `${d.action} by ${d.rule}`).join(', ');
  return `it is ${verdict!.verdict}${verdict!.reason ? ` (${verdict!.reason})` : ''}${rules ? `: ${rules}` : ''}`;
};

/** Is what was found where the copy was cut from, and most of it? */
function misplaced(
  segments: { upload: [number, number]; reference: [number, number] }[],
  { from }: Altered,
): string | null {
  const found = segments.reduce((sum, s) => sum + s.upload[1] - s.upload[0], 0);
  if (found < CLIP_SECONDS / 2) return `but only ${found.toFixed(1)} s of ${CLIP_SECONDS} were found`;
  const first = segments[0]!;
  const astray = first.reference[0] - first.upload[0] - from;
  if (Math.abs(astray) > PLACE_SECONDS) return `but found ${astray.toFixed(1)} s from where it was cut`;
  return null;
}
