/** Every topic: who writes it, how it is kept, how large an event may be. Adapters create or check topics from this. */
export interface TopicSpec {
  name: string;
  /** What the key of an event is: events of one key keep their order. */
  key: 'upload' | 'slice' | 'reference' | 'reference-slice' | 'root';
  partitions: number;
  cleanup: 'delete' | 'compact';
  /** null: kept for ever (compacted topics keep the newest event of each key). */
  retentionMs: number | null;
  maxBytes: number;
}

const DAY = 24 * 3600 * 1000;
const KIB = 1024;

function topic(name: string, key: TopicSpec['key'], more: Partial<TopicSpec> = {}): TopicSpec {
  return { name, key, partitions: 8, cleanup: 'delete', retentionMs: 7 * DAY, maxBytes: 512 * KIB, ...more };
}

export const TOPICS = {
  // Larger than the others, because a list of frames comes in one event.
  uploads: topic('vigil.uploads', 'upload', { retentionMs: 14 * DAY, maxBytes: 2048 * KIB }),
  manifests: topic('vigil.manifests', 'upload'),
  slicesFirst: topic('vigil.slices.first', 'slice'),
  slicesRest: topic('vigil.slices.rest', 'slice'),
  slicesBatch: topic('vigil.slices.batch', 'slice'),
  fingerprints: topic('vigil.fingerprints', 'upload', { retentionMs: 180 * DAY }),
  references: topic('vigil.references', 'reference', { cleanup: 'compact', retentionMs: null, partitions: 4 }),
  referenceCodes: topic('vigil.reference-codes', 'reference-slice', {
    cleanup: 'compact',
    retentionMs: null,
    partitions: 4,
  }),
  alignments: topic('vigil.alignments', 'upload'),
  proposals: topic('vigil.proposals', 'upload'),
  evidence: topic('vigil.evidence', 'upload'),
  pictures: topic('vigil.pictures', 'upload'),
  takedowns: topic('vigil.takedowns', 'upload', { retentionMs: 30 * DAY }),
  verdicts: topic('vigil.verdicts', 'upload', { retentionMs: 30 * DAY }),
  alarms: topic('vigil.alarms', 'upload', { retentionMs: 30 * DAY, partitions: 1 }),
  // Compacted under keys that never come twice: kept for ever.
  audit: topic('vigil.audit', 'root', { cleanup: 'compact', retentionMs: null, partitions: 1 }),
  acknowledgements: topic('vigil.acknowledgements', 'upload', { retentionMs: 30 * DAY }),
} as const satisfies Record<string, TopicSpec>;
export type TopicName = keyof typeof TOPICS;

/** Where an event goes that could not be handled; same key, same partitions, the reason in the headers. */
export const deadTopic = (name: string): string => `${name}.dead`;
export const deadSpec = (spec: TopicSpec): TopicSpec => ({
  ...spec,
  name: deadTopic(spec.name),
  cleanup: 'delete',
  retentionMs: 30 * DAY,
});
