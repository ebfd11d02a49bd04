import { computed, effect, signal } from '@preact/signals';
import type { Session, SignIn } from '../../src/wire.ts';
import { ask, get, ProblemError, sayError, useSession } from './api.ts';
import { setServerTime } from './clock.ts';

/** undefined: not known yet. null: nobody is signed in. */
export const session = signal<Session | null | undefined>(undefined);
/** Why the sign-in is shown, where it was not asked for. */
export const signedOutWhy = signal<string | null>(null);
/** What is wrong with the link that somebody came by. */
export const linkProblem = signal<string | null>(null);
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

/** A one-time link is /sign-in#token: used at once, and gone from the address before anything else is done. */
function tokenOfLink(): string | null {
  if (location.pathname !== '/sign-in' || location.hash.length < 2) return null;
  const token = location.hash.slice(1);
  history.replaceState(null, '', '/sign-in');
  return token;
}

/**
 * Signs in by the link that the address is, where it is one, also in place of somebody else: whoever opens it wants to be the one it
 * is for. Says whether it did.
 */
export async function enterByLink(): Promise<boolean> {
  const token = tokenOfLink();
  if (token === null) return false;
  try {
    await signIn({ link: token });
    return true;
  } catch (error) {
    linkProblem.value = isSignedOut(error)
      ? 'This link was used already, or is too old. Ask for another, or sign in with a key.'
      : sayError(error);
    return false;
  }
}

/** By the link somebody came with; else, is there a session already? */
export async function findSession(): Promise<void> {
  if (await enterByLink()) return;
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
  linkProblem.value = null;
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
