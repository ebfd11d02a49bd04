import { createHash } from 'node:crypto';
import { type BlobStore, readBlob } from '@vigil/blob-store';
import { codesEnvelope, type Envelope, jsonEnvelope, MalformedEvent, TOPICS, type TopicSpec } from '@vigil/contracts';
import type { NewRecord } from '@vigil/event-log';
import { traceHeaders } from '@vigil/runtime';
import type { Output } from './outcome.ts';

/** Vigil's own bucket: what is too large for an event, codes of references, evidence. */
export const OWN_BUCKET = 'vigil';
const SPILLED = 'application/vnd.vigil.spilled';
const MAX_SPILLED_BYTES = 64 * 2 ** 20;
const HEADROOM = 4096;

export function envelopeOf(output: Output, now: number): Envelope {
  const event = {
    id: output.id,
    type: output.type,
    source: 'vigil',
    subject: output.key,
    time: now,
    data: output.data,
  };
  const envelope =
    output.codes === undefined ? jsonEnvelope(output.key, event) : codesEnvelope(output.key, event, output.codes);
  return { ...envelope, headers: { ...envelope.headers, ...traceHeaders(output.trace), ...output.headers } };
}

/** What is larger than its topic allows goes to the blob store under its digest; the event carries key and digest. */
export async function recordOf(output: Output, now: number, blobs: BlobStore): Promise<NewRecord> {
  const spec: TopicSpec = TOPICS[output.to];
  const envelope = envelopeOf(output, now);
  const { value } = envelope;
  if (!value || value.length <= spec.maxBytes - HEADROOM) return { topic: spec.name, ...envelope };
  const sha256 = createHash('sha256').update(value).digest('hex');
  const key = `spilled/${sha256}`;
  await blobs.put(OWN_BUCKET, key, value, { sha256 });
  return {
    topic: spec.name,
    key: envelope.key,
    headers: { ...envelope.headers, 'content-type': SPILLED, vigil_content_type: envelope.headers['content-type']! },
    value: new TextEncoder().encode(JSON.stringify({ key, sha256, size: value.length })),
  };
}

/** The envelope as it was before it was spilled; others as they are. @throws BlobStoreError, MalformedEvent */
export async function unspilled(envelope: Envelope, blobs: BlobStore): Promise<Envelope> {
  if (envelope.headers['content-type'] !== SPILLED || !envelope.value) return envelope;
  const value = await readBlob(blobs, OWN_BUCKET, keyIn(envelope.value), MAX_SPILLED_BYTES);
  const { vigil_content_type, ...headers } = envelope.headers;
  return { key: envelope.key, headers: { ...headers, 'content-type': vigil_content_type ?? '' }, value };
}

/** Others may say of an event that it was spilled, and have something else in it. */
function keyIn(value: Uint8Array): string {
  try {
    const { key } = JSON.parse(new TextDecoder().decode(value)) as { key?: unknown };
    if (typeof key === 'string') return key;
  } catch {
    // No more than one without a key.
  }
  throw new MalformedEvent('said to be spilled, and names no place');
}
