import type { Cluster } from './kafka-client.ts';

export interface FetchTurns {
  /** How long the broker holds a fetch that finds nothing, while records come. */
  maxWaitMs: number;
  /** Aborted when the consumer leaves: what waits for records then does not. */
  over: AbortSignal;
}

type Broker = Awaited<ReturnType<Cluster['findBroker']>>;
type Answer = { responses: { partitions: { messages: unknown[] }[] }[] };

/** From one answer with few records to the next question: records that come one by one are fetched some at a time. */
const LINGER_MS = 20;
const FEW = 16;
/** A consumer that has met no record for so long lets the broker hold its fetches longer. */
const QUIET_MS = 5000;
const QUIET_WAITS = 4;

/**
 * How a consumer of kafkajs asks for records, which it does through `cluster`. Left alone it asks again as soon as it was answered,
 * works through every partition that it asked for, also those without records, and leaves only when its last fetch has come back.
 * The first record after a pause is fetched at once.
 */
export function takeTurns(cluster: Cluster, { maxWaitMs, over }: FetchTurns): void {
  const findBroker = cluster.findBroker.bind(cluster);
  const known = new WeakSet<Broker>();
  cluster.findBroker = async (wanted) => {
    const broker = await findBroker(wanted);
    if (!known.has(broker)) {
      known.add(broker);
      inTurn(broker);
    }
    return broker;
  };

  function inTurn(broker: Broker): void {
    const fetch = broker.fetch.bind(broker);
    let met = Number.NEGATIVE_INFINITY;
    let few = false;
    broker.fetch = async (request) => {
      const since = performance.now() - met;
      if (few && since < LINGER_MS) await new Promise((resolve) => setTimeout(resolve, LINGER_MS - since));
      const maxWaitTime = since > QUIET_MS ? QUIET_WAITS * maxWaitMs : maxWaitMs;
      const answer = await unless(over, fetch({ ...request, maxWaitTime }) as Promise<Answer>);
      let records = 0;
      const responses = answer.responses.map((topic) => {
        const partitions = topic.partitions.filter(({ messages }) => messages.length > 0);
        for (const { messages } of partitions) records += messages.length;
        return { ...topic, partitions };
      });
      if (records > 0) met = performance.now();
      few = records < FEW;
      return { ...answer, responses };
    };
  }
}

const NOTHING: Answer = { responses: [] };

/** What comes later than `over` is nobody's; it is fetched again by whoever owns the partition then. */
function unless(over: AbortSignal, asked: Promise<Answer>): Promise<Answer> {
  if (over.aborted) {
    asked.catch(() => undefined);
    return Promise.resolve(NOTHING);
  }
  return new Promise((resolve, reject) => {
    const leave = () => resolve(NOTHING);
    over.addEventListener('abort', leave, { once: true });
    asked.then(resolve, reject).finally(() => over.removeEventListener('abort', leave));
  });
}
