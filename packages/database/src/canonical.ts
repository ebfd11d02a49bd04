import { createHash } from 'node:crypto';
import { jsonb } from '@vigil/runtime';

/** JSON with sorted keys and no spaces: the same value always has the same bytes. Values that JSON has not are left out. */
export function canonical(value: unknown): string {
  const sorted = (v: unknown): unknown => {
    if (v === null || typeof v !== 'object') return v;
    if (Array.isArray(v)) return v.map(sorted);
    return Object.fromEntries(
      Object.entries(v)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, inner]) => [k, sorted(inner)]),
    );
  };
  return jsonb(sorted(value));
}

export const sha256 = (...parts: (Uint8Array | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
