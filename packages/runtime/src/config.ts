/** Long, because every setting there is stands here: one file to look a name up in. */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type KeyPattern, parseKeyPattern } from '@vigil/contracts/key-pattern';
import { LOG_LEVELS, type LogLevel } from './logger.ts';

/** Everything that can be set. Nothing but `readEnvironment` looks at the environment. */
export interface Config {
  /** Absolute path: blobs, the embedded database, locks. */
  dataFolder: string;
  /** null: an embedded PostgreSQL with its data in the data folder. */
  databaseUrl: string | null;
  host: string;
  /** 0: any free port. */
  port: number;
  /** Buckets that events may name, beside our own. */
  buckets: string[];
  /** Where object keys say whose an upload is; null: they do not. */
  keyPattern: KeyPattern | null;
  logLevel: LogLevel;
  roles: Role[];
  /** Parts of the similarity index, and which of them this process holds, if it matches. */
  shards: number;
  shard: number;
  /** What this copy of its shard is called, among the copies. */
  replica: string;
  /** null: the log lies in PostgreSQL. */
  kafka: KafkaSettings | null;
  /** null: blobs lie in the data folder. */
  s3: S3Settings | null;
  acknowledgements: AcknowledgementSettings;
  cases: CaseSettings;
  brakes: BrakeSettings;
  /** Does `vigil start` keep a canary beside itself? */
  canary: boolean;
  /** May webhooks go to private networks, and without TLS? */
  privateWebhooks: boolean;
  /** What uploads were found to hold is kept so long; what people decided, always. */
  keepDays: number;
  /** New references are gathered for so long before what was uploaded earlier is compared with them; 0: only by command. */
  lookBackSeconds: number;
  api: ApiSettings;
  watching: WatchSettings;
  /** Decoders and worker threads at once. */
  concurrency: number;
  limits: Limits;
  /** Where to look for ffmpeg: by name, or else along the path. */
  ffmpeg: { ffmpegPath: string | undefined; ffprobePath: string | undefined; path: string };
  /** Names that look like settings of Vigil and are none: misspelt, or of another release. To be warned about. */
  unknown: string[];
}

export interface KafkaSettings {
  brokers: string[];
  /** PEM texts: whom to trust beside the usual authorities, and who we are. */
  ssl: boolean | { ca?: string; cert?: string; key?: string };
  sasl: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string } | null;
  /** Copies of each partition of the topics that Vigil creates; null: the cluster's default. */
  replicas: number | null;
}

export interface S3Settings {
  /** null: AWS's own. */
  endpoint: string | null;
  region: string;
  /** null: found as the AWS client does, in environment, files or roles. */
  credentials: { accessKeyId: string; secretAccessKey: string } | null;
  bucketPrefix: string;
}

/** Periods that an installation may set itself; those of the law are fixed. */
export interface CaseSettings {
  disputeDays: number;
  appealDays: number;
  strikeDays: number;
  /** So many that stand at once make a repeat infringer. */
  strikes: number;
  /** Uploads that the notices of one sender take down in a day without a person. */
  noticedADay: number;
  /** Name of the calendar by which business days are counted. */
  calendar: string;
}

/** From how many takedowns an hour on brakes hold the rest; see decision's brakes. */
export interface BrakeSettings {
  hot: number;
  floodReference: number;
  floodHolder: number;
  cap: number;
}

export interface AcknowledgementSettings {
  /** Parts of the platform that say what they did about a takedown. None: nothing is waited for. */
  surfaces: string[];
  /** An action that is open for longer is an alarm. */
  deadlineSeconds: number;
  /** From each sending to the next; the last one repeats. */
  resendSeconds: number[];
}

export interface ApiSettings {
  /** Where others reach the API, when that is not what their requests say; no path. */
  publicUrl: string | null;
  /** Of one key, or one person; then 429. */
  requestsPerMinute: number;
  /** Where people sign in; null: keys only. */
  oidc: OidcSettings | null;
}

export interface WatchSettings {
  /** Nothing new is taken in while a disk has less than this free, or less than a tenth of itself if that is less. */
  diskReserveBytes: number;
  /** Where spans go (OTLP over HTTP); null: nowhere. */
  otlpEndpoint: string | null;
}

export interface OidcSettings {
  issuer: string;
  audience: string;
  /** What this installation is registered as, so that people can sign in at the page; null: they cannot. No secret: PKCE alone. */
  client: { id: string; secret: string | null } | null;
  /** Claims that say who somebody is here: holder, platform, reviewer or operator; and of a holder which one. */
  roleClaim: string;
  holderClaim: string;
}

