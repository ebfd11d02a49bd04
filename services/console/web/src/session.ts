import { computed, effect, signal } from '@preact/signals';
import type { Session, SignIn } from '../../src/wire.ts';
import { ask, get, ProblemError, sayError, useSession } from './api.ts';
import { setServerTime } from './clock.ts';

/** undefined: not known yet. null: nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Why the sign-in is shown, where it was not asked for. */
export const signedOutWhy = signal<string | null>(null);
export const may = (verb: string): boolean => session.value?.verbs.includes(verb) ?? false;
export const isHolder = computed(() => session.value?.role === 'holder');

const RENEW_AHEAD_MS = 60_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

function enter(found: Session): void {
  expectSession();
  useSession(found, () => leave('You were signed out. Sign in to go on where you were.'));
  setServerTime(found.now);
  signedOutWhy.value = null;
  session.value = found;
}

function leave(why: string | null): void {
  localStorage.removeItem(STORE);
  useSession(null);
  signedOutWhy.value = why;
  session.value = null;
}

/**
 * Whether there may be a session: its cookie cannot be read here, and asking the server without one is an error in the browser's
 * console.
 */
const STORE = 'vigil-session';
export const expectSession = (): void => localStorage.setItem(STORE, 'maybe');

/** Is there a session already? */
export async function findSession(): Promise<void> {
  if (localStorage.getItem(STORE) === null) return leave(null);
  try {
    enter(await get<Session>('/session'));
  } catch (error) {
    const gone = isSignedOut(error);
    leave(gone ? null : sayError(error));
    if (!gone) expectSession();
  }
}

/** Whether the server still knows the session; a server that does not answer says nothing of it. */
export async function checkSession(): Promise<boolean> {
  try {
    enter(await get<Session>('/session'));
    return true;
  } catch (error) {
    if (isSignedOut(error)) leave('You were signed out. Sign in to go on where you were.');
    return false;
  }
}

const isSignedOut = (error: unknown): boolean => error instanceof ProblemError && error.problem.status === 401;

/** @throws ProblemError when key or link open nothing */
export async function signIn(how: SignIn): Promise<void> {
  enter(await ask<Session>('POST', '/session', { json: how }));
}

export async function signOut(): Promise<void> {
  await ask('DELETE', '/session').catch(() => undefined);
  leave(null);
}

effect(() => {
  const current = session.value;
  if (!current) return;
  const wait = Math.min(LONGEST_TIMER_MS, Math.max(1000, current.renewBy - current.now - RENEW_AHEAD_MS));
  const timer = setTimeout(() => void ask<Session>('POST', '/session/renew').then(enter, () => undefined), wait);
  return () => clearTimeout(timer);
});
