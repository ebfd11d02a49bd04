import { placeOf } from '@vigil/contracts';
import { checkRecord } from './check-records.ts';
import { EventLogError, type NewRecord, type Position } from './event-log.ts';
import type { Producer } from './kafka-client.ts';
import { toOffset } from './kafka-records.ts';
import type { Topic, Topics } from './kafka-topics.ts';

/** One request: bounded for memory, and because kafkajs groups messages in quadratic time. */
const REQUEST = { records: 500, bytes: 1024 * 1024 };
/** Of a record in a batch, beside key, headers and value: lengths, deltas. Generous. */
const RECORD_BYTES = 64;

interface Placed {
  record: NewRecord;
  partition: number;
  bytes: number;
}

/**
 * All copies of the broker have it when it resolves (acks=all). All records are checked before the first is sent, so that
 * a condemned one takes no other with it; what takes more than one request, or concerns more than one partition, can still
 * be cut short by a broker that fails, and then some of it stays: whoever repeats it appends those twice.
 */
export async function append(records: readonly NewRecord[], topics: Topics, producer: Producer): Promise<Position[]> {
  const specs = new Map<string, Topic>();
  for (const name of new Set(records.map((record) => record.topic))) specs.set(name, await topics.get(name));
  const placed = records.map((record) => {
    const topic = specs.get(record.topic)!;
    checkRecord(record, topic);
    return { record, partition: placeOf(record.key, topic.partitions), bytes: sizeOf(record) };
  });
  const positions: Position[] = [];
  for (const request of requests(placed, specs)) positions.push(...(await send(producer, request)));
  return positions;
}

/** In order; a partition's share of one request is one batch, which the broker bounds. */
function* requests(placed: readonly Placed[], specs: ReadonlyMap<string, Topic>): Generator<Placed[]> {
  let request: Placed[] = [];
  let total = 0;
  const batches = new Map<string, number>();
  for (const one of placed) {
    const place = `${one.record.topic}/${one.partition}`;
    const batch = (batches.get(place) ?? 0) + one.bytes;
    const full = request.length >= REQUEST.records || total + one.bytes > REQUEST.bytes;
    if (request.length > 0 && (full || batch > specs.get(one.record.topic)!.maxBytes)) {
      yield request;
      request = [];
      total = 0;
      batches.clear();
    }
    request.push(one);
    total += one.bytes;
    batches.set(place, (batches.get(place) ?? 0) + one.bytes);
  }
  if (request.length > 0) yield request;
}

async function send(producer: Producer, request: readonly Placed[]): Promise<Position[]> {
  const byTopic = Map.groupBy(request, ({ record }) => record.topic);
  const answers = await producer.sendBatch({
    acks: -1,
    topicMessages: [...byTopic].map(([topic, list]) => ({
      topic,
      messages: list.map(({ record, partition }) => ({
        key: Buffer.from(record.key),
        value: record.value && Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength),
        headers: record.headers,
        partition,
      })),
    })),
  });
  const next = new Map(answers.map((one) => [`${one.topicName}/${one.partition}`, toOffset(one.baseOffset ?? '')]));
  return request.map(({ record: { topic }, partition }) => {
    const place = `${topic}/${partition}`;
    const offset = next.get(place);
    if (offset === undefined) throw new EventLogError(`no answer for ${place}`, { retriable: true });
    next.set(place, offset + 1);
    return { topic, partition, offset };
  });
}

function sizeOf(record: NewRecord): number {
  let bytes = RECORD_BYTES + Buffer.byteLength(record.key) + (record.value?.length ?? 0);
  for (const [name, value] of Object.entries(record.headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 8;
  return bytes;
}