export const ROLES = ['plan', 'fingerprint', 'match', 'confirm', 'decide', 'api', 'console'] as const;
export type Role = (typeof ROLES)[number];

/** What one upload may cost, whatever its header claims. */
export interface Limits {
  maxImageBytes: number;
  maxVideoBytes: number;
  maxPixels: number;
  maxDurationSeconds: number;
  /** Wall seconds for one probe, and for the decoding of one slice. */
  probeSeconds: number;
  sliceSeconds: number;
  /** Address space of a decoder process. */
  decoderBytes: number;
}

/** Some settings cannot be used. The message lists all of them, each with what it should be. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly retriable = false;
}

/** Settings as text, by the name that a person would change. */
export type Settings = Readonly<Record<string, string | undefined>>;

export const readConfig = (env: Readonly<Record<string, string | undefined>>): Config =>
  assertConfig(readEnvironment(env));

/** What may lie in a file, as Docker and Kubernetes hand secrets over: NAME_FILE is its path. */
const SECRETS = [
  'DATABASE_URL',
  'VIGIL_KAFKA_USERNAME',
  'VIGIL_KAFKA_PASSWORD',
  'VIGIL_KAFKA_CA',
  'VIGIL_KAFKA_CERT',
  'VIGIL_KAFKA_KEY',
  'VIGIL_S3_ACCESS_KEY',
  'VIGIL_S3_SECRET_KEY',
  'VIGIL_OIDC_CLIENT_SECRET',
];

/**
 * VIGIL_* and the names that the world agrees on, with secrets read from their files. An empty value, or one of blanks, is none.
 * @throws ConfigError when a file cannot be read, or a secret is given twice
 */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): Settings {
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const given = value?.trim();
    if (given && (name.startsWith('VIGIL_') || OTHERS.includes(name))) settings[name] = given;
  }
  for (const name of SECRETS) {
    const file = env[`${name}_FILE`];
    if (!file) continue;
    delete settings[`${name}_FILE`];
    if (settings[name]) throw new ConfigError(`${name} and ${name}_FILE are both set: give one of them`);
    try {
      settings[name] = readFileSync(file, 'utf8').trim();
    } catch (error) {
      throw new ConfigError(`${name}_FILE is "${file}", which cannot be read: ${(error as Error).message}`);
    }
  }
  return settings;
}

