import { createHash } from 'node:crypto';

/** Everything that is kept out of logs, spans and whatever else is written for operators, in one place. */

const HIDDEN = '[hidden]';

/** Fields, at any depth and in any spelling (apiKey, api_key, API-Key), that hold secrets. */
const SECRET_FIELDS = [
  ...['password', 'passphrase', 'secret', 'token', 'authorization', 'cookie', 'set-cookie', 'apiKey', 'credentials'],
  ...['secretAccessKey', 'accessKeyId', 'sessionToken', 'privateKey', 'clientSecret', 'signature', 'salt', 'csrf'],
];
/** Fields that tell of a person: what a notice, a dispute or a sign-in holds. */
const PERSONAL_FIELDS = [
  ...['name', 'fullName', 'firstName', 'lastName', 'address', 'street', 'city', 'postcode', 'phone', 'telephone'],
  ...['email', 'contact', 'complainant', 'subscriber', 'signatory', 'statement', 'goodFaith', 'ip', 'remoteAddress'],
];
/** Ids of persons: shortened digests, so that two lines about the same one can be told. */
const PSEUDONYMS = ['account', 'uploader', 'userId', 'sub'];

const plain = (field: string): string => field.toLowerCase().replace(/[^a-z0-9]/g, '');
const HIDE = new Set([...SECRET_FIELDS, ...PERSONAL_FIELDS].map(plain));
const DIGEST = new Set(PSEUDONYMS.map(plain));

/** What gives itself away in the middle of a text. */
const IN_TEXT: readonly [pattern: RegExp, instead: string][] = [
  // postgres://user:pass@host
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/@]+@/gi, `$1:${HIDDEN}@`],
  // Addresses that are a key by themselves: presigned ones, ours and those of S3, and links to sign in.
  [/\?[^\s"'<>]*\b(?:x-amz-\w+|signature|sig|token|access_token|code)=[^\s"'<>]*/gi, `?${HIDDEN}`],
  [/\b(bearer|basic|aws4-hmac-sha256)\s+[^\s"',;]{6,}(?:,\s*\w+=[^\s"']+)*/gi, `$1 ${HIDDEN}`],
  [/\b(vgl_[0-9a-f]{16})_[A-Za-z0-9_-]{20,}/g, `$1_${HIDDEN}`],
  [/\bwhsec_[A-Za-z0-9+/=_-]{8,}/g, `whsec_${HIDDEN}`],
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, HIDDEN],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  // PostgreSQL quotes rows in its errors.
  [/Failing row contains \([\s\S]*?\)\.?(?=\s|$)/g, `Failing row contains (${HIDDEN}).`],
  [/(Key \([^)]*\))=\([^)]*\)/g, `$1=(${HIDDEN})`],
  [/(?<![\w.:/+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b/gi, '[e-mail]'],
];

/** A text without secrets, signed addresses and e-mail addresses. */
export const redactText = (text: string): string =>
  IN_TEXT.reduce((done, [pattern, instead]) => done.replace(pattern, instead), text);

/** The same person is the same word; who it is cannot be read from it. */
export const pseudonym = (id: string): string => `~${createHash('sha256').update(id).digest('hex').slice(0, 10)}`;

const MOST_DEPTH = 8;
const MOST_ITEMS = 100;

/** The same data without secrets and personal data. Errors become plain objects with type, message, code, stack and cause. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value;
  if (depth >= MOST_DEPTH) return '[deep]';
  if (value instanceof Error) return errorOf(value, depth);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) {
    const all = value.slice(0, MOST_ITEMS).map((one) => redact(one, depth + 1));
    return value.length > MOST_ITEMS ? [...all, `[and ${value.length - MOST_ITEMS} more]`] : all;
  }
  return Object.fromEntries(Object.entries(value).map(([field, one]) => [field, ofField(field, one, depth)]));
}

function ofField(field: string, value: unknown, depth: number): unknown {
  const name = plain(field);
  const empty = value === null || value === undefined || value === '' || typeof value === 'boolean';
  if (HIDE.has(name) && !empty) return HIDDEN;
  if (DIGEST.has(name) && !empty) return pseudonym(String(value));
  return redact(value, depth + 1);
}

function errorOf(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause, ...more } = error as Error & Record<string, unknown>;
  const rest = redact({ ...more }, depth + 1) as Record<string, unknown>;
  // As pino writes them: the message tells its causes, too.
  const causes = cause instanceof Error ? `: ${cause.message}` : '';
  return {
    type: name ?? error.constructor.name,
    message: redactText(`${error.message ?? message}${causes}`),
    stack: redactText(error.stack ?? ''),
    ...rest,
    ...(cause instanceof Error
      ? { cause: errorOf(cause, depth + 1) }
      : cause === undefined
        ? {}
        : { cause: redact(cause, depth + 1) }),
  };
}
