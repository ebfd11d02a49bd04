import { signal } from '@preact/signals';

/** The server's clock, by which deadlines and "3 s ago" are told. Milliseconds since 1970. */
let ahead = 0;
export const setServerTime = (now: number): void => {
  ahead = now - Date.now();
};
export const serverNow = (): number => Date.now() + ahead;

/** Moves once a second: read it where what is drawn grows older. */
export const tick = signal(serverNow());
setInterval(() => {
  if (!document.hidden) tick.value = serverNow();
}, 1000);