const OTHERS = ['DATABASE_URL', 'PATH', 'OTEL_EXPORTER_OTLP_ENDPOINT'];

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** @throws ConfigError that names every setting that is wrong. */
export function assertConfig(settings: Settings): Config {
  const problems: string[] = [];
  const known = new Set([...OTHERS, ...IN_USE_ELSEWHERE]);
  const text = (name: string) => {
    known.add(name);
    return settings[name];
  };
  const whole = (name: string, fallback: number, min: number, max: number) => {
    const given = text(name);
    if (given === undefined) return fallback;
    const value = Number(given);
    if (/^\d+$/.test(given) && value >= min && value <= max) return value;
    problems.push(`${name} is "${given}": give a whole number from ${min} to ${max}`);
    return fallback;
  };
  const oneOf = <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
    const given = text(name);
    if (given === undefined) return fallback;
    const found = allowed.find((a) => a === given.toLowerCase());
    if (!found) problems.push(`${name} is "${given}": give one of ${allowed.join(', ')}`);
    return found ?? fallback;
  };
  const list = (name: string) =>
    (text(name) ?? '')
      .split(',')
      .map((s) => s.trim())
      .filter(Boolean);

  const roles = list('VIGIL_ROLES');
  for (const role of roles) {
    if (!ROLES.some((r) => r === role)) {
      problems.push(`VIGIL_ROLES names "${role}": give some of ${ROLES.join(', ')}, or leave it out for all`);
    }
  }
  const buckets = list('VIGIL_BUCKETS');
  for (const bucket of buckets) {
    if (!/^[a-z0-9][a-z0-9.-]{1,62}$/i.test(bucket)) {
      problems.push(`VIGIL_BUCKETS names "${bucket}": a bucket has 2 to 63 letters, digits, dots and dashes`);
    }
  }
  const databaseUrl = settings.DATABASE_URL ?? null;
  if (databaseUrl !== null && !/^postgres(ql)?:\/\//.test(databaseUrl)) {
    problems.push(
      'DATABASE_URL is set, but not to an address of the form postgresql://user:password@host:5432/database',
    );
  }

  const shards = whole('VIGIL_SHARDS', 1, 1, 256);
  const config: Config = {
    dataFolder: resolve(text('VIGIL_DATA') ?? '.vigil/data'),
    databaseUrl,
    host: text('VIGIL_HOST') ?? '127.0.0.1',
    port: whole('VIGIL_PORT', 8080, 0, 65535),
    buckets,
    keyPattern: keyPatternOf(text, problems),
    logLevel: oneOf('VIGIL_LOG_LEVEL', LOG_LEVELS, 'info'),
    roles: roles.length > 0 ? ROLES.filter((r) => roles.includes(r)) : [...ROLES],
    shards,
    shard: whole('VIGIL_SHARD', 0, 0, shards - 1),
    replica: text('VIGIL_REPLICA') ?? 'local',
    kafka: kafkaOf(text, list, whole, oneOf, problems),
    s3: s3Of(text, problems),
    acknowledgements: acknowledgementsOf(list, whole, problems),
    cases: {
      disputeDays: whole('VIGIL_DISPUTE_DAYS', 30, 1, 365),
      appealDays: whole('VIGIL_APPEAL_DAYS', 7, 1, 365),
      strikeDays: whole('VIGIL_STRIKE_DAYS', 90, 1, 3650),
      strikes: whole('VIGIL_STRIKES', 3, 1, 100),
      noticedADay: whole('VIGIL_NOTICED_A_DAY', 1000, 0, 1_000_000),
      calendar: oneOf('VIGIL_CALENDAR', ['us-federal', 'weekdays'], 'us-federal'),
    },
    brakes: {
      hot: whole('VIGIL_BRAKE_HOT', 10, 2, 200),
      floodReference: whole('VIGIL_BRAKE_REFERENCE', 100, 2, 1_000_000),
      floodHolder: whole('VIGIL_BRAKE_HOLDER', 300, 2, 10_000_000),
      cap: whole('VIGIL_BRAKE_CAP', 200_000, 1, 1_000_000_000),
    },
    canary: oneOf('VIGIL_CANARY', ['true', 'false'], 'false') === 'true',
    privateWebhooks: oneOf('VIGIL_PRIVATE_WEBHOOKS', ['true', 'false'], 'false') === 'true',
    keepDays: whole('VIGIL_KEEP_DAYS', 180, 1, 3650),
    lookBackSeconds: whole('VIGIL_LOOK_BACK_SECONDS', 60, 0, 86_400),
    api: apiOf(text, whole, problems),
    watching: {
      diskReserveBytes: MIB * whole('VIGIL_DISK_RESERVE_MIB', 1024, 0, 1_048_576),
      otlpEndpoint: otlpOf(text, problems),
    },
    concurrency: whole('VIGIL_CONCURRENCY', Math.min(availableParallelism(), 64), 1, 256),
    limits: {
      maxImageBytes: MIB * whole('VIGIL_MAX_IMAGE_MIB', 64, 1, 1024),
      maxVideoBytes: GIB * whole('VIGIL_MAX_VIDEO_GIB', 64, 1, 1024),
      maxPixels: 1e6 * whole('VIGIL_MAX_MEGAPIXELS', 100, 1, 1000),
      maxDurationSeconds: 3600 * whole('VIGIL_MAX_HOURS', 48, 1, 48),
      probeSeconds: whole('VIGIL_PROBE_SECONDS', 20, 1, 600),
      sliceSeconds: whole('VIGIL_SLICE_SECONDS', 120, 1, 3600),
      decoderBytes: MIB * whole('VIGIL_DECODER_MIB', 3072, 256, 65536),
    },
    ffmpeg: { ffmpegPath: text('VIGIL_FFMPEG'), ffprobePath: text('VIGIL_FFPROBE'), path: settings.PATH ?? '' },
    unknown: [],
  };
  config.unknown = Object.keys(settings).filter((name) => !known.has(name));
  if (problems.length > 0) throw new ConfigError(`the settings cannot be used:\n- ${problems.join('\n- ')}`);
  return config;
}

type Text = (name: string) => string | undefined;

/** `minio:9000` is a URL as well, of a scheme of its own. */
const isAddress = (given: string): boolean => /^https?:\/\//.test(given) && URL.canParse(given);

