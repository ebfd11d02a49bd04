// npm run bench -- <name> [options]: prints one line of JSON, so that runs can be kept and compared.
import { parseArgs } from 'node:util';

interface Bench {
  bench(args: string[]): Promise<Record<string, unknown>>;
}

const BENCHES: Record<string, () => Promise<Bench>> = {
  accuracy: () => import('./accuracy.ts'),
  api: () => import('./api.ts'),
  console: () => import('./console.ts'),
  images: () => import('./images.ts'),
  index: () => import('./index.ts'),
  library: () => import('./library.ts'),
  'look-back': () => import('./look-back.ts'),
  latency: () => import('./latency.ts'),
  pipeline: () => import('./pipeline.ts'),
  replay: () => import('./replay.ts'),
  restart: () => import('./restart.ts'),
  video: () => import('./video.ts'),
};

const [name = '', ...args] = process.argv.slice(2);
const load = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
/** Disposing of what broke often breaks as well, and hides what came first. */
const innermost = (error: unknown): unknown => (error instanceof SuppressedError ? innermost(error.suppressed) : error);

if (load) {
  const { bench } = await load();
  const result = await bench(args).catch((error: unknown) => Promise.reject(innermost(error)));
  const help = parseArgs({ args, strict: false, options: { help: { type: 'boolean' } } }).values.help;
  process.stdout.write(help && typeof result.help === 'string' ? `${result.help}\n` : `${JSON.stringify(result)}\n`);
} else {
  process.stderr.write(`usage: npm run bench -- <${Object.keys(BENCHES).join('|')}> [options, or --help]\n`);
  process.exitCode = 2;
}
