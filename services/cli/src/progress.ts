import type { RunProgress } from '@vigil/pipeline';
import { Presets, SingleBar } from 'cli-progress';
import { dim, note, say } from './output.ts';

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

/** A bar with the time that is left; a line now and then where nobody watches. What was counted so far goes along. */
export function remaining(title: string, quiet: boolean) {
  const terminal = process.stderr.isTTY && !quiet;
  const format = `${title} [{bar}] {percentage} %, {value} of {total}, {eta_formatted} left  {counts}`;
  const bar = terminal
    ? new SingleBar(
        { format, stream: process.stderr, clearOnComplete: true, hideCursor: true, etaBuffer: 50 },
        Presets.shades_classic,
      )
    : null;
  let [begun, saidAt] = [false, Date.now()];
  return {
    at({ done, all, tally, goesOn }: RunProgress): void {
      const counts = Object.entries(tally)
        .map(([name, n]) => `${n} ${name}`)
        .join(', ');
      if (!begun && goesOn !== null)
        note(
          `goes on with a run begun at ${new Date(goesOn).toISOString()}, ${done} of ${all} done; --restart begins anew`,
        );
      if (bar && !begun) bar.start(all, done, { counts });
      begun = true;
      bar?.update(done, { counts });
      if (bar || quiet || Date.now() - saidAt < 10_000) return;
      saidAt = Date.now();
      note(`${title}: ${done} of ${all}; ${counts}`);
    },
    end(): void {
      bar?.stop();
    },
  };
}