function kafkaOf(
  text: Text,
  list: (name: string) => string[],
  whole: (name: string, fallback: number, min: number, max: number) => number,
  oneOf: <T extends string>(name: string, allowed: readonly T[], fallback: T) => T,
  problems: string[],
): KafkaSettings | null {
  const brokers = list('VIGIL_KAFKA_BROKERS');
  const encrypted = oneOf('VIGIL_KAFKA_SSL', ['true', 'false'], 'false') === 'true';
  const pem: { ca?: string; cert?: string; key?: string } = {};
  for (const part of ['ca', 'cert', 'key'] as const) {
    const name = `VIGIL_KAFKA_${part.toUpperCase()}`;
    const given = text(name);
    if (given === undefined) continue;
    pem[part] = given;
    if (!given.includes('-----BEGIN ')) problems.push(`${name} is no PEM text: give its file with ${name}_FILE`);
    if (!encrypted) problems.push(`${name} is set: set VIGIL_KAFKA_SSL=true too`);
  }
  if (!pem.cert !== !pem.key) problems.push('give both VIGIL_KAFKA_CERT and VIGIL_KAFKA_KEY, or neither');
  const ssl = encrypted && Object.keys(pem).length > 0 ? pem : encrypted;
  const mechanism = oneOf('VIGIL_KAFKA_SASL', ['none', 'plain', 'scram-sha-256', 'scram-sha-512'], 'none');
  const [username, password] = [text('VIGIL_KAFKA_USERNAME'), text('VIGIL_KAFKA_PASSWORD')];
  const replicas = whole('VIGIL_KAFKA_REPLICAS', 0, 0, 9) || null;
  for (const broker of brokers) {
    if (!/^[^\s:]+:\d+$|^\[[^\]]+\]:\d+$/.test(broker))
      problems.push(`VIGIL_KAFKA_BROKERS names "${broker}": give host:port`);
  }
  if (mechanism !== 'none' && !(username && password)) {
    problems.push('VIGIL_KAFKA_SASL is set: give VIGIL_KAFKA_USERNAME and VIGIL_KAFKA_PASSWORD too');
  }
  if (brokers.length === 0) return null;
  const sasl = mechanism === 'none' ? null : { mechanism, username: username ?? '', password: password ?? '' };
  return { brokers, ssl, sasl, replicas };
}

function keyPatternOf(text: Text, problems: string[]): KeyPattern | null {
  const given = text('VIGIL_KEY_PATTERN');
  if (given === undefined) return null;
  try {
    return parseKeyPattern(given);
  } catch (error) {
    problems.push(`VIGIL_KEY_PATTERN is "${given}": ${(error as Error).message}`);
    return null;
  }
}

function s3Of(text: Text, problems: string[]): S3Settings | null {
  const endpoint = text('VIGIL_S3_ENDPOINT') ?? null;
  const region = text('VIGIL_S3_REGION');
  const [accessKeyId, secretAccessKey] = [text('VIGIL_S3_ACCESS_KEY'), text('VIGIL_S3_SECRET_KEY')];
  const bucketPrefix = text('VIGIL_S3_BUCKET_PREFIX') ?? '';
  if (endpoint !== null && !isAddress(endpoint))
    problems.push(`VIGIL_S3_ENDPOINT is "${endpoint}": give an http(s) address`);
  if (!accessKeyId !== !secretAccessKey)
    problems.push('give both VIGIL_S3_ACCESS_KEY and VIGIL_S3_SECRET_KEY, or neither');
  if (endpoint === null && region === undefined) return null;
  const credentials = accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey } : null;
  return { endpoint, region: region ?? 'us-east-1', credentials, bucketPrefix };
}

function otlpOf(text: Text, problems: string[]): string | null {
  const given = text('VIGIL_OTLP_ENDPOINT') ?? text('OTEL_EXPORTER_OTLP_ENDPOINT') ?? null;
  if (given !== null && !isAddress(given))
    problems.push(
      `VIGIL_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT is "${given}": give an address like http://collector:4318`,
    );
  return given?.replace(/\/$/, '') ?? null;
}

