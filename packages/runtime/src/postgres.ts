import pg from 'pg';

/** What a query needs. A transaction, a session and the pool itself all are one. */
export interface Queryable {
  /** Rows as objects. bigint columns are numbers, jsonb is parsed, bytea is a Uint8Array. @throws PostgresError */
  query<T = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<T[]>;
}

/** A connection of one's own, for session advisory locks. Disposing it closes the connection and so frees its locks. */
export interface PostgresSession extends Queryable {
  /** Aborts when the connection is gone, and with it every lock that it held. */
  readonly lost: AbortSignal;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Postgres extends Queryable {
  readonly url: string;
  /**
   * Runs `fn` in one transaction; begins again (at most five times) when the server says serialization failure or deadlock,
   * so `fn` must not do anything outside of the transaction that may not happen twice. Its statements with parameters are
   * prepared once a connection, which halves what the route's short ones cost; `query` alone plans for its very values.
   */
  transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T>;
  /**
   * Hears NOTIFY on a connection of its own, shared by all channels. It reconnects by itself, and then calls every
   * listener with an empty payload, since notifications may have been missed. A wake-up, never the only source of news:
   * listeners poll as well.
   */
  listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable>;
  session(): Promise<PostgresSession>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface PostgresOptions {
  url: string;
  /** Connections of the pool; listening and sessions come on top. Default 10. */
  max?: number;
  applicationName?: string;
}

/**
 * Retriable: the environment is broken (no connection, server restarting, out of connections, lock timeout, conflict with
 * another transaction); the same call may succeed later. Not retriable: the statement, its values or the settings.
 * `code` is the SQLSTATE, or the system's error code where there was no server to ask.
 */
export class PostgresError extends Error {
  override name = 'PostgresError';
  readonly retriable: boolean;
  readonly code: string;
  constructor(message: string, options: { retriable: boolean; code: string; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.retriable = options.retriable;
    this.code = options.code;
  }
}

/** Text as every store of ours takes it: NUL and lone surrogates become U+FFFD. */
export const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

/**
 * JSON for a jsonb parameter. Needed for arrays (pg would send them as PostgreSQL arrays) and for text that jsonb refuses:
 * NUL and lone surrogates become U+FFFD.
 */
export function jsonb(value: unknown): string {
  const text = JSON.stringify(value ?? null);
  if (!/\\u(?:0000|d[89a-f])/i.test(text)) return text;
  return JSON.stringify(value, (_, v) => {
    if (typeof v === 'string') return storable(v);
    if (v === null || typeof v !== 'object' || Array.isArray(v)) return v;
    return Object.fromEntries(Object.entries(v).map(([k, inner]) => [storable(k), inner]));
  });
}

/** Opens nothing by itself: the first query connects. @throws PostgresError from its verbs, never from here. */
export function openPostgres({ url, max = 10, applicationName = 'vigil' }: PostgresOptions): Postgres {
  const config: pg.ClientConfig = {
    connectionString: url,
    application_name: applicationName,
    keepAlive: true,
    connectionTimeoutMillis: 10_000,
    types: { getTypeParser } as pg.CustomTypesConfig,
  };
  const pool = new pg.Pool({
    ...config,
    max,
    idleTimeoutMillis: 30_000,
    statement_timeout: MAX_STATEMENT_MS,
    // Ours, for a server that has gone without a word.
    query_timeout: MAX_STATEMENT_MS + 10_000,
    idle_in_transaction_session_timeout: MAX_IDLE_IN_TRANSACTION_MS,
  });
  // A broken idle connection leaves the pool by itself; the next query opens another one.
  pool.on('error', () => undefined);
  const sessions = new Set<PostgresSession>();
  const listener = createListener(config);
  let closed: Promise<void> | undefined;

  const self: Postgres = {
    url,
    query: (text, params) => run(pool, text, params),
    async transaction(fn) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(pool, fn);
        } catch (error) {
          const again = error instanceof PostgresError && BEGIN_AGAIN.has(error.code);
          if (!again || attempt >= MAX_ATTEMPTS) throw error;
          await pause(Math.random() * 10 * 2 ** attempt);
        }
      }
    },
    listen: listener.listen,
    async session() {
      const client = await connect(config);
      const lost = new AbortController();
      const end = () => lost.abort(new PostgresError('the connection is gone', { retriable: true, code: '08006' }));
      client.on('error', end);
      client.on('end', end);
      const session: PostgresSession = {
        lost: lost.signal,
        query: (text, params) => run(client, text, params),
        async [Symbol.asyncDispose]() {
          sessions.delete(session);
          await client.end().catch(() => undefined);
        },
      };
      sessions.add(session);
      return session;
    },
    [Symbol.asyncDispose]() {
      closed ??= (async () => {
        await listener.close();
        await Promise.all([...sessions].map((s) => s[Symbol.asyncDispose]()));
        await pool.end();
      })();
      return closed;
    },
  };
  return self;
}

