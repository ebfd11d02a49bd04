import { type BlobStore, readBlob } from '@vigil/blob-store';
import {
  FRAMES_FORMAT,
  FrameList,
  type FrameObject,
  type MediaLocation,
  type Probe,
  type Rejection,
  type Span,
} from '@vigil/contracts';
import type { FrameImage } from '@vigil/fingerprint';
import { OWN_BUCKET } from './emit.ts';
import type { Media } from './media.ts';

/** Films that lie in the store as pictures. Their lists are kept in our own bucket, because slices would be too large with them. */
export interface FrameLists {
  /** Keeps the list, and says what the pictures look like. @throws BlobStoreError */
  register(
    upload: string,
    media: MediaLocation,
    list: FrameList,
    signal: AbortSignal,
  ): Promise<{ status: 'probed'; probe: Probe } | { status: 'rejected'; reason: Rejection; detail: string }>;
  /** The pictures of one slice, in order of time: the first slice has what lies before it too, the last what lies after. */
  between(upload: string, media: MediaLocation, probe: Probe, span: Span): Promise<FrameImage[]>;
}

const MAX_LIST_BYTES = 16 * 2 ** 20;
/** Lists that are kept in memory: as many uploads as are being read at once in one process. */
const LISTS = 8;

export function createFrameLists(blobs: BlobStore, media: Media): FrameLists {
  const recent = new Map<string, Promise<FrameList>>();

  const locate = (of: MediaLocation, { bucket, key, version }: FrameObject): MediaLocation => ({
    source: of.source,
    bucket: bucket ?? of.bucket,
    key,
    version: version ?? '',
  });

  function listOf(upload: string): Promise<FrameList> {
    const found = recent.get(upload) ?? load(upload);
    recent.delete(upload);
    recent.set(upload, found);
    if (recent.size > LISTS) recent.delete(recent.keys().next().value!);
    found.catch(() => recent.delete(upload));
    return found;
  }

  async function load(upload: string): Promise<FrameList> {
    const bytes = await readBlob(blobs, OWN_BUCKET, listKey(upload), MAX_LIST_BYTES);
    return FrameList.parse(JSON.parse(new TextDecoder().decode(bytes)));
  }

  return {
    async register(upload, of, list, signal) {
      const { images, duration } = list;
      // One damaged picture is not to hide the others.
      const looks = new Set([0, Math.floor(images.length / 2), images.length - 1].map((n) => images[n]!));
      let refusal: { status: 'rejected'; reason: Rejection; detail: string } | null = null;
      for (const image of looks) {
        const opened = await media.open(locate(of, image));
        const probed = opened.status === 'opened' ? await media.fingerprinter.probe(opened.source, signal) : opened;
        if (probed.status === 'rejected') refusal ??= { ...probed, detail: `frame ${image.key}: ${probed.detail}` };
        else if (probed.probe.kind !== 'image') {
          refusal ??= {
            status: 'rejected',
            reason: 'unsupported-format',
            detail: `frame ${image.key} is no still picture`,
          };
        } else {
          await blobs.put(OWN_BUCKET, listKey(upload), new TextEncoder().encode(JSON.stringify(list)));
          const { width, height, codec } = probed.probe;
          const about = { kind: 'video', format: FRAMES_FORMAT, codec, width, height, duration, startTime: 0 } as const;
          const notes = [`${images.length} frames`];
          return { status: 'probed', probe: { ...about, frameRate: images.length / duration, size: 0, notes } };
        }
      }
      return refusal!;
    },

    async between(upload, of, probe, [start, end]) {
      const { images } = await listOf(upload);
      const isFirst = start <= 0;
      const isLast = end >= probe.duration;
      return images
        .filter(({ time }) => (isFirst || time >= start) && (isLast || time < end))
        .map((image) => ({ time: image.time, open: () => media.open(locate(of, image)) }));
    },
  };
}

const listKey = (upload: string): string => `frames/${upload}.json`;