function apiOf(
  text: Text,
  whole: (name: string, fallback: number, min: number, max: number) => number,
  problems: string[],
): ApiSettings {
  const publicUrl = text('VIGIL_PUBLIC_URL') ?? null;
  if (publicUrl !== null && !(isAddress(publicUrl) && /^https?:\/\/[^/?#]+\/?$/.test(publicUrl)))
    problems.push(`VIGIL_PUBLIC_URL is "${publicUrl}": give an http(s) address without a path`);
  const [issuer, audience] = [text('VIGIL_OIDC_ISSUER'), text('VIGIL_OIDC_AUDIENCE')];
  const [roleClaim, holderClaim] = [text('VIGIL_OIDC_ROLE_CLAIM'), text('VIGIL_OIDC_HOLDER_CLAIM')];
  const [clientId, clientSecret] = [text('VIGIL_OIDC_CLIENT_ID'), text('VIGIL_OIDC_CLIENT_SECRET')];
  if (clientSecret && !clientId) problems.push('VIGIL_OIDC_CLIENT_SECRET is set: give VIGIL_OIDC_CLIENT_ID too');
  if (clientId && !issuer) problems.push('VIGIL_OIDC_CLIENT_ID is set: give VIGIL_OIDC_ISSUER too');
  if (!issuer !== !audience) problems.push('give both VIGIL_OIDC_ISSUER and VIGIL_OIDC_AUDIENCE, or neither');
  if (issuer !== undefined && !isAddress(issuer))
    problems.push(`VIGIL_OIDC_ISSUER is "${issuer}": give the provider's http(s) address`);
  const oidc =
    issuer && audience
      ? {
          issuer,
          audience,
          client: clientId ? { id: clientId, secret: clientSecret ?? null } : null,
          roleClaim: roleClaim ?? 'vigil_role',
          holderClaim: holderClaim ?? 'vigil_holder',
        }
      : null;
  return {
    publicUrl: publicUrl?.replace(/\/$/, '') ?? null,
    requestsPerMinute: whole('VIGIL_REQUESTS_PER_MINUTE', 6000, 1, 10_000_000),
    oidc,
  };
}

const MAX_SURFACES = 32;
const MAX_RESENDS = 20;
const DAY_SECONDS = 86_400;

function acknowledgementsOf(
  list: (name: string) => string[],
  whole: (name: string, fallback: number, min: number, max: number) => number,
  problems: string[],
): AcknowledgementSettings {
  const surfaces = [...new Set(list('VIGIL_SURFACES'))];
  for (const surface of surfaces) {
    if (!/^[a-z0-9][a-z0-9._-]{0,62}$/i.test(surface))
      problems.push(
        `VIGIL_SURFACES names "${surface}": a surface has 1 to 63 letters, digits, dots, dashes, underscores`,
      );
  }
  if (surfaces.length > MAX_SURFACES) problems.push(`VIGIL_SURFACES names more than ${MAX_SURFACES} surfaces`);
  const given = list('VIGIL_RESEND_SECONDS');
  const resendSeconds = given.length > 0 ? given.map(Number) : [30, 60, 120, 300, 600];
  if (
    given.length > MAX_RESENDS ||
    given.some((text, n) => !/^\d+$/.test(text) || resendSeconds[n]! < 1 || resendSeconds[n]! > DAY_SECONDS)
  ) {
    problems.push(
      `VIGIL_RESEND_SECONDS is "${given.join(',')}": give at most ${MAX_RESENDS} whole numbers from 1 to ${DAY_SECONDS}, like 30,60,120`,
    );
  }
  return { surfaces, deadlineSeconds: whole('VIGIL_ACK_SECONDS', 600, 1, 30 * DAY_SECONDS), resendSeconds };
}

/** Read by tests and set-up scripts, before there is a configuration, and by the canary, which shares no code with us. */
const IN_USE_ELSEWHERE = [
  ...['INSTANCE', 'KEY', 'KEY_FILE', 'NAME', 'EVERY_SECONDS', 'OBJECTIVE_SECONDS', 'FOLDER', 'PORT', 'HOST'].map(
    (name) => `VIGIL_CANARY_${name}`,
  ),
  'VIGIL_CANARY_HEARTBEAT',
  'VIGIL_CANARY_WEBHOOK',
  'VIGIL_KEY',
  'VIGIL_INSTANCE',
  'VIGIL_CORPUS',
  'VIGIL_REQUIRE',
  'VIGIL_FULL',
  'VIGIL_TEST_DATABASE_URL',
  'VIGIL_TEST_RECORD',
  'VIGIL_TEST_KAFKA',
  'VIGIL_TEST_S3_ENDPOINT',
  'VIGIL_TEST_S3_ACCESS_KEY',
  'VIGIL_TEST_S3_SECRET_KEY',
];
