import { type BlobRange, type BlobStat, BlobStoreError } from './blob-store.ts';

/** What S3 says of an object in an answer's headers. */
interface Described {
  ETag?: string | undefined;
  VersionId?: string | undefined;
  LastModified?: Date | undefined;
  ContentType?: string | undefined;
  ContentRange?: string | undefined;
}

/** The version's id where the bucket keeps versions, else the ETag without its quotes: as S3's own notifications say it. */
export function versionOf({ VersionId, ETag }: Described, what: string): string {
  if (VersionId && VersionId !== 'null') return VersionId;
  if (!ETag) throw new BlobStoreError('not-allowed', `${what}: the store gives neither a version nor an ETag`);
  return ETag.replace(/^"|"$/g, '');
}

export function statOf(answer: Described, size: number): BlobStat {
  // What S3 says of an object that was put without a type.
  const contentType = answer.ContentType === 'binary/octet-stream' ? null : (answer.ContentType ?? null);
  return { size, version: versionOf(answer, 'object'), modifiedAt: answer.LastModified?.getTime() ?? 0, contentType };
}

/** With an answer that came to a question for a range; null when nothing is. */
export function whatIsWrong(
  answer: Described,
  range: BlobRange | undefined,
): { code: BlobStoreError['code']; text: string } | null {
  if (range && answer.ContentRange === undefined)
    return { code: 'not-allowed', text: 'was sent whole: no ranges here' };
  if (range?.version !== undefined && versionOf(answer, 'object') !== range.version) {
    return { code: 'missing', text: `is no longer the version ${range.version}` };
  }
  return null;
}
