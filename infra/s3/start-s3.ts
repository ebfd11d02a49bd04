import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.ts';
import { createBucket, type S3Address } from './create-bucket.ts';
import { type GuardedProcess, startGuarded } from './guarded-process.ts';
import { findVersitygw } from './versitygw.ts';

export interface StartS3Options {
  /** Objects lie below it; it is not removed at the end. */
  folder: string;
  log?: (line: string) => void;
  /** Of a gateway of our own. Buckets belong to whoever made them: over a folder that was used before, use the same. */
  keys?: { accessKey: string; secretKey: string };
  /** Where the gateway is built, once. */
  tools?: string;
}

export interface S3 extends S3Address {
  /** Quiet when it exists. */
  createBucket(name: string): Promise<void>;
  /** Null where the server is not ours: it can be neither stopped nor started. */
  readonly process: S3Process | null;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface S3Process {
  /** Asks it to end, and waits until it has. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Again at the same address, over the same objects. */
  start(): Promise<void>;
}

const TOOLS = fileURLToPath(new URL('../../.vigil/tools', import.meta.url));
const READY_MS = 20_000;
const PORTS_TRIED = 5;

/**
 * An S3 server to test against: the one that VIGIL_TEST_S3_ENDPOINT names (keys and region in VIGIL_TEST_S3_ACCESS_KEY,
 * VIGIL_TEST_S3_SECRET_KEY, VIGIL_TEST_S3_REGION), else a versitygw of our own over `folder` on loopback, which ends with this
 * process whatever ends that. Null, after a line of log that says why, where there is neither.
 */
export async function startS3(options: StartS3Options): Promise<S3 | null> {
  const log = options.log ?? (() => undefined);
  const given = givenByEnvironment(process.env);
  if (given) {
    return {
      ...given,
      createBucket: (name) => createBucket(given, name),
      process: null,
      async [Symbol.asyncDispose]() {
        // It is somebody else's.
      },
    };
  }
  const program = await findVersitygw(options.tools ?? TOOLS, log);
  return program ? startGateway(program, options) : null;
}

/** True where `startS3` has a server, or everything at hand to make one. Builds the gateway, so that it may take minutes. */
export async function isS3Here(log: (line: string) => void, tools = TOOLS): Promise<boolean> {
  return givenByEnvironment(process.env) !== null || (await findVersitygw(tools, log)) !== null;
}

function givenByEnvironment(env: NodeJS.ProcessEnv): S3Address | null {
  const endpoint = env.VIGIL_TEST_S3_ENDPOINT;
  if (!endpoint) return null;
  const [accessKey, secretKey] = [env.VIGIL_TEST_S3_ACCESS_KEY, env.VIGIL_TEST_S3_SECRET_KEY];
  if (!accessKey || !secretKey) {
    throw new Error('VIGIL_TEST_S3_ENDPOINT needs VIGIL_TEST_S3_ACCESS_KEY and VIGIL_TEST_S3_SECRET_KEY beside it');
  }
  return { endpoint, accessKey, secretKey, region: env.VIGIL_TEST_S3_REGION || 'us-east-1' };
}

async function startGateway(program: string, { folder, keys }: StartS3Options): Promise<S3> {
  const random = () => randomBytes(16).toString('hex');
  const { accessKey, secretKey } = keys ?? { accessKey: random(), secretKey: random() };
  const region = 'us-east-1';
  await mkdir(join(folder, 'objects'), { recursive: true });
  await mkdir(join(folder, 'metadata'), { recursive: true });
  const env = { ...process.env, ROOT_ACCESS_KEY_ID: accessKey, ROOT_SECRET_ACCESS_KEY: secretKey };
  const common = ['--region', region, '--quiet', '--keep-alive', '--health', '/health'];
  const store = ['posix', '--sidecar', join(folder, 'metadata'), join(folder, 'objects')];

  async function startAt(port: number): Promise<GuardedProcess | null> {
    const server = await startGuarded(program, ['--port', `127.0.0.1:${port}`, ...common, ...store], env);
    for (const until = Date.now() + READY_MS; !server.exited && Date.now() < until; await sleep(20)) {
      const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
      await answer?.arrayBuffer();
      if (answer?.ok && !server.exited) return server;
    }
    await server.kill();
    failure = server.output();
    return null;
  }

  let failure = '';
  let port = 0;
  let server: GuardedProcess | null = null;
  // Between finding a free port and listening on it, somebody else may take it.
  for (let i = 0; i < PORTS_TRIED && !server; i++) {
    port = await freePort();
    server = await startAt(port);
  }
  if (!server) throw new Error(`versitygw did not become ready: ${failure}`);
  let running: GuardedProcess = server;
  const address = { endpoint: `http://127.0.0.1:${port}`, region, accessKey, secretKey };
  return {
    ...address,
    createBucket: (name) => createBucket(address, name),
    process: {
      stop: () => running.stop(),
      kill: () => running.kill(),
      async start() {
        if (!running.exited) return;
        const next = await startAt(port);
        if (!next) throw new Error(`versitygw did not come back: ${failure}`);
        running = next;
      },
    },
    [Symbol.asyncDispose]: () => running.stop(),
  };
}
