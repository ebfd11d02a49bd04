import { closeSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, SetupError, say } from './process.mjs';

const LOCK = join(ROOT, '.vigil-setup.lock');
const WAIT_LIMIT_MS = 20 * 60_000;
/** Between the making of a lock and its owner's number in it lies an instant: an empty one this old is nobody's. */
const EMPTY_MS = 5000;

/** Runs `work` while no other set-up of this folder runs: `npm run demo` and `npm test` may be started side by side. */
export async function alone(work) {
  const waiting = () => say('Setting up: waiting for another set-up of this folder ...');
  const release = await takeLock(LOCK, { limitMs: WAIT_LIMIT_MS, waiting });
  try {
    return await work();
  } finally {
    release();
  }
}

/** Those of this process. */
const held = new Set();

/**
 * Takes a lock that is a file with its owner's process id, and waits `limitMs` at most while a living process has it; calls
 * `waiting` when it has to. Resolves with what gives it back. @throws SetupError when the wait is over
 */
export async function takeLock(path, { limitMs, waiting = () => undefined }) {
  const file = resolve(path);
  const until = Date.now() + limitMs;
  for (let told = false; !take(file); told = true) {
    if (!told) waiting();
    else if (Date.now() > until)
      throw new SetupError(
        `Another process has held ${file} for ${Math.ceil(limitMs / 60_000)} minutes. End it, or remove that file.`,
      );
    await sleep(500);
  }
  held.add(file);
  return () => {
    held.delete(file);
    rmSync(file, { force: true });
  };
}

function take(file) {
  try {
    const lock = openSync(file, 'wx');
    try {
      writeSync(lock, String(process.pid));
    } catch (error) {
      // A full disk makes files, and has no room for what is in them.
      rmSync(file, { force: true });
      throw error;
    } finally {
      closeSync(lock);
    }
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (holderIsGone(file)) rmSync(file, { force: true });
    return false;
  }
}

function holderIsGone(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // Of an earlier process with our number, as each new container counts from one again.
    if (pid === process.pid) return !held.has(file);
    if (!(pid > 0)) return Date.now() - statSync(file).mtimeMs > EMPTY_MS;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
