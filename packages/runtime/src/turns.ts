import { setImmediate } from 'node:timers/promises';

/** Work in one piece for so long keeps nobody waiting that a person would notice. */
const TURN_MS = 8;

/**
 * For long loops: whoever else works in this process has their turn in between.
 * @returns to be called in each round, and waited for where it gives something: `if (due()) await rest()`
 */
export function createTurns(): { due(): boolean; rest(): Promise<void> } {
  let began = performance.now();
  return {
    due: () => performance.now() - began > TURN_MS,
    async rest() {
      await setImmediate();
      began = performance.now();
    },
  };
}
