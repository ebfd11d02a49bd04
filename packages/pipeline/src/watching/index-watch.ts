import type { Clock, Logger } from '@vigil/runtime';
import type { Environment } from '../environment.ts';
import type { Library } from '../library.ts';
import type { ReferenceCodes } from '../reference-codes.ts';
import { checkIndex, type Finding } from '../self-check.ts';
import type { Witnesses } from './witnesses.ts';

const EVERY_MS = 60_000;
/** Between leaving the rotation and the end of the process, for its siblings to take over what it owned. */
const LEAVE_MS = 2000;

/** The index finds what it must not, or does not find what it must: whoever supervises this process starts another one. */
export class IndexUnsound extends Error {
  override name = 'IndexUnsound';
  readonly retriable = false;
}

/**
 * Checks a matcher's index once a minute. One that fails takes itself out of rotation: it is not ready, nothing more is matched with it,
 * an alarm is raised, its snapshot is thrown away, and its process ends, so that the next one reads the library from the log.
 */
export function watchIndex(deps: {
  library: Library;
  references: ReferenceCodes;
  witnesses: Witnesses;
  environment: Pick<Environment, 'add'>;
  name: string;
  clock: Clock;
  logger: Logger;
}) {
  const { library, references, witnesses, environment, name, clock, logger } = deps;
  const out = new AbortController();
  let told = false;
  let unsound: string | null = null;
  environment.add('index', () => {
    if (unsound !== null) throw new Error(`the index is unsound: ${unsound}`);
  });

  async function look(): Promise<void> {
    const finding: Finding = await checkIndex(library.index, references);
    if (finding.sound) {
      if (!told) await witnesses.index(name, finding);
      told = true;
      return;
    }
    unsound = finding.message;
    out.abort(new Error('the index is unsound'));
    logger.error({ index: name, wrong: finding.wrong, finding: finding.message }, 'the index is unsound');
    await library.distrust().catch((error: unknown) => logger.warn({ error }, 'the snapshot could not be thrown away'));
    await witnesses.index(name, finding);
    throw new IndexUnsound(`the index is unsound: ${finding.message}`);
  }

  return {
    /** Aborts when nothing more is to be matched. */
    out: out.signal,
    /** Before anything is matched. @throws IndexUnsound */
    look,
    async run(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        await Promise.allSettled([clock.sleep(EVERY_MS, signal)]);
        if (signal.aborted) return;
        try {
          await look();
        } catch (error) {
          if (error instanceof IndexUnsound) await Promise.allSettled([clock.sleep(LEAVE_MS, signal)]);
          throw error;
        }
      }
    },
  };
}
