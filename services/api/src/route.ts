import type { Readable } from 'node:stream';
import type { z } from 'zod';
import type { Principal, Verb } from './principal.ts';

/** What a handler may use of the request beside its input. */
export interface Context {
  who: Principal;
  now: number;
  /** A header of the request. */
  header(name: string): string | undefined;
  /**
   * A new id. Under an idempotency key it is the same each time that the request is done, so that one which is done again after a
   * crash makes nothing twice.
   */
  newId(prefix: string): string;
  /** When the same request began before and was cut off, so that what it asks for may be done already; else null. */
  cutOff: number | null;
  /** The address that the caller reached us under, without a path. */
  base: string;
  /** @throws Problem when the request does not say, by If-Match, that it changes this version. */
  mustMatch(version: number | string): void;
}

export interface Answer {
  /** Of open routes, which may send people elsewhere, and of ranges; others answer with what their document says. */
  status?: number;
  body?: unknown;
  /** Version of what is shown or was changed: becomes the ETag. */
  version?: number | string;
  headers?: Record<string, string | string[]>;
}

/** Bodies that are not JSON come as they are. */
export type Body = z.ZodType | { stream: string; describe: string };

export interface Route {
  method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** With parameters in braces; each is named by its noun, which is what the tests of isolation go by. */
  path: string;
  tag: string;
  summary: string;
  details?: string;
  verb: Verb;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: Body;
  /** Bytes of a JSON body at most; default 256 KiB. */
  maxBytes?: number;
  /** It changes a version: the request must say which one. */
  needsIfMatch?: boolean;
  /** `ranges`: a part of it can be asked for, which is a 206, or a 416 where there is no such part. */
  answer: { status: number; describe: string; schema?: z.ZodType; type?: string; ranges?: boolean };
  /** Problems beside those that every route can have. */
  problems?: readonly string[];
  /** Members of the answer that are shown once: left out when an answer is repeated. */
  secret?: readonly string[];
  run(input: never, context: Context): Promise<Answer>;
}

type Of<T> = T extends z.ZodType ? z.output<T> : Record<string, never>;
type BodyOf<B> = B extends z.ZodType ? z.output<B> : B extends { stream: string } ? Readable : undefined;

/** Types a route's handler by its schemas. */
export function route<
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends Body | undefined = undefined,
>(
  it: Omit<Route, 'params' | 'query' | 'body' | 'run'> & {
    params?: P;
    query?: Q;
    body?: B;
    run(input: { params: Of<P>; query: Of<Q>; body: BodyOf<B> }, context: Context): Promise<Answer>;
  },
): Route {
  return it as unknown as Route;
}

export const isStream = (body: Body | undefined): body is { stream: string; describe: string } =>
  body !== undefined && 'stream' in body;
