/** Every `type` that an answer of this API can have, what it means and what to do. RFC 9457; the types never change. */
export const PROBLEMS = {
  'bad-request': [400, 'The request is not understood'],
  unauthenticated: [401, 'A key is needed'],
  csrf: [403, 'The request was not made by the page'],
  'not-allowed': [403, 'This key may not do that'],
  'not-found': [404, 'There is no such thing here'],
  'method-not-allowed': [405, 'That is not done here'],
  'in-progress': [409, 'The same request is being answered'],
  'idempotency-conflict': [409, 'The idempotency key was used for another request'],
  conflict: [409, 'That cannot be done now'],
  'changed-meanwhile': [412, 'Somebody changed it meanwhile'],
  'too-large': [413, 'The body is too large'],
  'unsupported-type': [415, 'That content type is not read here'],
  'precondition-required': [428, 'Say which version you change'],
  'too-many-requests': [429, 'Too many requests'],
  'storage-full': [507, 'There is no room for more'],
  unavailable: [503, 'What is behind this is out of reach'],
  failed: [500, 'The request failed'],
} as const satisfies Record<string, readonly [number, string]>;
export type ProblemType = keyof typeof PROBLEMS;

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** An answer that is not what was asked for, and why. `more` are members of its own, such as `allowed`. */
export class Problem extends Error {
  override name = 'Problem';
  readonly type: ProblemType;
  readonly status: number;
  readonly more: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    type: ProblemType,
    detail: string,
    more: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.type = type;
    this.status = PROBLEMS[type][0];
    this.more = more;
    this.headers = headers;
  }
  toJSON(): Record<string, unknown> {
    const [status, title] = PROBLEMS[this.type];
    return { type: `urn:vigil:problem:${this.type}`, title, status, detail: this.message, ...this.more };
  }
}

export const notFound = (what: string, id: string): Problem => new Problem('not-found', `no ${what} ${id}`);
