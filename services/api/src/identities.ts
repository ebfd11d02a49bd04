import { KEY_ROLES, type KeyRole } from '@vigil/database';
import type { OidcSettings } from '@vigil/runtime';
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';
import { type Principal, ROLE_VERBS } from './principal.ts';
import { Problem } from './problem.ts';

export interface Identities {
  /** Whom an access token speaks for, or null when it is none of ours. */
  ofToken(token: string): Promise<Principal | null>;
  /** How people come to the page from their provider; null where no client is configured. */
  codeFlow: CodeFlow | null;
}

/** The authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636, OpenID Connect Core 1.0 section 3.1). */
export interface CodeFlow {
  /** The provider's host, for people. */
  host: string;
  /** Where the browser is sent. `challenge`: base64url of the SHA-256 of the verifier. */
  address(about: { state: string; nonce: string; challenge: string; redirectUri: string }): Promise<string>;
  /** Who came back; null when that is nobody with a role here. */
  redeem(about: {
    code: string;
    verifier: string;
    nonce: string;
    redirectUri: string;
  }): Promise<{ who: Principal; name: string } | null>;
}

/** Asymmetric ones only: a shared secret would let every service that checks tokens make some. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const PATIENCE_MS = 5000;

const Discovery = z.object({
  issuer: z.string(),
  jwks_uri: z.url(),
  authorization_endpoint: z.url().optional(),
  token_endpoint: z.url().optional(),
});

/**
 * People sign in at any OpenID Connect provider. Its keys are found by discovery (OpenID Connect Discovery 1.0, section 4);
 * issuer, audience and algorithms are pinned. Two claims say who somebody is here: a role, and for holders whose.
 */
export function createIdentities(settings: OidcSettings): Identities {
  const { issuer, audience, roleClaim, holderClaim, client } = settings;
  let found: (z.output<typeof Discovery> & { keys: ReturnType<typeof createRemoteJWKSet> }) | null = null;

  const silent = (error: unknown) =>
    new Problem('unavailable', `the sign-in provider does not answer: ${(error as Error).message}`);

  async function discover() {
    if (found) return found;
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    try {
      const response = await fetch(address, { signal: AbortSignal.timeout(PATIENCE_MS) });
      const said = Discovery.safeParse(await response.json());
      if (!response.ok || said.data?.issuer !== issuer) throw new Error(`${address} is not its own`);
      found = { ...said.data, keys: createRemoteJWKSet(new URL(said.data.jwks_uri), { timeoutDuration: PATIENCE_MS }) };
      return found;
    } catch (error) {
      throw silent(error);
    }
  }

  async function claimsOf(token: string, forWhom: string): Promise<JWTPayload | null> {
    const { keys } = await discover();
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: forWhom,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: 5,
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWKSTimeout) throw new Problem('unavailable', 'the sign-in provider does not answer');
      if (error instanceof errors.JOSEError) return null;
      throw silent(error);
    }
  }

  function personOf(payload: JWTPayload): Principal | null {
    const role = KEY_ROLES.find((r) => r === payload[roleClaim]);
    const holder = payload[holderClaim];
    if (!role || (role === 'holder' && (typeof holder !== 'string' || holder === ''))) return null;
    const id = `person:${payload.sub}`;
    return {
      id,
      role: role satisfies KeyRole,
      holder: role === 'holder' ? `${holder}` : null,
      verbs: ROLE_VERBS[role],
      // It is the provider who says each time that they may.
      expiresAt: null,
    };
  }

  const endpoint = async (name: 'authorization_endpoint' | 'token_endpoint'): Promise<string> => {
    const address = (await discover())[name];
    if (!address) throw new Problem('unavailable', `the sign-in provider names no ${name}`);
    return address;
  };

  return {
    async ofToken(token) {
      const payload = await claimsOf(token, audience);
      return payload && personOf(payload);
    },

    codeFlow: client && {
      host: new URL(issuer).host,

      async address({ state, nonce, challenge, redirectUri }) {
        const url = new URL(await endpoint('authorization_endpoint'));
        const query = {
          ...{ response_type: 'code', client_id: client.id, redirect_uri: redirectUri, scope: 'openid profile' },
          ...{ state, nonce, code_challenge: challenge, code_challenge_method: 'S256' },
        };
        for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
        return url.href;
      },

      async redeem({ code, verifier, nonce, redirectUri }) {
        const form = new URLSearchParams({
          ...{ grant_type: 'authorization_code', code, redirect_uri: redirectUri, code_verifier: verifier },
          ...(client.secret === null ? { client_id: client.id } : {}),
        });
        // RFC 6749, section 2.3.1: both are form-encoded before they are joined.
        const basic = (text: string) => new URLSearchParams({ x: text }).toString().slice(2);
        const secret = client.secret && Buffer.from(`${basic(client.id)}:${basic(client.secret)}`).toString('base64');
        const headers: Record<string, string> = secret ? { authorization: `Basic ${secret}` } : {};
        const signal = AbortSignal.timeout(PATIENCE_MS);
        const address = await endpoint('token_endpoint');
        const answer = await fetch(address, { method: 'POST', body: form, headers, signal }).catch((error: unknown) => {
          throw silent(error);
        });
        const said = z.object({ id_token: z.string().max(32_768) }).safeParse(await answer.json().catch(() => null));
        const payload = answer.ok && said.data ? await claimsOf(said.data.id_token, client.id) : null;
        if (!payload || payload.nonce !== nonce) return null;
        const who = personOf(payload);
        const name = [payload.name, payload.preferred_username, payload.email, payload.sub].find(Boolean);
        return who && { who, name: `${name}`.slice(0, 200) };
      },
    },
  };
}
