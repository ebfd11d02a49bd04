import pino from 'pino';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

type Write = (fields: Record<string, unknown>, message: string) => void;

/** Fields first, then a message that is the same for every occurrence. An error goes into the field `error`. */
export interface Logger {
  debug: Write;
  info: Write;
  warn: Write;
  error: Write;
  child(fields: Record<string, unknown>): Logger;
}

export interface LoggerOptions {
  level?: LogLevel;
  /** Where lines of JSON go: stdout, or stderr where stdout belongs to results. */
  to?: 'stdout' | 'stderr' | { write(line: string): void };
  /** A file to append to, in place of `to`. Its folder must exist. */
  file?: string;
}

const SECRETS = ['password', 'secret', 'token', 'authorization', 'cookie', 'apiKey', 'secretAccessKey', 'sessionToken'];
const HIDDEN = '[hidden]';

/** Creates no thread and writes at once, so that the last words of a process that dies are not lost. */
export function createLogger({ level = 'info', to = 'stdout', file }: LoggerOptions = {}): Logger {
  const dest = file ?? (to === 'stderr' ? 2 : 1);
  const destination = file || typeof to === 'string' ? pino.destination({ dest, sync: true }) : to;
  const error = (value: unknown) => (value instanceof Error ? pino.stdSerializers.err(value) : value);
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: withoutCredentials },
    serializers: { error, err: error },
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: HIDDEN },
  };
  return pino(options, destination);
}

/** For tests and for callers who were given none. */
export const silentLogger: Logger = createLogger({ level: 'silent', to: { write: () => undefined } });

/** `postgres://user:pass@host` loses its password wherever it turns up as a field of its own or inside of a text. */
export function hideCredentials(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]+@/gi, `$1:${HIDDEN}@`);
}

function withoutCredentials(fields: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields))
    out[name] = typeof value === 'string' ? hideCredentials(value) : value;
  return out;
}
