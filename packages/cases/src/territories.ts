/** Where a claim holds: everywhere, countries (ISO 3166-1, `DE`), or subdivisions of them (ISO 3166-2, `DE-BY`). */
export const EVERYWHERE = '*';

/** The country that a territory is, or lies in. */
export const countryOf = (territory: string): string => territory.split('-', 1)[0]!;

const holdsIn = (outer: ReadonlySet<string>, territory: string): boolean =>
  outer.has(EVERYWHERE) || outer.has(territory) || outer.has(countryOf(territory));

/** Nowhere does the inner list hold where the outer one does not: a subdivision lies in its country. */
export function within(inner: readonly string[], outer: readonly string[]): boolean {
  const wide = new Set(outer);
  return inner.every((territory) => holdsIn(wide, territory));
}

/** Sorted, each once, and without what lies in another one of them. */
export function territoriesOf(lists: readonly (readonly string[])[]): string[] {
  const all = new Set(lists.flat());
  if (all.has(EVERYWHERE)) return [EVERYWHERE];
  return [...all].filter((t) => t === countryOf(t) || !all.has(countryOf(t))).sort();
}
