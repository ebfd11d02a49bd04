import { type Evidence, type Fingerprint, Policy, type ReferenceKey } from '@vigil/contracts';
import type { Overlap } from '@vigil/database';
import { alignAll, decide, searches } from '@vigil/decision';
import type { SimilarityIndex } from '@vigil/similarity';
import type { ReferenceCodes } from './reference-codes.ts';
import { confirmAll } from './stages/confirm-proposal.ts';

/** Pictures without thumbnails (hash lists) are the same picture within this many bits. */
const SAME_HASH = 10;
const HITS_PER_CODE = 16;

/**
 * What other references hold of one slice of a newcomer: stretches that would be a manifest copy if the newcomer were an upload.
 * Whole pictures only; mirrored and cropped overlaps are not looked for.
 */
export async function overlapsOf(
  own: ReferenceKey,
  codes: Fingerprint,
  index: Pick<SimilarityIndex, 'searchAsync'>,
  references: ReferenceCodes,
): Promise<Overlap[]> {
  const pictures = searches(codes).filter((s) => s.kind === 'picture');
  const searched = await Promise.all(
    pictures.map(async (s) => {
      const hits = await index.searchAsync(s.kind, s.queries.bits, HITS_PER_CODE);
      return { ...s, hits: hits.filter((hit) => hit.origin.reference.id !== own.id) };
    }),
  );
  const found = searched.filter((s) => s.hits.length > 0);
  if (found.length === 0) return [];
  const evidence = await confirmAll(codes, { alignments: alignAll(codes, found), span: codes.span }, references);
  const kind = codes.sampling === 'still' ? 'image' : 'video';
  const about = { account: null, kind, duration: codes.span[1] - codes.span[0] } as const;
  return evidence
    .filter((e) => decide(e, CAUTIOUS, about).manifest || isSameHash(e))
    .flatMap((e) => e.segments.map((s) => ({ other: e.reference, span: s.upload, otherSpan: s.reference })));
}

const CAUTIOUS = Policy.parse({});

const isSameHash = (e: Evidence): boolean =>
  e.referenceMedia === 'image' &&
  e.segments.some((s) => s.correlation === undefined && s.upload[1] === 0 && s.distance.worst <= SAME_HASH);
