import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, SetupError, say } from './process.mjs';

const LOCK = join(ROOT, '.vigil-setup.lock');
const WAIT_LIMIT_MS = 20 * 60_000;

/** Runs `work` while no other set-up of this folder runs: `npm run demo` and `npm test` may be started side by side. */
export async function alone(work) {
  const until = Date.now() + WAIT_LIMIT_MS;
  let told = false;
  while (!take()) {
    if (Date.now() > until)
      throw new SetupError(`Another set-up has held ${LOCK} for 20 minutes. End it, or remove that file.`);
    if (!told) say('Setting up: waiting for another set-up of this folder ...');
    told = true;
    await sleep(500);
  }
  try {
    return await work();
  } finally {
    rmSync(LOCK, { force: true });
  }
}

function take() {
  try {
    const file = openSync(LOCK, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    if (holderIsGone()) rmSync(LOCK, { force: true });
    return false;
  }
}

function holderIsGone() {
  try {
    const pid = Number(readFileSync(LOCK, 'utf8'));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}
