import { afterEach, expect, test, vi } from 'vitest';
import { createPagedList } from './list.ts';

// What a browser has, and this list does not need.
vi.mock('./live.ts', () => ({ onLive: () => () => undefined }));
afterEach(() => vi.unstubAllGlobals());

test('a list that was read to its end and could not be looked at again is looked at again when it is tried', async () => {
  const answers = [['a', 'b'], null, ['c', 'b']];
  vi.stubGlobal('fetch', async () => {
    const items = answers.shift();
    if (!items) throw new TypeError('no line');
    return Response.json({ items, next: null });
  });
  const list = createPagedList<string>('/v1/cases?limit=100', (item) => item);
  await list.next();
  await list.refresh();
  expect(list.state.value).toBe('failed');
  expect(list.items.value).toEqual(['a', 'b']);
  await list.next();
  expect(list.state.value).toBe('ready');
  expect(list.items.value).toEqual(['c', 'b']);
  await list.next();
  expect(answers).toEqual([]);
});

/** A server's list, read in pages of three. */
function served(all: string[]) {
  const state = { all, asked: 0 };
  vi.stubGlobal('fetch', async (path: string) => {
    state.asked++;
    const after = new URL(path, 'http://x').searchParams.get('cursor');
    const from = after === null ? 0 : state.all.indexOf(after) + 1;
    const items = state.all.slice(from, from + 3);
    return Response.json({ items, next: from + 3 < state.all.length ? items.at(-1) : null });
  });
  return state;
}
const readOn = async (list: ReturnType<typeof createPagedList<string>>) => {
  while (list.more.value) await list.next();
  return list.items.value.join('');
};

test.each([
  ['at its top', 'vwxyzab'],
  ['at its end', 'abcdefg'],
])('a list that was read to its end and grew by more than a page %s is read on', async (_, grown) => {
  const server = served(['a', 'b']);
  const list = createPagedList<string>('/v1/cases?limit=3', (item) => item);
  expect(await readOn(list)).toBe('ab');
  server.all = [...grown];
  await list.refresh();
  expect(list.more.value).toBe(true);
  expect(list.items.value).toEqual(expect.arrayContaining(['a', 'b']));
  expect(await readOn(list)).toBe(grown);
});

test('a list that grew by more than a page while it was read has no gap, and each item in its place', async () => {
  const server = served([...'abcdefgh']);
  const list = createPagedList<string>('/v1/cases?limit=3', (item) => item);
  await list.next();
  await list.next();
  server.all = [...'uvwxyzabcdefgh'];
  await list.refresh();
  // What was read further down stays.
  expect(list.items.value.join('')).toBe('uvwabcdef');
  await list.next();
  expect(list.items.value.join('')).toBe('uvwxyzabcdef');
  expect(await readOn(list)).toBe('uvwxyzabcdefgh');
});

test('a list with little that is new goes on where it was, and what is gone is gone at its end', async () => {
  const server = served([...'abcdefgh']);
  const list = createPagedList<string>('/v1/cases?limit=3', (item) => item);
  await list.next();
  await list.next();
  server.all = [...'zabcdfgh'];
  await list.refresh();
  expect(list.items.value.join('')).toBe('zabcdef');
  server.asked = 0;
  await list.next();
  expect(list.items.value.join('')).toBe('zabcdefgh');
  expect(server.asked).toBe(1);
  await list.refresh();
  expect(await readOn(list)).toBe('zabcdfgh');
});
