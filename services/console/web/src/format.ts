const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const dateTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' });

export const count = (n: number): string => (n < 100_000 ? whole.format(n) : short.format(n));
export const percent = (share: number): string => `${Math.round(share * 100)} %`;
export const fullTime = (at: number): string => dateTime.format(at);
export const fullDay = (at: number): string => day.format(at);
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** A place in a film: 1:41.2, 1:02:03. */
export function clock(seconds: number, digits = 1): string {
  const tenths = Math.round(Math.max(0, seconds) * 10 ** digits) / 10 ** digits;
  const [h, m, s] = [Math.floor(tenths / 3600), Math.floor((tenths % 3600) / 60), tenths % 60];
  const last = s.toFixed(digits).padStart(digits > 0 ? 3 + digits : 2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${last}` : `${m}:${last}`;
}

/** A length: 0.35 s, 12 s, 4 min, 3 h, 12 days. */
export function duration(ms: number): string {
  const s = ms / 1000;
  if (s < 1) return `${s.toFixed(2)} s`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${Math.round(s / 3600)} h`;
  return plural(Math.round(s / 86_400), 'day');
}

/** "3 s ago", "in 12 days"; `now` is the server's. */
export function relative(at: number, now: number): string {
  const away = at - now;
  const seconds = Math.round(Math.abs(away) / 1000);
  if (seconds < 2) return 'just now';
  const words = seconds < 10 ? `${seconds} s` : duration(seconds * 1000);
  return away < 0 ? `${words} ago` : `in ${words}`;
}

export function bytes(n: number): string {
  if (n < 1e3) return `${n} B`;
  if (n < 1e6) return `${Math.round(n / 1e3)} kB`;
  return n < 1e9 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(2)} GB`;
}
