import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const BIN = join(ROOT, 'node_modules', '.bin');
export const NODE = join(BIN, 'node');

/** What set-up says goes to standard error, so that the standard output of what it starts stays clean. */
export const say = (text) => process.stderr.write(`${text}\n`);

/** A failure whose message is meant for the person at the keyboard: no stack is printed for it. */
export class SetupError extends Error {}

/** The environment with the project's own programs, Node 24 among them, first on the path. */
export function withProjectPath(env) {
  return { ...env, PATH: [BIN, pathOutsideProject(env)].filter(Boolean).join(delimiter) };
}

/**
 * npm puts node_modules/.bin first on the path of what it starts; npm itself must not run on the Node that it is about to
 * replace.
 */
export function pathOutsideProject(env) {
  const outside = (folder) => folder !== '' && !/[\\/]node_modules[\\/]\.bin[\\/]?$/.test(folder);
  return (env.PATH ?? '').split(delimiter).filter(outside).join(delimiter);
}

/** Where a program is that stands on the path. */
export function onThePath(program, env) {
  const folders = pathOutsideProject(env).split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** The one that says why, of what a failed program wrote. */
export const lastLine = (text) => text.trim().split('\n').at(-1);

/**
 * Runs a program to its end and keeps what it wrote (the last 64 kB of each stream). Never throws: a program that cannot
 * be started has code 127, one that outlives `limitMs` is killed and has code 124.
 */
export function capture(command, args, { limitMs, ...options }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        out[name] = (out[name] + text).slice(-65_536);
      });
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      resolve({ ...out, code: 127, stderr: out.stderr + error.message });
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ...out, code: late ? 124 : exitCode(code, signal) });
    });
  });
}

/** Hands over to a program: it has our terminal and gets our signals; resolves with its exit code (128 + n for signal n). */
export async function handOver(command, args, env) {
  return (await handedOver(command, args, env)).code;
}

/**
 * The same; resolves also with whether we were `asked` to stop meanwhile.
 * ^C at a terminal reaches the whole foreground group by itself, so it is passed on only where there is no terminal.
 */
function handedOver(command, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, cwd: ROOT, stdio: 'inherit' });
    let asked = false;
    const pass = {
      SIGTERM: () => child.kill('SIGTERM'),
      SIGHUP: () => child.kill('SIGHUP'),
      SIGINT: () => process.stdin.isTTY || child.kill('SIGINT'),
    };
    const handlers = Object.entries(pass).map(([signal, passOn]) => {
      const handler = () => {
        asked = true;
        passOn();
      };
      process.on(signal, handler);
      return [signal, handler];
    });
    child.on('error', (error) => reject(new SetupError(`could not start ${command}: ${error.message}`)));
    child.on('close', (code, signal) => {
      for (const [name, handler] of handlers) process.off(name, handler);
      resolve({ code: exitCode(code, signal), asked });
    });
  });
}

/** From a failure to the next start; what fails more often than that in a row is left alone. */
const PAUSES_MS = [1000, 5000, 15_000];
/** What ran for so long had started well. */
const WELL_MS = 60_000;

/**
 * Hands over to a service, and again when it had run well and ended by a failure of its own (code 1): a store that went away for
 * good, an index that proved unsound. What cannot be started at all ends with its code, at once; so does what was asked to stop,
 * however it stopped: a drain that failed or took too long is code 1 as well.
 */
export async function superviseService(command, args, env, { wellMs = WELL_MS, pauses = PAUSES_MS } = {}) {
  for (let failures = 0; ; ) {
    const startedAt = Date.now();
    const { code, asked } = await handedOver(command, args, env);
    const ranWell = Date.now() - startedAt > wellMs;
    if (asked || code !== 1 || (!ranWell && failures === 0)) return code;
    failures = ranWell ? 1 : failures + 1;
    if (failures > pauses.length) return code;
    const pause = pauses[failures - 1];
    say(`It ended with 1; it is started again in ${pause / 1000} s.`);
    if (await stopsWithin(pause)) return 0;
  }
}

/** Whether somebody asks us to stop meanwhile. */
function stopsWithin(ms) {
  return new Promise((resolve) => {
    const signals = ['SIGTERM', 'SIGHUP', 'SIGINT'];
    const end = (asked) => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, stop);
      resolve(asked);
    };
    const stop = () => end(true);
    const timer = setTimeout(end, ms, false);
    for (const signal of signals) process.on(signal, stop);
  });
}

function exitCode(code, signal) {
  return code ?? 128 + (constants.signals[signal] ?? 0);
}
