import { expect, test } from 'vitest';
import { createLogger } from './logger.ts';
import { pseudonym, redact, redactText } from './redact.ts';

test.each([
  ['a password in an address', 'see postgresql://vigil:hunter2@db.example/vigil', 'hunter2'],
  ['a presigned address of S3', 'GET https://s3/b/k?X-Amz-Expires=60&X-Amz-Signature=abcdef0123 failed', 'abcdef0123'],
  ['one of ours', 'http://localhost/blobs/b/k?expires=17&signature=c2lnbmF0dXJl', 'c2lnbmF0dXJl'],
  ['an authorization header', 'authorization: Bearer abc.def-ghi', 'abc.def-ghi'],
  ['basic credentials', 'got Basic dXNlcjpwYXNz back', 'dXNlcjpwYXNz'],
  ['a key of the API', 'key vgl_0123456789abcdef_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-abcde', 'AbCdEfGhIjKl'],
  ['a webhook secret', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'MfKQ9r8G'],
  ['a token of an identity provider', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl', 'eyJzdWIiOiJ4In0'],
  ['a private key', '-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----', 'MIIEvQ'],
  ['a row that a database quotes', 'Failing row contains (1, Jane Doe, 5 Elm St).', 'Jane Doe'],
  ['a key that it quotes', 'Key (email)=(jane) already exists.', '(jane)'],
  ['an e-mail address', 'sent to jane.doe+x@mail.example.org at once', 'jane.doe'],
])('%s is not in a text', (_what, text, secret) => {
  expect(redactText(text)).not.toContain(secret);
});

test('what is no secret stays: addresses, hosts, ids, versions', () => {
  for (const text of [
    'a http://h:80/p@q b redis://h c postgresql://u@%2Ftmp%2Fx:5432/d',
    'postgresql://vigil@db.example.org/vigil',
    'ref_0a1b@2 in vigil.takedowns/3/17',
    'https://s3.example/bucket/key?versionId=3',
  ])
    expect(redactText(text)).toBe(text);
});

test('fields are hidden by name, in any spelling and depth; accounts become words that can be compared', () => {
  const found = redact({
    request: { headers: { Authorization: 'x-secret', 'set-cookie': ['x-secret'] }, url: '/v1?token=x-secret' },
    list: [{ api_key: 'x-secret' }, { 'API-Key': 'x-secret' }, { clientSecret: 'x-secret' }],
    notice: {
      complainant: 'Jane',
      name: 'Jane',
      e_mail: 'jane@mail.example',
      phone: 'Jane',
      address: { street: 'Jane' },
    },
    account: 'jane-1990',
    counted: { account: null, token: null, tokens: 12 },
  });
  const text = JSON.stringify(found);
  expect(text).not.toMatch(/x-secret|jane/i);
  expect(found).toMatchObject({ account: pseudonym('jane-1990'), counted: { account: null, token: null, tokens: 12 } });
  expect(pseudonym('jane-1990')).not.toBe(pseudonym('jane-1991'));
});

test('errors keep what helps, and lose what is secret, with their causes', () => {
  const cause = Object.assign(new Error('Bearer abcdefgh was refused'), { detail: 'Key (email)=(jane) exists' });
  const error = Object.assign(new Error('cannot reach postgres://v:hunter2@db', { cause }), {
    code: 'X1',
    password: 'p',
  });
  const text = JSON.stringify(redact({ error }));
  expect(text).not.toMatch(/hunter2|abcdefgh|\(jane\)|"p"/);
  expect(redact({ error })).toMatchObject({
    error: { code: 'X1', type: 'Error', stack: expect.stringContaining('redact.test') },
  });
});

test('what is endless ends', () => {
  const ring: Record<string, unknown> = {};
  ring.self = ring;
  expect(JSON.stringify(redact(ring))).toContain('[deep]');
  expect((redact(Array.from({ length: 1000 }, (_, n) => n)) as unknown[]).length).toBe(101);
  expect(redact(new Uint8Array(9))).toBe('[9 bytes]');
});

test('nothing of that reaches a log line, by fields, by children or by errors', () => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'debug', to: { write: (line) => void lines.push(line) } });
  logger.child({ account: 'jane-1990', token: 'x-secret' }).info({ note: 'Bearer x-secret-x' }, 'one');
  logger.error({ error: new Error('https://s3/k?X-Amz-Signature=x-secret') }, 'two');
  logger.warn({ url: 'https://s3/k?X-Amz-Signature=x-secret', email: 'jane@mail.example' }, 'three');
  expect(lines.length).toBe(3);
  expect(lines.join()).not.toMatch(/x-secret|jane/);
});
