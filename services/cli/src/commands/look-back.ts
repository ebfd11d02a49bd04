import { liveSince, markLookedBack, newReferences } from '@vigil/database';
import { loadNewOnes, lookBack as lookedBack, NothingMoves } from '@vigil/pipeline';
import { dim, note, say, UsageError } from '../output.ts';
import { beside, momentOf } from './again.ts';
import { tell } from './replay.ts';

/** `vigil look-back`: compare new references with what was uploaded before them. */
export async function lookBack(options: {
  reference?: string[];
  since?: string;
  apply?: boolean;
  restart?: boolean;
  json?: boolean;
  data?: string;
}): Promise<void> {
  const { reference, apply = false, restart = false, json = false } = options;
  const since = options.since === undefined ? undefined : momentOf('--since', options.since);
  const title = apply ? 'looking back' : 'looking back (nothing is sent)';
  await beside(
    options.data,
    { withLibrary: false, title, quiet: json },
    async ({ lookBack: deps }, signal, onProgress) => {
      const db = deps.database.postgres;
      let left =
        reference || since !== undefined
          ? await liveSince(db, { ids: reference, since })
          : await newReferences(db, 100_000);
      const missing = (reference ?? []).filter((id) => !left.some((r) => r.id === id));
      if (missing.length > 0)
        throw new UsageError(`no live reference ${missing.join(', ')}: \`vigil reference list\` lists them`);
      if (left.length === 0) {
        if (json) say(JSON.stringify({ summary: { references: 0 } }));
        else note('every live reference was compared with what was uploaded before it; --since looks again');
        return;
      }
      while (left.length > 0) {
        using newOnes = await loadNewOnes(left, deps.references);
        const batch = newOnes.references;
        if (!json) note(dim(`${batch.length} references with ${newOnes.sieve.codes} picture codes`));
        const run = await lookedBack(deps, newOnes, { apply, restart }, signal, onProgress).catch((error: unknown) => {
          throw error instanceof NothingMoves ? new UsageError(error.message) : error;
        });
        if (apply) await markLookedBack(db, batch);
        await tell(db, run, json);
        left = left.slice(batch.length);
      }
    },
  );
}
