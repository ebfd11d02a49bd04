import pino from 'pino';
import { redact, redactText } from './redact.ts';
import { currentTrace } from './trace.ts';

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

/**
 * Creates no thread and writes at once, so that the last words of a process that dies are not lost. Lines name the trace that they
 * belong to, and hold no secrets and no personal data (`redact.ts`).
 */
export function createLogger({ level = 'info', to = 'stdout', file }: LoggerOptions = {}): Logger {
  const dest = file ?? (to === 'stderr' ? 2 : 1);
  const destination = file || typeof to === 'string' ? pino.destination({ dest, sync: true }) : to;
  const hide = (fields: object) => redact(fields) as Record<string, unknown>;
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }), log: hide },
    mixin() {
      const trace = currentTrace();
      return trace ? { trace: trace.traceId } : {};
    },
  };
  const write =
    (p: pino.Logger, name: Exclude<LogLevel, 'silent'>): Write =>
    (fields, message) =>
      p[name](fields, redactText(message));
  const shown = (p: pino.Logger): Logger => ({
    debug: write(p, 'debug'),
    info: write(p, 'info'),
    warn: write(p, 'warn'),
    error: write(p, 'error'),
    child: (fields) => shown(p.child(hide(fields))),
  });
  return shown(pino(options, destination));
}

/** For tests and for callers who were given none. */
export const silentLogger: Logger = createLogger({ level: 'silent', to: { write: () => undefined } });
