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
