import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';

export interface Settings {
  /** Where Vigil's API is. */
  instance: string;
  key: string;
  name: string;
  everySeconds: number;
  /** From the answer to an upload until what is said of it. */
  objectiveSeconds: number;
  /** Keeps its reference. */
  folder: string;
  ffmpeg: string;
  /** Of its own health and metrics; null: none. */
  port: number | null;
  host: string;
  /** Called after a green round, and only then: whoever hears nothing raises the alarm, also when all here is gone. */
  heartbeat: string | null;
  /** Told when it becomes red, and when it is green again. */
  webhook: string | null;
}

/** Says what is missing or wrong, and what to do about it. */
export class CannotRun extends Error {
  override name = 'CannotRun';
}

type Env = Readonly<Record<string, string | undefined>>;

/** @throws CannotRun */
export function readSettings(env: Env): Settings {
  const instance = env.VIGIL_CANARY_INSTANCE || env.VIGIL_INSTANCE || 'http://127.0.0.1:8080';
  if (!/^https?:/.test(instance) || !URL.canParse(instance))
    throw new CannotRun(`VIGIL_CANARY_INSTANCE is "${instance}": give an address like http://127.0.0.1:8080`);
  const data = path.resolve(env.VIGIL_DATA || '.vigil/data');
  return {
    instance: new URL(instance).origin,
    key: keyOf(env, data, new URL(instance)),
    name: (env.VIGIL_CANARY_NAME || hostname()).replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 64),
    everySeconds: number(env, 'VIGIL_CANARY_EVERY_SECONDS', 300, 1, 86_400),
    objectiveSeconds: number(env, 'VIGIL_CANARY_OBJECTIVE_SECONDS', 5, 0.1, 600),
    folder: path.resolve(env.VIGIL_CANARY_FOLDER || path.join(data, 'canary')),
    ffmpeg: env.VIGIL_FFMPEG || 'ffmpeg',
    port: env.VIGIL_CANARY_PORT ? number(env, 'VIGIL_CANARY_PORT', 0, 0, 65_535) : null,
    host: env.VIGIL_CANARY_HOST || '127.0.0.1',
    heartbeat: address(env, 'VIGIL_CANARY_HEARTBEAT'),
    webhook: address(env, 'VIGIL_CANARY_WEBHOOK'),
  };
}

/** The key that is given; else, for an instance on this machine, that of its data folder, which is sent nowhere else. */
function keyOf(env: Env, data: string, { hostname, origin }: URL): string {
  const given = env.VIGIL_CANARY_KEY || env.VIGIL_KEY;
  if (given) return given.trim();
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
  const file = env.VIGIL_CANARY_KEY_FILE || (isHere ? path.join(data, 'operator.key') : null);
  if (file === null)
    throw new CannotRun(
      `it has no key for ${origin}: set VIGIL_CANARY_KEY or VIGIL_CANARY_KEY_FILE (that of a data folder is sent to no other machine)`,
    );
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CannotRun(
      `it has no key: set VIGIL_CANARY_KEY, or VIGIL_DATA to the data folder of an instance on this machine (${(error as Error).message})`,
    );
  }
}

function number(env: Env, name: string, fallback: number, min: number, max: number): number {
  const value = env[name] ? Number(env[name]) : fallback;
  if (value >= min && value <= max) return value;
  throw new CannotRun(`${name} is "${env[name]}": give a number from ${min} to ${max}`);
}

function address(env: Env, name: string): string | null {
  const given = env[name] || null;
  if (given !== null && !(/^https?:/.test(given) && URL.canParse(given)))
    throw new CannotRun(`${name} is "${given}": give an http(s) address`);
  return given;
}
