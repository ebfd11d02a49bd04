import { Presets, SingleBar } from 'cli-progress';
import { dim, say } from './output.ts';

/** A bar for people, a line for logs. `at` takes 0..1. */
export function progress(title: string): { at(part: number): void; end(): void } {
  if (!process.stdout.isTTY) {
    say(dim(`${title} ...`));
    return { at: () => undefined, end: () => undefined };
  }
  const bar = new SingleBar(
    { format: `${title} [{bar}] {percentage} %`, clearOnComplete: true, hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(100, 0);
  return { at: (part) => bar.update(Math.round(part * 100)), end: () => bar.stop() };
}
