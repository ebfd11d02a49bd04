import { expect, it } from 'vitest';
import { s3Error } from './s3-errors.ts';

const answered = (name: string, httpStatusCode?: number) =>
  Object.assign(new Error('said so'), { name, $metadata: { httpStatusCode } });

it.each([
  ['NoSuchKey', 404, 'missing'],
  ['NotFound', 404, 'missing'],
  ['NoSuchVersion', 404, 'missing'],
  ['AccessDenied', 403, 'not-allowed'],
  ['InvalidObjectState', 403, 'not-allowed'],
  ['EntityTooLarge', 400, 'not-allowed'],
  ['MethodNotAllowed', 405, 'not-allowed'],
  ['InvalidBucketName', 400, 'bad-key'],
  ['KeyTooLongError', 400, 'bad-key'],
  ['SlowDown', 503, 'unavailable'],
  ['InternalError', 500, 'unavailable'],
  ['TooManyRequests', 429, 'unavailable'],
  ['TimeoutError', undefined, 'unavailable'],
  ['CredentialsProviderError', undefined, 'unavailable'],
])('%s (%s) means %s', (name, status, code) => {
  const error = s3Error(answered(name, status), 'b/k');
  expect(error).toMatchObject({ code, retriable: code === 'unavailable' });
  expect(error.message).toBe(`b/k: ${name}${status ? ` (${status})` : ''}: said so`);
});

it.each([
  ['ExpiredToken', 400],
  ['InvalidAccessKeyId', 403],
  ['SignatureDoesNotMatch', 403],
  ['RequestTimeTooSkewed', 403],
  ['NoSuchBucket', 404],
  ['PermanentRedirect', 301],
  ['BadDigest', 400],
])('%s (%i) condemns no object: the fault is ours', (name, status) => {
  expect(s3Error(answered(name, status), 'b/k').code).toBe('unavailable');
});

it('keeps what is already one of ours', () => {
  const error = s3Error(answered('NoSuchKey', 404), 'b/k');
  expect(s3Error(error, 'elsewhere')).toBe(error);
});
