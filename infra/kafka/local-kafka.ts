/** A Kafka broker for tests and for `npm run fleet`, on loopback: one that is there, or one that is started for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.ts';
import { startInDocker } from './docker.ts';
import { findProgram, type KafkaProgram } from './jars.ts';
import { answers } from './probe.ts';
import { makeSecured, type Secured, securedProperties } from './secured.ts';

export interface LocalKafka {
  brokers: string[];
  /** False when the broker is somebody else's, or in a container: then it cannot be stopped, started or killed. */
  own: boolean;
  /** The same broker by TLS and SASL/PLAIN, when it was asked for. */
  secured?: Secured;
  /** Of the broker's data; absent where it is somebody else's. */
  folder?: string;
  /** In good order; the data stays. */
  stop(): Promise<void>;
  /** With SIGKILL; the data stays. */
  kill(): Promise<void>;
  /** Again, after `stop` or `kill`, at the same address. */
  start(): Promise<void>;
  /** Stops it, and removes its data unless `folder` was given. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface LocalKafkaOptions {
  /** Where the broker keeps its data. Default: a temporary folder. */
  folder?: string;
  /** Only one that can be stopped and started will do: from the jars, whatever else there is. */
  own?: boolean;
  log?: (line: string) => void;
  /** Listen on a port with TLS and SASL/PLAIN as well; needs a broker of our own, and Java's keytool. */
  secured?: boolean;
}

const START_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 15_000;
const GUARD = fileURLToPath(new URL('guard.sh', import.meta.url));

/**
 * In this order: the brokers that VIGIL_TEST_KAFKA names (`host:port`, separated by commas), Docker, Apache Kafka's jars on
 * the local Java. Null, with the reason told to `log`, where neither can be had. Ready when it answers a metadata request; it
 * ends with this process, whatever ends that.
 * @throws Error when a broker that could be had does not become ready
 */
export async function startKafka(options: LocalKafkaOptions = {}): Promise<LocalKafka | null> {
  const log = options.log ?? (() => undefined);
  const given = process.env.VIGIL_TEST_KAFKA?.split(',').filter(Boolean);
  if (given?.length && !options.own) return theirs(given);
  // A container keeps nothing: who names a folder wants to find the data again. Nor does it listen in our ways.
  const container = options.folder || options.own || options.secured ? null : await startInDocker(log);
  if (container) return theirs([container.address], container.stop);
  const program = await findProgram(log);
  if (!program) return null;
  for (let attempt = 1; ; attempt++) {
    const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'vigil-kafka-')));
    const broker = createBroker(program, { folder, temporary: !options.folder }, log, [
      await freePort(),
      await freePort(),
    ]);
    try {
      const secured = options.secured ? await makeSecured(program.java, folder, await freePort()) : undefined;
      await broker.start(secured);
      return {
        ...broker,
        ...(secured ? { secured } : {}),
        start: () => broker.start(secured),
        folder,
        async [Symbol.asyncDispose]() {
          await broker.stop();
          if (!options.folder) await rm(folder, { recursive: true, force: true });
        },
      };
    } catch (error) {
      await broker.kill();
      if (!options.folder) await rm(folder, { recursive: true, force: true });
      // Somebody may have taken a port between our asking and Kafka's.
      if (attempt === 2) throw error;
      log(String(error));
    }
  }
}

/** True where brokers are named, or the jars and a Java are to be had; Docker is not asked. With `own`: where one can be stopped. Fetches the jars, once. */
export async function isKafkaHere(log: (line: string) => void, { own = false } = {}): Promise<boolean> {
  if (!own && process.env.VIGIL_TEST_KAFKA) return true;
  return (await findProgram(log)) !== null;
}

function theirs(brokers: string[], dispose: () => Promise<void> = async () => undefined): LocalKafka {
  const refuse = async () => {
    throw new Error('this broker is not ours to stop or start');
  };
  return {
    brokers,
    own: false,
    stop: refuse,
    kill: refuse,
    start: refuse,
    [Symbol.asyncDispose]: dispose,
  };
}

