/** Where the broker's program comes from: Apache Kafka's jars, fetched once by Maven, run by the Java that is here. */
import { createHash, randomUUID } from 'node:crypto';
import { access, cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './run.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const TOOLS = fileURLToPath(new URL('../../.vigil/tools/', import.meta.url));
const JAVA_AT_LEAST = 17;
const FETCH_LIMIT_MS = 10 * 60_000;
const FORMAT_LIMIT_MS = 60_000;

export interface KafkaProgram {
  java: string;
  /** Before the main class. */
  javaArguments: readonly string[];
  /** A formatted, empty data folder: a broker starts on a copy of it, and saves itself a Java start. */
  template: string;
}

/** Small, quick to start, and deaf to whatever the machine's owner has set for Java in general. */
const JVM = ['-Xmx512m', '-Xms64m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'];

/** @returns null, with the reason said, where there is no Java or no way to the jars. */
export async function findProgram(say: (line: string) => void): Promise<KafkaProgram | null> {
  const java = await findJava();
  if (!java) {
    say(`no Kafka: there is no Java ${JAVA_AT_LEAST} or newer (JAVA_HOME, or the path)`);
    return null;
  }
  const pom = await readFile(join(HERE, 'pom.xml'));
  const folder = join(TOOLS, `kafka-${createHash('sha256').update(pom).digest('hex').slice(0, 12)}`);
  const javaArguments = [...JVM, '-cp', `${HERE}:${join(folder, 'lib', '*')}`];
  const program = { java, javaArguments, template: join(folder, 'template') };
  if (await exists(folder)) return program;
  say('fetching Apache Kafka with Maven (once; some 45 MB)');
  // Filled beside and moved into place at once: whoever comes at the same time does the same, and one of them wins.
  const fresh = join(TOOLS, `kafka-${randomUUID()}`);
  try {
    await mkdir(fresh, { recursive: true });
    await cp(join(HERE, 'pom.xml'), join(fresh, 'pom.xml'));
    const goal = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=lib'];
    await run('mvn', goal, { cwd: fresh, limitMs: FETCH_LIMIT_MS });
    await format(java, fresh);
    await rename(fresh, folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (!(await exists(folder))) {
      say(`no Kafka: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }
  return program;
}

async function format(java: string, folder: string): Promise<void> {
  const properties = join(folder, 'format.properties');
  await mkdir(join(folder, 'template'));
  await writeFile(
    properties,
    [
      'process.roles=broker,controller',
      'node.id=1',
      'controller.quorum.voters=1@127.0.0.1:9093',
      'listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093',
      'controller.listener.names=CONTROLLER',
      `log.dirs=${join(folder, 'template')}`,
    ].join('\n'),
  );
  const id = randomUUID().replaceAll('-', '');
  const cluster = Buffer.from(id, 'hex').toString('base64url');
  const main = ['kafka.tools.StorageTool', 'format', '-t', cluster, '-c', properties];
  await run(java, [...JVM, '-cp', join(folder, 'lib', '*'), ...main], { cwd: folder, limitMs: FORMAT_LIMIT_MS });
}

async function findJava(): Promise<string | null> {
  const { JAVA_HOME } = process.env;
  for (const java of [...(JAVA_HOME ? [join(JAVA_HOME, 'bin', 'java')] : []), 'java']) {
    const said = await run(java, ['-version'], { limitMs: 20_000 }).catch(() => '');
    if (Number(/version "(\d+)/.exec(said)?.[1] ?? 0) >= JAVA_AT_LEAST) return java;
  }
  return null;
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
