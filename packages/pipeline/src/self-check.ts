import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import {
  CODE_BITS,
  CODE_BYTES,
  type CodeKind,
  type CodeTable,
  ENGINE_VERSION,
  type Fingerprint,
  RADIUS,
  type ReferenceKey,
} from '@vigil/contracts';
import { createTurns } from '@vigil/runtime';
import { isReferenceCode, type SimilarityIndex } from '@vigil/similarity';
import { indexedCodes } from './indexed-codes.ts';
import type { ReferenceCodes } from './reference-codes.ts';

export interface Finding {
  sound: boolean;
  /** It found what it must not: takedowns may rest on that. */
  wrong: boolean;
  message: string;
}

const PREFIX = 'self-check-';
/** References of the check itself; no row knows them, and none is ever matched. */
export const isPlanted = (reference: { id: string }): boolean => reference.id.startsWith(PREFIX);

const EACH = 8;
const PATCH_BITS = 3;
const KINDS = ['picture', 'patch'] as const;

/**
 * Does an index do what it is for? Codes of chance are planted, of both kinds, and looked for by the way that slices are: within the
 * radius they must be found, beyond it they must not, nor may strangers, nor what was taken away. Then a few codes of a reference of the
 * library, as they lie in the store, must be found. What fails once is looked at again with other codes.
 */
export async function checkIndex(index: SimilarityIndex, references: ReferenceCodes | null): Promise<Finding> {
  const first = await lookOnce(index, references);
  return first.sound ? first : lookOnce(index, references);
}

async function lookOnce(index: SimilarityIndex, references: ReferenceCodes | null): Promise<Finding> {
  const turns = createTurns();
  const own: ReferenceKey[] = [];
  for (const known of index.references()) {
    if (turns.due()) await turns.rest();
    if (isPlanted(known)) index.remove(known.id);
    else own.push(known);
  }
  const id = `${PREFIX}${randomUUID()}`;
  const codes = Object.fromEntries(KINDS.map((kind) => [kind, Array.from({ length: EACH }, () => codeOfChance())]));
  index.add({ id, version: 1 }, 0, 'image', fingerprintOf(codes as Record<CodeKind, Uint8Array[]>));
  const problems: string[] = [];
  let wrong = false;
  const found = async (kind: CodeKind, queries: readonly Uint8Array[]) => {
    const hits = await index.searchAsync(kind, joined(queries), 64);
    return queries.map((_, query) => hits.filter((h) => h.query === query));
  };
  const say = (isWrong: boolean, what: string) => {
    wrong ||= isWrong;
    problems.push(what);
  };
  try {
    for (const kind of KINDS) {
      // Of patches wide keys find what agrees in one of eight chunks wholly, and nearly in the next two: three bits always leave such a one.
      const near = kind === 'picture' ? RADIUS : PATCH_BITS;
      const planted = codes[kind]!;
      const missed = (
        await found(
          kind,
          planted.map((c) => flip(c, near)),
        )
      ).filter((hits) => !hits.some((h) => h.origin.reference.id === id && h.distance === near)).length;
      if (missed > 0) say(false, `${missed} of ${EACH} ${kind} codes that were planted are not found`);
      const beyond = (
        await found(
          kind,
          planted.map((c) => flip(c, RADIUS + 1)),
        )
      ).filter((hits) => hits.some((h) => h.origin.reference.id === id)).length;
      if (beyond > 0) say(true, `wrong: ${beyond} of ${EACH} ${kind} codes are found beyond the radius`);
      const strangers = (
        await found(
          kind,
          Array.from({ length: EACH }, () => codeOfChance()),
        )
      ).filter((h) => h.length > 0);
      if (strangers.length > 0) say(true, `wrong: ${strangers.length} of ${EACH} ${kind} codes of chance have hits`);
    }
  } finally {
    index.remove(id);
  }
  for (const kind of KINDS) {
    const still = (await found(kind, codes[kind]!)).flat().some((h) => h.origin.reference.id === id);
    if (still) say(true, `wrong: ${kind} codes are found after they were taken away`);
  }
  const lost = await missingOf(index, own, references);
  if (lost) say(false, lost);
  const message = problems.length === 0 ? 'it finds what it must, and nothing else' : problems.join('; ');
  return { sound: problems.length === 0, wrong, message };
}

/** A few picture codes of one of the references that it holds. Null: found, or there are none to look for. */
async function missingOf(
  index: SimilarityIndex,
  own: readonly ReferenceKey[],
  references: ReferenceCodes | null,
): Promise<string | null> {
  if (!references || own.length === 0) return null;
  const reference = own[randomInt(own.length)]!;
  const stored = await references.slice(reference, 0);
  const codes = stored && indexedCodes(stored);
  const table = codes?.tables.find((t) => t.kind === 'picture');
  if (!codes || !table) return null;
  const fit = Array.from({ length: table.count }, (_, i) => i).filter((i) => isReferenceCode(codes, table, i));
  const some = fit.slice(0, 4).map((i) => table.bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES));
  if (some.length === 0) return null;
  const hits = await index.searchAsync('picture', joined(some), 256);
  const isThere = (query: number) =>
    hits.some((h) => h.query === query && h.distance === 0) || hits.filter((h) => h.query === query).length >= 256;
  const lost = some.filter((_, query) => !isThere(query)).length;
  // Taken away while we looked: then nothing is owed.
  if (lost === 0 || !index.has(reference)) return null;
  return `${lost} of ${some.length} codes of reference ${reference.id} are not found`;
}

const codeOfChance = (): Uint8Array => Uint8Array.from(randomBytes(CODE_BYTES));

function flip(code: Uint8Array, bits: number): Uint8Array {
  const flipped = code.slice();
  const left = Array.from({ length: CODE_BITS }, (_, i) => i);
  for (let n = 0; n < bits; n++) {
    const [bit] = left.splice(randomInt(left.length), 1);
    flipped[bit! >> 3]! ^= 1 << (bit! & 7);
  }
  return flipped;
}

function joined(codes: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(codes.length * CODE_BYTES);
  codes.forEach((code, i) => {
    all.set(code, i * CODE_BYTES);
  });
  return all;
}

function fingerprintOf(codes: Record<CodeKind, Uint8Array[]>): Fingerprint {
  const table = (kind: CodeKind): CodeTable => ({
    kind,
    count: EACH,
    bits: joined(codes[kind]),
    frame: Uint16Array.from({ length: EACH }, () => 0),
    place: Uint16Array.from({ length: 4 * EACH }, (_, i) => (i % 4 > 1 ? 65_535 : 0)),
    turn: new Uint8Array(EACH),
    quality: new Uint8Array(EACH).fill(100),
  });
  return {
    ...{ engine: ENGINE_VERSION, mode: 'exact', sampling: 'still', span: [0, 0], width: 640, height: 360 },
    frames: { time: new Float64Array(1), quality: Uint8Array.of(100), flags: new Uint8Array(1) },
    tables: KINDS.map(table),
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}
