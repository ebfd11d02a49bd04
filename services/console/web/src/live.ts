import { effect, signal } from '@preact/signals';
import type { LiveEvent, Status } from '../../src/wire.ts';
import { setServerTime } from './clock.ts';
import { checkSession, may, session } from './session.ts';

export type Connection = 'connecting' | 'live' | 'lost';
/** The line to the server; `lost` also while it is tried again. */
export const connection = signal<Connection>('connecting');
export const status = signal<Status | null>(null);

/** A status comes every 2 s: after this long the line is dead, whatever the browser thinks. */
const SILENCE_MS = 12_000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const TYPES = ['hello', 'reset', 'status', 'verdict', 'takedown', 'case', 'reference', 'queue', 'alarm'] as const;

type Listener = (event: LiveEvent) => void;
const listeners = new Set<Listener>();

/** Hears everything from now on. After a gap that could not be filled a `reset` comes: ask again for all that is shown. */
export function onLive(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
let failures = 0;
let heardAt = 0;

function open(): void {
  clearTimeout(retry);
  source?.close();
  const opened = new EventSource('/v1/live');
  source = opened;
  heardAt = Date.now();
  for (const type of TYPES) opened.addEventListener(type, (message) => source === opened && hear(type, message));
  opened.onerror = () => {
    if (source !== opened) return;
    connection.value = 'lost';
    // Otherwise the browser tries it again by itself, and sends the id of what it heard last.
    if (opened.readyState === EventSource.CLOSED) later();
  };
}

/** After an answer that was an error, or silence, the browser does nothing. Signed out meanwhile? Then there is no use in knocking. */
function later(): void {
  source?.close();
  source = null;
  clearTimeout(retry);
  const again = async () => {
    if (await checkSession()) open();
    else if (session.peek()) later();
  };
  retry = setTimeout(() => void again(), RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]!);
}

function hear(type: LiveEvent['type'], message: MessageEvent<string>): void {
  heardAt = Date.now();
  const event = { ...JSON.parse(message.data || '{}'), type } as LiveEvent;
  if (event.type === 'hello') {
    setServerTime(event.now);
    failures = 0;
    connection.value = 'live';
    // Also at first: what happened between what was asked for and now was not heard.
    if (!event.resumed) tell({ type: 'reset' });
  }
  if (event.type === 'status') status.value = event;
  tell(event);
}

function tell(event: LiveEvent): void {
  for (const listener of [...listeners]) listener(event);
}

setInterval(() => {
  if (!source || Date.now() - heardAt < SILENCE_MS || document.hidden) return;
  connection.value = 'lost';
  later();
}, 1000);
addEventListener('online', () => {
  if (session.peek() && connection.peek() !== 'live') open();
});

/** The session changes with every renewal; whose it is does not. */
let whose: string | null = null;
effect(() => {
  const current = session.value ? `${session.value.role} ${session.value.holder} ${session.value.name}` : null;
  if (current === whose) return;
  whose = current;
  clearTimeout(retry);
  source?.close();
  source = null;
  status.value = null;
  connection.value = 'connecting';
  if (current !== null && may('live:read')) open();
});
