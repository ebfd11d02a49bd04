/** What a browser has is stubbed: the address, its history, what it keeps, and a server that knows one session and one link. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const found = (name: string) => ({ name, role: 'reviewer', holder: null, verbs: [], csrf: 'x', renewBy: 1e15, now: 0 });
let asked: string[];
let kept: Map<string, string>;
let address: { pathname: string; hash: string };

beforeEach(() => {
  asked = [];
  kept = new Map();
  address = { pathname: '/sign-in', hash: '' };
  vi.resetModules();
  vi.useFakeTimers();
  vi.stubGlobal('location', address);
  vi.stubGlobal('history', {
    replaceState: (_: null, __: string, to: string) => Object.assign(address, { pathname: to, hash: '' }),
  });
  vi.stubGlobal('localStorage', {
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, value: string) => kept.set(name, value),
    removeItem: (name: string) => kept.delete(name),
  });
  vi.stubGlobal('fetch', async (path: string, { method, body }: { method: string; body?: string }) => {
    asked.push(`${method} ${path}`);
    if (method === 'GET') return Response.json(found('who was here'));
    if (body === '{"link":"good"}') return Response.json(found('whom the link is for'), { status: 201 });
    return Response.json({ type: 'x', title: 'no', status: 401, detail: 'it was used' }, { status: 401 });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test('a link signs in whom it is for, though somebody is signed in', async () => {
  kept.set('vigil-session', 'maybe');
  address.hash = '#good';
  const { findSession, session } = await import('./session.ts');
  await findSession();
  expect(session.value?.name).toBe('whom the link is for');
  expect(asked).toEqual(['POST /session']);
  expect(address.hash).toBe('');
});

test('a link that opens nothing leaves who was here where they were, and says so', async () => {
  kept.set('vigil-session', 'maybe');
  address.hash = '#used';
  const { findSession, linkProblem, session } = await import('./session.ts');
  await findSession();
  expect(session.value?.name).toBe('who was here');
  expect(linkProblem.value).toMatch(/^This link was used already/);
});

test('a link that comes later, where nobody was signed in, is taken as well', async () => {
  const { enterByLink, findSession, session } = await import('./session.ts');
  await findSession();
  expect(session.value).toBe(null);
  expect(await enterByLink()).toBe(false);
  expect(asked).toEqual([]);
  address.hash = '#good';
  expect(await enterByLink()).toBe(true);
  expect(session.value?.name).toBe('whom the link is for');
});
