import { afterEach, expect, test, vi } from 'vitest';
import type { Case } from '../../../src/wire.ts';
import { createChain, readEarlier } from './reading.ts';

afterEach(() => vi.unstubAllGlobals());

/** A server with that many things, of which it tells some at a time, from after the cursor. */
function server<T>(things: T[], size: number, asked: string[] = []) {
  vi.stubGlobal('fetch', async (path: string) => {
    asked.push(path);
    const from = Number(new URL(path, 'http://x').searchParams.get('cursor') ?? 0);
    const next = from + size < things.length ? `${from + size}` : null;
    return Response.json({ items: things.slice(from, from + size), next });
  });
  return asked;
}
const links = (n: number) => Array.from({ length: n }, (_, i) => ({ seq: i + 1 }));

test('a chain is read to its end, and says until then that there is more', async () => {
  const asked = server(links(5), 2);
  const chain = createChain('/v1/cases/c');
  await chain.refresh();
  expect([chain.items.value.map((e) => e.seq), chain.more.value]).toEqual([[1, 2], true]);
  // Something happened: it is behind what is not read yet.
  await chain.refresh();
  expect(asked).toEqual(['/v1/cases/c/events']);
  await chain.next();
  expect([chain.items.value.map((e) => e.seq), chain.more.value]).toEqual([[1, 2, 3, 4], true]);
  await chain.next();
  expect([chain.items.value.map((e) => e.seq), chain.more.value]).toEqual([[1, 2, 3, 4, 5], false]);
});

test('what is added to a chain comes at its end, once, also where it begins another page', async () => {
  server(links(3), 2);
  const chain = createChain('/v1/cases/c');
  await chain.refresh();
  await chain.next();
  await chain.refresh();
  expect(chain.items.value.map((e) => e.seq)).toEqual([1, 2, 3]);
  server(links(5), 2);
  await chain.refresh();
  expect([chain.items.value.map((e) => e.seq), chain.more.value]).toEqual([[1, 2, 3, 4], true]);
  await chain.next();
  expect([chain.items.value.map((e) => e.seq), chain.more.value]).toEqual([[1, 2, 3, 4, 5], false]);
});

test('earlier claims are read as far as is wanted, in the order in which they were opened', async () => {
  const found = { id: 'c', moreClaims: '2' } as Case;
  const claims = [6, 5, 4, 3, 2, 1].map((n) => ({ id: `${n}` }));
  const ids = async (wanted: number) => {
    const earlier = await readEarlier(found, wanted);
    return [earlier.claims.map((c) => c.id).join(''), earlier.more];
  };
  const asked = server(claims, 2);
  expect(await ids(0)).toEqual(['', true]);
  expect(await ids(2)).toEqual(['34', true]);
  expect(await ids(3)).toEqual(['1234', false]);
  expect(asked[0]).toBe('/v1/claims?case=c&limit=100&cursor=2');
  expect(await readEarlier({ ...found, moreClaims: null }, 100)).toEqual({ claims: [], more: false });
});
