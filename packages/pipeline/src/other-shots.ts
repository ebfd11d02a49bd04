import { type Alignment, type Fingerprint, type ReferenceKey, referenceKey, SLICE_SECONDS } from '@vigil/contracts';
import { createTurns } from '@vigil/runtime';
import { createIndex, type SimilarityIndex } from '@vigil/similarity';
import { indexedCodes } from './indexed-codes.ts';
import type { ReferenceCodes } from './reference-codes.ts';
import { searchSlice } from './stages/match-slice.ts';

/** Codes of references, and a search of one film alone for whoever has found a part of it. */
export interface Films extends Pick<ReferenceCodes, 'between'> {
  /** What of a slice aligns with one film, within WITHIN seconds of a place in it: as the index of all films would say it. */
  otherShots(upload: Fingerprint, reference: ReferenceKey, near: number): Promise<Alignment[]>;
}

/** A quarter of an hour before a place, and after it: 60 slices, some .3 s of CPU to index. */
const WITHIN = 900;
/** Films held at once: slices of one upload come one after another. */
const MOST_FILMS = 4;

export function withOtherShots(references: Pick<ReferenceCodes, 'between'>): Films {
  let index: SimilarityIndex | null = null;
  const held = new Map<string, { reference: ReferenceKey; near: number }>();
  let line: Promise<unknown> = Promise.resolve();

  function drop(from: SimilarityIndex, key: string): void {
    const known = held.get(key);
    if (known) from.remove(known.reference.id, known.reference.version);
    held.delete(key);
  }

  /** Held, and last in the line of those that give way. */
  async function hold(into: SimilarityIndex, reference: ReferenceKey, near: number): Promise<void> {
    const key = referenceKey(reference);
    const known = held.get(key);
    if (known && Math.abs(known.near - near) <= WITHIN / 2) {
      held.delete(key);
      held.set(key, known);
      return;
    }
    drop(into, key);
    if (held.size === MOST_FILMS) drop(into, held.keys().next().value!);
    const slices = await references.between(reference, near - WITHIN, near + WITHIN);
    const turns = createTurns();
    for (const slice of slices) {
      into.add(reference, Math.floor(slice.span[0] / SLICE_SECONDS), 'video', indexedCodes(slice));
      if (turns.due()) await turns.rest();
    }
    held.set(key, { reference, near });
  }

  async function search(upload: Fingerprint, reference: ReferenceKey, near: number): Promise<Alignment[]> {
    index ??= createIndex();
    const all = index;
    await hold(all, reference, near);
    const own = referenceKey(reference);
    return searchSlice(
      {
        searchAsync: async (kind, bits, limit) =>
          all.search(kind, bits, limit).filter(({ origin }) => referenceKey(origin.reference) === own),
      },
      upload,
    );
  }

  return {
    between: references.between,
    otherShots(upload, reference, near) {
      // One after another, lest one takes out what another searches.
      const mine = line.then(() => search(upload, reference, near));
      line = mine.catch(() => undefined);
      return mine;
    },
  };
}
