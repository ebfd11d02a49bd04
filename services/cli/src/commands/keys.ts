import { ask, everything, post, type Remote } from '../ask.ts';
import { bold, dim, note, say, table } from '../output.ts';

interface Key {
  id: string;
  name: string;
  role: string;
  holder: string | null;
  verbs: string[];
  expiresAt: number;
  revokedAt: number | null;
  lastUsedAt: number | null;
  replacedBy: string | null;
}
type NewKey = Key & { secret: string };

/** The key alone on stdout, so that it can be taken from there; what is to be known of it on stderr. */
function show(key: NewKey): void {
  note(`${key.id}  ${key.role}${key.holder ? ` ${key.holder}` : ''}  until ${day(key.expiresAt)}`);
  note(dim('it is shown this once, and kept nowhere:'));
  say(key.secret);
}

export async function createKey(options: {
  instance: string;
  holder?: string;
  role?: string;
  name?: string;
  verbs?: string;
  days?: number;
}): Promise<void> {
  const { instance, holder, role, name, verbs, days } = options;
  const body = {
    name: name ?? (holder ? `key of ${holder}` : `${role ?? 'operator'}'s key`),
    ...(role ? { role } : {}),
    ...(holder ? { holder } : {}),
    ...(verbs ? { verbs: verbs.split(',').map((v) => v.trim()) } : {}),
    ...(days ? { expiresInDays: days } : {}),
  };
  show(await post<NewKey>(instance, '/v1/keys', body));
}

export async function listKeys({ instance }: Remote): Promise<void> {
  const keys = await everything<Key>(instance, '/v1/keys');
  const state = (k: Key): string => {
    if (k.revokedAt !== null) return `revoked ${day(k.revokedAt)}`;
    return `${k.expiresAt < Date.now() ? 'expired' : 'until'} ${day(k.expiresAt)}${k.replacedBy ? ', replaced' : ''}`;
  };
  const used = (k: Key) => (k.lastUsedAt === null ? 'never' : day(k.lastUsedAt));
  const rows = keys.map((k) => [k.id, k.role, k.holder ?? '', k.name, state(k), used(k)]);
  for (const line of table([['key', 'role', 'holder', 'name', 'state', 'last used'].map(bold), ...rows])) say(line);
}

export async function rotateKey(id: string, { instance, overlap }: Remote & { overlap?: number }): Promise<void> {
  const route = `/v1/keys/${encodeURIComponent(id)}/rotate`;
  show(await post<NewKey>(instance, route, overlap === undefined ? {} : { overlapHours: overlap }));
}

export async function revokeKey(id: string, { instance }: Remote): Promise<void> {
  await ask(instance, `/v1/keys/${encodeURIComponent(id)}/revoke`, { method: 'POST' });
  say(`${id}  revoked`);
}

/** The link alone on stdout. */
export async function signIn(options: Remote & { role: string; holder?: string; name?: string }): Promise<void> {
  const { instance, ...whom } = options;
  const { url, expiresAt } = await post<{ url: string; expiresAt: number }>(instance, '/v1/sign-in-links', whom);
  note(dim(`opens the page once, until ${new Date(expiresAt).toISOString()}:`));
  say(url);
}

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
