import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** Where a message may go: the address is looked up once, here, and the connection is made to what was found. */
export type Target = { ok: true; url: URL; address: string; family: 4 | 6 } | { ok: false; why: string };

export interface AddressRules {
  /** Networks that are not the internet's, and http: for tests, and for installations that stay in one house. */
  allowPrivate: boolean;
  resolve?: (host: string) => Promise<{ address: string; family: number }[]>;
}

/**
 * Checks an address before anything is sent to it. A name that also has an address in a private network is refused as a whole,
 * and a name cannot mean one thing when it is checked and another when it is connected to.
 */
export async function targetOf(text: string, { allowPrivate, resolve = resolveAll }: AddressRules): Promise<Target> {
  if (!URL.canParse(text)) return { ok: false, why: 'it is not an address' };
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:')) {
    return { ok: false, why: 'only https is spoken' };
  }
  if (url.username || url.password) return { ok: false, why: 'an address must not hold a user name or password' };
  const host = url.hostname.replace(/^\[|\]$/g, '');
  let found: { address: string; family: number }[];
  try {
    found = isIP(host) ? [{ address: host, family: isIP(host) }] : await resolve(host);
  } catch (error) {
    return { ok: false, why: `${host} has no address (${(error as NodeJS.ErrnoException).code ?? 'unknown'})` };
  }
  const [first] = found;
  if (!first) return { ok: false, why: `${host} has no address` };
  const inside = found.find(({ address, family }) => isPrivate(address, family));
  if (inside && !allowPrivate) return { ok: false, why: `${host} is in a private network (${inside.address})` };
  return { ok: true, url, address: first.address, family: first.family === 6 ? 6 : 4 };
}

const resolveAll = (host: string) => lookup(host, { all: true, verbatim: true });

/** IANA's registries of special-purpose addresses: whatever is not reachable from everywhere, and what embeds other addresses. */
const PRIVATE = new BlockList();
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  PRIVATE.addSubnet(net, bits, 'ipv4');
}
/** Of IPv6 only what is handed out for everybody to reach; of that not what tunnels to IPv4, or is for documents. */
const GLOBAL6 = new BlockList();
GLOBAL6.addSubnet('2000::', 3, 'ipv6');
const PRIVATE6 = new BlockList();
for (const [net, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  PRIVATE6.addSubnet(net, bits, 'ipv6');
}

export function isPrivate(address: string, family: number): boolean {
  if (family !== 6) return PRIVATE.check(address, 'ipv4');
  return !GLOBAL6.check(address, 'ipv6') || PRIVATE6.check(address, 'ipv6');
}
