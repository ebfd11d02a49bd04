import { KEY_ROLES, type KeyRole } from '@vigil/database';
import type { OidcSettings } from '@vigil/runtime';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';
import { type Principal, ROLE_VERBS } from './principal.ts';
import { Problem } from './problem.ts';

/** Whom a token speaks for, or null when it is none of ours. */
export type Identities = (token: string) => Promise<Principal | null>;

/** Asymmetric ones only: a shared secret would let every service that checks tokens make some. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const DISCOVERY_MS = 5000;

/**
 * People sign in at any OpenID Connect provider. Its keys are found by discovery (OpenID Connect Discovery 1.0, section 4);
 * issuer, audience and algorithms are pinned. Two claims say who somebody is here: a role, and for holders whose.
 */
export function createIdentities(settings: OidcSettings): Identities {
  const { issuer, audience, roleClaim, holderClaim } = settings;
  let keys: ReturnType<typeof createRemoteJWKSet> | null = null;

  async function keySet() {
    if (keys) return keys;
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(DISCOVERY_MS) });
      const found = (await response.json()) as { issuer?: string; jwks_uri?: string };
      if (!response.ok || found.issuer !== issuer || !found.jwks_uri) throw new Error(`${address} is not its own`);
      keys = createRemoteJWKSet(new URL(found.jwks_uri), { timeoutDuration: DISCOVERY_MS });
      return keys;
    } catch (error) {
      throw new Problem('unavailable', `the sign-in provider does not answer: ${(error as Error).message}`);
    }
  }

  return async (token) => {
    const set = await keySet();
    try {
      const { payload } = await jwtVerify(token, set, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: 5,
      });
      const role = KEY_ROLES.find((r) => r === payload[roleClaim]);
      const holder = payload[holderClaim];
      if (!role || (role === 'holder' && (typeof holder !== 'string' || holder === ''))) return null;
      return personOf(`${payload.sub}`, role, role === 'holder' ? `${holder}` : null);
    } catch (error) {
      if (error instanceof errors.JWKSTimeout) throw new Problem('unavailable', 'the sign-in provider does not answer');
      if (error instanceof errors.JOSEError) return null;
      throw new Problem('unavailable', `the sign-in provider does not answer: ${(error as Error).message}`);
    }
  };
}

const personOf = (subject: string, role: KeyRole, holder: string | null): Principal => ({
  id: `person:${subject}`,
  role,
  holder,
  verbs: ROLE_VERBS[role],
});