const MAX_ATTEMPTS = 5;
/** What a connection has prepared is of a table that has changed since. */
const OUTDATED_PLAN = '0A000';
/** Serialization failure, deadlock. */
const BEGIN_AGAIN = new Set(['40001', '40P01', OUTDATED_PLAN]);
/** More than the project has; texts that are made up anew each time must not fill a server's memory. */
const MOST_PREPARED = 500;
const MAX_RECONNECT_MS = 5000;
/** So that nothing waits, or keeps others waiting, for ever. Sessions are exempt: waiting for a lock is their trade. */
const MAX_STATEMENT_MS = 300_000;
const MAX_IDLE_IN_TRANSACTION_MS = 60_000;

async function once<T>(pool: pg.Pool, fn: (tx: Queryable) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw toPostgresError(error);
  });
  // While a client is lent out its errors are its own: unheard, a cut connection would end the process.
  const ignore = () => undefined;
  client.on('error', ignore);
  let open = true;
  let broken: Error | undefined;
  try {
    await run(client, 'BEGIN');
    const result = await fn({
      query: (text, params) => {
        if (open) return run(client, text, params, params && preparedName(text));
        const message = 'a query was sent after its transaction had ended';
        return Promise.reject(new PostgresError(message, { retriable: false, code: '25000' }));
      },
    });
    open = false;
    // COMMIT of a transaction in which a statement failed and was caught answers ROLLBACK, and no error.
    const { command } = await client.query('COMMIT').catch((error) => {
      throw toPostgresError(error);
    });
    if (command !== 'COMMIT') {
      const message = 'the transaction was rolled back: a statement in it had failed and its error was not passed on';
      throw new PostgresError(message, { retriable: false, code: '25P02' });
    }
    return result;
  } catch (error) {
    open = false;
    if (error instanceof PostgresError && error.code === OUTDATED_PLAN) {
      broken = error;
      // Other connections have prepared the same: under other names it is prepared anew.
      preparedNames.clear();
    }
    await client.query('ROLLBACK').catch((e: Error) => {
      broken = e;
    });
    throw error;
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}

/** Of a statement's text, in all connections. */
const preparedNames = new Map<string, string>();
let named = 0;

function preparedName(text: string): string | undefined {
  if (!preparedNames.has(text) && preparedNames.size < MOST_PREPARED) preparedNames.set(text, `vigil_${named++}`);
  return preparedNames.get(text);
}

/** @param name under which the connection keeps the statement, prepared */
async function run<T>(
  on: pg.Pool | pg.ClientBase,
  text: string,
  params?: readonly unknown[],
  name?: string,
): Promise<T[]> {
  try {
    const values = params ? { values: params as unknown[] } : {};
    const result = await on.query({ text, ...values, ...(name ? { name } : {}) });
    // Several statements in one text give several results; the last one's rows are meant.
    return (Array.isArray(result) ? result.at(-1).rows : result.rows) as T[];
  } catch (error) {
    throw toPostgresError(error);
  }
}

async function connect(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  // Heard before connecting: a failure may come both as a rejection and as an event.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw toPostgresError(error);
  }
}

