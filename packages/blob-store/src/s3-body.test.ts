import { PassThrough, type Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { guardedBody } from './s3-body.ts';

const guard = (body: Readable, length: number, signal?: AbortSignal) =>
  guardedBody(body, { length, idleMs: 60_000, what: 'b/k', signal });

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

it('passes on what was announced', async () => {
  const body = new PassThrough();
  const stream = guard(body, 6);
  body.write('abc');
  body.end('def');
  expect(await textOf(stream)).toBe('abcdef');
  expect(body.destroyed).toBe(true);
});

it('takes fewer bytes than announced for a broken line', async () => {
  const body = new PassThrough();
  body.end('abc');
  await expect(textOf(guard(body, 6))).rejects.toMatchObject({ code: 'unavailable' });
});

it('keeps an error for a reader who comes later, and ends no process by it', async () => {
  const body = new PassThrough();
  const stream = guard(body, 6);
  body.destroy(new Error('reset'));
  await expect.poll(() => stream.destroyed).toBe(true);
  await new Promise(setImmediate);
  await expect(textOf(stream)).rejects.toMatchObject({ code: 'unavailable' });
});

it('is done with the connection when it is destroyed or its signal is raised', async () => {
  const [one, two] = [new PassThrough(), new PassThrough()];
  guard(one, 6).destroy();
  const abort = new AbortController();
  const stream = guard(two, 6, abort.signal);
  abort.abort();
  await expect(textOf(stream)).rejects.toMatchObject({ name: 'AbortError' });
  expect([one.destroyed, two.destroyed]).toEqual([true, true]);
});
