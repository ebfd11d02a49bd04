import { createCanary } from './round.ts';
import { CannotRun, readSettings } from './settings.ts';
import { createVigil } from './vigil.ts';
import { isGreen, newState, openDoor, type Say, watch } from './watch.ts';

/**
 * A process of its own that shares nothing with what it watches. With --once: one round, then 0 when it was green, 1 when it was not,
 * 2 when it could not run. With --while-stdin it stops at the end of its standard input.
 */
const once = process.argv.includes('--once');
const say: Say = (level, message, more = {}) => {
  const line = once
    ? `${level === 'info' ? 'green' : 'RED  '}  ${message}`
    : JSON.stringify({ level, time: new Date().toISOString(), service: 'canary', message, ...more });
  process.stdout.write(`${line}\n`);
};

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  const listener = () => {
    stop.abort();
    // Within a second it is the same one, passed on once more by who started us; from then on it ends us at once.
    setTimeout(() => process.off(signal, listener), 1000).unref();
  };
  process.on(signal, listener);
}
// Who started us holds the other end of it, and lets it go however they end: a second canary would come with their next start.
if (process.argv.includes('--while-stdin')) {
  for (const event of ['end', 'error']) process.stdin.once(event, () => stop.abort());
  process.stdin.resume();
  // A file in its place has none of it, and an end of its own.
  process.stdin.unref?.();
}

try {
  const settings = readSettings(process.env);
  const vigil = createVigil(settings);
  const state = newState();
  const door = settings.port === null || once ? null : await openDoor(settings, state);
  if (door) say('info', `health and metrics at ${door.url}`);
  const deps = { settings, canary: createCanary(settings, vigil), vigil, say, signal: stop.signal };
  await watch(deps, { once, state });
  await door?.close();
  if (once) process.exitCode = isGreen(state) ? 0 : 1;
} catch (error) {
  if (!(error instanceof CannotRun)) throw error;
  process.stderr.write(`vigil canary: ${error.message}\n`);
  process.exitCode = 2;
}
