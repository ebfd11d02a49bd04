// The one door behind every npm script. It runs on whatever Node the user has (18 or newer), so it is plain JavaScript with
// no dependencies; what it starts runs on the Node that package-lock.json pins.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ensureChromium } from './chromium.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { ensureFfmpeg } from './ffmpeg.mjs';
import { alone } from './lock.mjs';
import { ensurePage } from './page.mjs';
import { handOver, NODE, ROOT, SetupError, say, superviseService, withProjectPath } from './process.mjs';
import { ensureWasm } from './wasm.mjs';

const CLI = 'services/cli/bin/vigil.mjs';
const TESTS = 'infra/test/run-tests.ts';

/**
 * allowFallback: whether the old build of ffmpeg will do, because no stranger's media is decoded.
 * browser: whether the page is looked at with one.
 */
const COMMANDS = {
  demo: { run: [CLI, 'demo'], allowFallback: true },
  start: { run: [CLI, 'start'], allowFallback: false },
  test: { run: [TESTS], allowFallback: true, browser: true },
  'test:full': { run: [TESTS], allowFallback: true, browser: true, env: { VIGIL_FULL: '1' } },
  fleet: { run: ['test/network/run-fleet.ts'], allowFallback: false },
  'test:fault': { run: ['test/fault/run.ts'], allowFallback: false },
  drill: { run: ['test/drill/run.ts'], allowFallback: false },
  bench: { run: ['test/bench/run.ts'], allowFallback: true },
  screenshots: { run: ['test/browser/screenshots.ts'], allowFallback: true, browser: true },
  setup: { run: null, allowFallback: true },
};

async function main([name = '', ...args]) {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined)
    throw new SetupError(`usage: node infra/setup/run.mjs <${Object.keys(COMMANDS).join('|')}> [arguments]`);
  const env = await alone(() => prepare(command));
  if (command.run === null) {
    say('Set up. Next: npm run demo, npm test, npx vigil --help.');
    return 0;
  }
  const [entry, ...first] = command.run;
  if (!existsSync(join(ROOT, entry))) throw new SetupError(`${entry} is missing from this copy of Vigil.`);
  const run = name === 'start' ? superviseService : handOver;
  return run(NODE, [entry, ...first, ...args], env);
}

async function prepare({ allowFallback, browser, env: extra }) {
  await ensureDependencies();
  const ffmpeg = await ensureFfmpeg({ allowFallback });
  const env = withProjectPath({ ...process.env, ...extra });
  // What stands on the path is found there by everybody; the rest is handed down by name.
  if (ffmpeg.byName) Object.assign(env, { VIGIL_FFMPEG: ffmpeg.ffmpeg, VIGIL_FFPROBE: ffmpeg.ffprobe });
  await ensureWasm(env);
  await ensurePage(env);
  const chromium = browser ? await ensureChromium(env) : null;
  if (chromium) env.VIGIL_CHROMIUM = chromium;
  return env;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  say(error instanceof SetupError ? `\n${error.message}` : error.stack);
  // Whoever reads the last line of the tests finds one, also where they never began.
  if (process.argv[2]?.startsWith('test')) process.stdout.write('\n0 passed, 1 failed\n');
  process.exitCode = 1;
}
