import { describe } from 'vitest';

const required = (process.env.VIGIL_REQUIRE ?? '').split(',');

/**
 * A suite that needs something that a machine may lack: `describeWith('corpus', existsSync(folder), 'real films', () => ...)`.
 * Where it is lacking the suite is skipped aloud, under a name that carries the marker `[needs corpus]`; where VIGIL_REQUIRE
 * names the need, it runs all the same and fails.
 */
export function describeWith(need: string, available: boolean, name: string, suite: () => void): void {
  describe.skipIf(!available && !required.includes(need))(`${name} [needs ${need}]`, suite);
}
