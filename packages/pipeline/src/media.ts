import type { BlobStat, BlobStore } from '@vigil/blob-store';
import { BlobStoreError, blobSource, createBlockCache } from '@vigil/blob-store';
import type { MediaLocation, Probe, Rejection, Span } from '@vigil/contracts';
import type { Fingerprinter, FingerprintOutcome, MediaSource } from '@vigil/fingerprint';

interface Refused {
  status: 'rejected';
  reason: Rejection;
  detail: string;
}

/** Media of uploads and references, as bytes and as something that can be fingerprinted. */
export interface Media {
  fingerprinter: Fingerprinter;
  open(location: MediaLocation): Promise<{ status: 'opened'; source: MediaSource } | Refused>;
  /** A slice of what was probed before; an object that is gone by now, or another one, is an outcome. */
  fingerprint(
    location: MediaLocation,
    job: { probe: Probe; span: Span; purpose: 'upload' | 'confirm' | 'reference' },
    signal: AbortSignal,
  ): Promise<FingerprintOutcome>;
  /** The same of neighbouring slices of an upload at once, in order. */
  fingerprintRun(
    location: MediaLocation,
    job: { probe: Probe; spans: readonly Span[] },
    signal: AbortSignal,
  ): Promise<FingerprintOutcome[]>;
}

/** Only configured buckets are opened: an event's word is not enough to read any object that we could. */
export function createMedia(blobs: BlobStore, fingerprinter: Fingerprinter, buckets: readonly string[]): Media {
  // One for all slices, so that the index of a long video is read once and not once a slice.
  const cache = createBlockCache();

  const missing = (detail: string): Refused => ({ status: 'rejected', reason: 'missing', detail });

  /** @param known what probing has seen of just this version: then the store is not asked again, only read from */
  async function open({ bucket, key, version }: MediaLocation, known?: Pick<BlobStat, 'size'>) {
    if (!buckets.includes(bucket)) {
      return { status: 'rejected', reason: 'not-allowed', detail: `bucket ${bucket}` } satisfies Refused;
    }
    const stat = version && known ? { ...known, version } : await blobs.stat(bucket, key);
    if (!stat) return missing(`${bucket}/${key}`);
    if (version && stat.version !== version) return missing(`${bucket}/${key} is no longer the announced version`);
    return { status: 'opened' as const, source: blobSource(blobs, bucket, key, stat, { cache }) };
  }

  async function reading<T>(
    location: MediaLocation,
    probe: Probe,
    read: (source: MediaSource) => Promise<T>,
  ): Promise<T | Refused> {
    const opened = await open(location, probe);
    if (opened.status === 'rejected') return opened;
    try {
      return await read(opened.source);
    } catch (error) {
      if (error instanceof BlobStoreError && error.code === 'missing') return missing(error.message);
      throw error;
    }
  }

  return {
    fingerprinter,
    open: (location) => open(location),
    fingerprint: (location, job, signal) =>
      reading(location, job.probe, (source) => fingerprinter.fingerprint(source, job, signal)),
    async fingerprintRun(location, job, signal) {
      const made = await reading(location, job.probe, (source) => fingerprinter.fingerprintRun(source, job, signal));
      return Array.isArray(made) ? made : job.spans.map(() => made);
    },
  };
}
