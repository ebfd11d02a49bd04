#!/usr/bin/env node
// Runs the command line on the Node that the project pins, whatever Node found this file.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * Pictures of some megabytes, and frames of 50 to 300 kB, come and go in several threads. glibc keeps a heap for each thread and
 * soon stops giving such blocks back, so that a service that decodes holds 150 MB more than it uses; both are read when a program
 * starts, and only then. V8's young generation is bounded, because every thread has one: what is large lies outside of it. Its old
 * one may grow to three times what a collection left, not by the third that V8 deems enough for a service that rests between: media
 * that pass through count as growth, and each collection looks at all that the modules keep.
 */
const MALLOC = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '262144' };
const V8 = ['--max-semi-space-size=2', '--heap-growing-percent=200'];

/**
 * Modules are compiled once, not at each start of a process and of each of its threads: half of what a short command costs, and
 * half a second of a service's start. Within the project and not in /tmp, as Node would have it, where anybody may write. Where it
 * cannot be written, it is done without.
 */
const COMPILED = fileURLToPath(new URL('../../../node_modules/.cache/compiled', import.meta.url));

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const args = process.argv.slice(2);
const isService = args[0] === 'start';
process.env.NODE_COMPILE_CACHE ??= COMPILED;
const env = isService ? { ...MALLOC, ...process.env } : process.env;
const flags = isService ? V8 : [];

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // In our place, under the same process id: whoever started us sends signals to it. Not to be had on Windows.
  const again = isService && !process.execArgv.includes(V8[0]) && process.platform !== 'win32';
  if (again) process.execve(process.execPath, [process.execPath, ...flags, ...process.execArgv, main, ...args], env);
  module.enableCompileCache(process.env.NODE_COMPILE_CACHE);
  await import(main);
} else {
  const pinned = fileURLToPath(new URL('../../../node_modules/node/bin/node', import.meta.url));
  if (!existsSync(pinned)) {
    process.stderr.write('vigil needs Node 24; run `npm run setup` in the project once, which brings it along.\n');
    process.exit(2);
  }
  const child = spawn(pinned, [...flags, main, ...args], { stdio: 'inherit', env });
  // ^C at a terminal reaches the child by itself.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}