function createBroker(
  program: KafkaProgram,
  { folder, temporary }: { folder: string; temporary: boolean },
  log: (line: string) => void,
  [port, control]: readonly [number, number],
) {
  let running: { pid: number; exited: Promise<unknown> } | undefined;
  let again = false;

  const end = async (signal: NodeJS.Signals) => {
    if (!running) return;
    const { pid, exited } = running;
    const send = (what: NodeJS.Signals) => {
      try {
        process.kill(pid, what);
      } catch {
        // It has ended by itself.
      }
    };
    send(signal);
    const timer = setTimeout(send, STOP_LIMIT_MS, 'SIGKILL');
    await exited;
    clearTimeout(timer);
    running = undefined;
  };

  const start = async (secured?: Secured) => {
    if (running) throw new Error('the broker is running already');
    const there = await readdir(folder).catch((): string[] => []);
    if (!there.includes('meta.properties')) await cp(program.template, folder, { recursive: true });
    const settings = join(folder, 'server.properties');
    await writeFile(settings, properties(folder, [port, control], again, secured));
    again = true;
    const args = [GUARD, program.java, ...program.javaArguments, 'kafka.Kafka', settings];
    const env = { ...process.env, VIGIL_GUARD_REMOVE: temporary ? folder : '' };
    // A group of its own: an interrupt at the terminal is for us, who then stop it in order.
    const child = spawn('/bin/sh', args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true, env });
    const exited = once(child, 'exit').finally(() => child.stdin.destroy());
    const last: string[] = [];
    const hear = (chunk: Buffer) => {
      for (const line of chunk.toString().split('\n').filter(Boolean)) {
        log(line);
        last.push(line);
        if (last.length > 20) last.shift();
      }
    };
    child.stderr.on('data', hear);
    child.stdin.on('error', () => undefined);
    const [first] = (await once(child.stdout, 'data')) as [Buffer];
    child.stdout.on('data', hear);
    running = { pid: Number(/^\d+/.exec(first.toString())?.[0]), exited };
    for (const stream of [child, child.stdin, child.stdout, child.stderr] as { unref?(): void }[]) stream.unref?.();
    const ended = exited.then(() => 'ended' as const);
    const deadline = performance.now() + START_LIMIT_MS;
    while (!(await answers('127.0.0.1', port))) {
      const pause = new Promise<'wait'>((resolve) => setTimeout(resolve, 100, 'wait'));
      const gone = (await Promise.race([ended, pause])) === 'ended';
      if (gone) running = undefined;
      if (gone || performance.now() > deadline) throw new Error(`Kafka did not start:\n${last.join('\n')}`);
    }
  };

  return { brokers: [`127.0.0.1:${port}`], own: true, start, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

/** One broker that is its own controller; whatever makes groups and topics wait for others is turned down. */
function properties(
  folder: string,
  [port, control]: readonly [number, number],
  again: boolean,
  secured?: Secured,
): string {
  const more = secured ? securedProperties(secured) : null;
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${control}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${control}${more?.listener ?? ''}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}${more?.listener ?? ''}`,
    'inter.broker.listener.name=PLAINTEXT',
    'controller.listener.names=CONTROLLER',
    `listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT${more?.protocol ?? ''}`,
    ...(more?.lines ?? []),
    `log.dirs=${folder}`,
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.num.partitions=1',
    'default.replication.factor=1',
    'auto.create.topics.enable=false',
    'group.initial.rebalance.delay.ms=0',
    // Tests do not wait 6 s for a death to be noticed.
    'group.min.session.timeout.ms=200',
    'log.retention.check.interval.ms=5000',
    'log.cleaner.dedupe.buffer.size=4194304',
    'log.cleaner.threads=1',
    'num.network.threads=2',
    'num.io.threads=4',
    // On a machine that has much else to do it is late with its heartbeats to itself, and would be shut out for it. One that
    // was stopped or killed is let in again at once, not after 9 s.
    `broker.session.timeout.ms=${again ? 1000 : 60_000}`,
    'broker.heartbeat.interval.ms=200',
    '',
  ].join('\n');
}