function createListener(config: pg.ClientConfig) {
  const channels = new Map<string, Set<(payload: string) => void>>();
  let client: pg.Client | undefined;
  let starting: Promise<pg.Client> | undefined;
  let closed = false;

  const start = async () => {
    const fresh = await connect(config);
    fresh.on('notification', (n) => {
      for (const tell of channels.get(n.channel) ?? []) tell(n.payload ?? '');
    });
    fresh.once('end', () => void reconnect(fresh));
    fresh.once('error', () => void reconnect(fresh));
    try {
      for (const channel of channels.keys()) await run(fresh, `LISTEN ${pg.escapeIdentifier(channel)}`);
    } catch (error) {
      await fresh.end().catch(() => undefined);
      throw error;
    }
    client = fresh;
    return fresh;
  };
  const ready = () => {
    if (client) return Promise.resolve(client);
    starting ??= start().finally(() => {
      starting = undefined;
    });
    return starting;
  };
  const reconnect = async (gone: pg.Client) => {
    if (client !== gone) return;
    client = undefined;
    await gone.end().catch(() => undefined);
    for (let wait = 50; !closed && channels.size > 0; wait = Math.min(2 * wait, MAX_RECONNECT_MS)) {
      try {
        await ready();
        for (const tellers of channels.values()) for (const tell of tellers) tell('');
        return;
      } catch {
        await pause(wait * (0.5 + Math.random()));
      }
    }
  };

  return {
    async listen(channel: string, onNotify: (payload: string) => void): Promise<AsyncDisposable> {
      if (closed) throw new PostgresError('already closed', { retriable: false, code: '08003' });
      // A function of its own each time: the same callback may listen twice.
      const tell = (payload: string) => onNotify(payload);
      const tellers = channels.get(channel) ?? new Set();
      channels.set(channel, tellers.add(tell));
      const stop = async () => {
        tellers.delete(tell);
        if (tellers.size > 0 || channels.get(channel) !== tellers) return;
        channels.delete(channel);
        if (client) await run(client, `UNLISTEN ${pg.escapeIdentifier(channel)}`).catch(() => undefined);
      };
      try {
        await run(await ready(), `LISTEN ${pg.escapeIdentifier(channel)}`);
      } catch (error) {
        await stop();
        throw error;
      }
      return { [Symbol.asyncDispose]: stop };
    },
    async close() {
      closed = true;
      channels.clear();
      await starting?.catch(() => undefined);
      const last = client;
      client = undefined;
      await last?.end().catch(() => undefined);
    },
  };
}

const INT8 = 20;
const INT8_ARRAY = 1016;
const BYTEA = 17;

function getTypeParser(oid: number, format: 'text' | 'binary' = 'text'): unknown {
  if (format === 'text') {
    if (oid === INT8) return safeInteger;
    if (oid === INT8_ARRAY) return (text: string) => text.slice(1, -1).split(',').filter(Boolean).map(safeInteger);
    if (oid === BYTEA) return bytes;
  }
  return pg.types.getTypeParser(oid, format);
}

function safeInteger(text: string): number | null {
  if (text === 'NULL') return null;
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw new PostgresError(`${text} is more than a number holds exactly`, { retriable: false, code: '22003' });
}

/** `\x` and hexadecimal digits. The bytes get memory of their own, so that they can be handed to another thread. */
function bytes(text: string): Uint8Array {
  const buffer = Buffer.from(text.slice(2), 'hex');
  const alone = buffer.buffer.byteLength === buffer.length;
  return alone ? new Uint8Array(buffer.buffer, 0, buffer.length) : new Uint8Array(buffer);
}

/** SQLSTATE classes and codes (PostgreSQL manual, appendix A) that speak of the environment. */
const RETRIABLE = /^(?:08|40|53|57P|55P03|57014|25006|25P03|58030)/;
const RETRIABLE_SYSTEM = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function toPostgresError(error: unknown): PostgresError {
  if (error instanceof PostgresError) return error;
  const { message = String(error), code } = (error ?? {}) as { message?: string; code?: string };
  if (error instanceof AggregateError && error.errors.length > 0) return toPostgresError(error.errors[0]);
  if (code === undefined || code === '') {
    // pg's own complaints carry no code; all of them that are not about the connection are programming errors.
    const retriable = /terminated|timeout|timed out|closed|not queryable|connection/i.test(message);
    return new PostgresError(message, { retriable, code: retriable ? '08006' : 'XX000', cause: error });
  }
  const retriable = RETRIABLE.test(code) || RETRIABLE_SYSTEM.has(code);
  return new PostgresError(message, { retriable, code, cause: error });
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
