import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Canary, Result } from './round.ts';
import type { Settings } from './settings.ts';
import type { Vigil } from './vigil.ts';

export interface State {
  rounds: number;
  red: number;
  /** Milliseconds since 1970; null before the first. */
  at: number | null;
  /** When a round was last green. */
  greenAt: number | null;
  results: Result[];
}

export type Say = (level: 'info' | 'error', message: string, more?: Record<string, unknown>) => void;

/** Runs rounds until it is told to stop, or once; says what came of each to whoever can be told. Returns the state at the end. */
export async function watch(
  deps: { settings: Settings; canary: Canary; vigil: Pick<Vigil, 'say'>; say: Say; signal: AbortSignal },
  { once, state = newState() }: { once: boolean; state?: State },
): Promise<State> {
  const { settings, canary, signal } = deps;
  while (!signal.aborted) {
    const startedAt = Date.now();
    const wasGreen = state.at === null ? null : isGreen(state);
    try {
      state.results = await canary.round(signal);
    } catch (error) {
      if (signal.aborted) break;
      throw error;
    }
    state.rounds++;
    state.at = Date.now();
    if (isGreen(state)) state.greenAt = state.at;
    else state.red++;
    await tell(deps, { state, wasGreen, once });
    if (once) break;
    const left = settings.everySeconds * 1000 - (Date.now() - startedAt);
    await sleep(Math.max(0, left), null, { signal }).catch(() => undefined);
  }
  return state;
}

export const newState = (): State => ({ rounds: 0, red: 0, at: null, greenAt: null, results: [] });
export const isGreen = ({ results }: State): boolean => results.length > 0 && results.every((r) => r.green);

async function tell(
  { settings, vigil, say, signal }: Parameters<typeof watch>[0],
  { state, wasGreen, once }: { state: State; wasGreen: boolean | null; once: boolean },
) {
  const { name, everySeconds, heartbeat, webhook } = settings;
  for (const r of state.results) {
    const took = r.ms === null ? '' : ` after ${(r.ms / 1000).toFixed(1)} s`;
    const message = r.green ? `${r.case}: right${took} (${r.what})` : `${r.case}: ${r.why}${r.what && ` (${r.what})`}`;
    say(r.green ? 'info' : 'error', message, { case: r.case, upload: r.upload, ms: r.ms && Math.round(r.ms) });
  }
  const green = isGreen(state);
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) say('error', `${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const results = state.results.map(({ what: _, why, ...r }) => ({ ...r, why: why?.slice(0, 1000) ?? null }));
  await attempt('Vigil could not be told', () => vigil.say({ canary: name, everySeconds, once, results }));
  if (webhook && green !== (wasGreen ?? true)) {
    const body = JSON.stringify({ canary: name, instance: settings.instance, green, results: state.results });
    await attempt('the webhook could not be told', () => call(webhook, { method: 'POST', body, headers: JSON_TYPE }));
  }
  if (heartbeat && green) await attempt('the heartbeat could not be sent', () => call(heartbeat, {}));
}

const JSON_TYPE = { 'content-type': 'application/json' };

async function call(url: string, init: RequestInit): Promise<void> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`it answered ${response.status}`);
}

/** Ready while the last round is green and not too long ago. */
export function isReady(state: State, everySeconds: number, now: number): boolean {
  return isGreen(state) && now - (state.at ?? 0) < 3 * everySeconds * 1000;
}

/** Its own address: health for whoever supervises it, metrics in Prometheus' text format. */
export async function openDoor(settings: Settings, state: State): Promise<{ url: string; close(): Promise<void> }> {
  const { host, port, everySeconds } = settings;
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string) =>
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    const ready = isReady(state, everySeconds, Date.now());
    const route = (request.url ?? '/').split('?')[0];
    if (route === '/metrics') return answer(200, 'text/plain; version=0.0.4', metricsOf(state, ready));
    if (route === '/health/live') return answer(200, 'application/json', '{"status":"alive"}');
    if (route === '/health/ready' || route === '/health')
      return answer(ready ? 200 : 503, 'application/json', JSON.stringify({ ready, ...state }));
    return answer(404, 'application/json', '{"title":"there are /health and /metrics here"}');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port ?? 0, host, resolve);
  });
  const { port: at } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${at}`,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      return closed;
    },
  };
}

export function metricsOf(state: State, ready: boolean): string {
  const seconds = (ms: number | null) => (ms === null ? 0 : ms / 1000);
  const lines = [
    '# HELP vigil_canary_ready Whether the last round was right and in time, and is not old.',
    '# TYPE vigil_canary_ready gauge',
    `vigil_canary_ready ${ready ? 1 : 0}`,
    '# HELP vigil_canary_green Whether the last round of this case was right and in time.',
    '# TYPE vigil_canary_green gauge',
    ...state.results.map((r) => `vigil_canary_green{case="${r.case}"} ${r.green ? 1 : 0}`),
    '# HELP vigil_canary_run_timestamp_seconds When the last round of this case ended.',
    '# TYPE vigil_canary_run_timestamp_seconds gauge',
    ...state.results.map((r) => `vigil_canary_run_timestamp_seconds{case="${r.case}"} ${seconds(state.at)}`),
    '# HELP vigil_canary_seconds From the answer to the upload until what had to be said was said.',
    '# TYPE vigil_canary_seconds gauge',
    ...state.results.flatMap((r) => (r.ms === null ? [] : [`vigil_canary_seconds{case="${r.case}"} ${seconds(r.ms)}`])),
    '# HELP vigil_canary_rounds_total Rounds so far.',
    '# TYPE vigil_canary_rounds_total counter',
    `vigil_canary_rounds_total ${state.rounds}`,
    '# HELP vigil_canary_red_rounds_total Rounds so far that were not green.',
    '# TYPE vigil_canary_red_rounds_total counter',
    `vigil_canary_red_rounds_total ${state.red}`,
    '# HELP vigil_canary_last_green_timestamp_seconds When a round was last green.',
    '# TYPE vigil_canary_last_green_timestamp_seconds gauge',
    `vigil_canary_last_green_timestamp_seconds ${seconds(state.greenAt)}`,
  ];
  return `${lines.join('\n')}\n`;
}
