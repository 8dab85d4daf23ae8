import { hash } from 'node:crypto';
import type { Clock, Uuid } from '@auditrax/base';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { keepArtifact } from './artifacts.ts';
import type { AuthorisationDeps } from './deps.ts';
import { isFreshNonce, nextNonce } from './nonces.ts';
import { PROOF_AGE_SECONDS_MAX, PROOF_KEPT_SECONDS, SIGNATURES } from './lifetimes.ts';

const PROOF_CHARACTERS_MAX = 4096;
const JTI = /^[!-~]{8,128}$/;

/** A request as the edge received it. */
export interface Proven {
  readonly method: string;
  /** Without query. */
  readonly url: string;
  /** Where the proof stands beside an access token. */
  readonly accessToken?: string;
}

export type ProofVerdict =
  | {
      readonly ok: true;
      readonly thumbprint: string;
      readonly jti: string;
      /** What the next proof should hold, where it is not what this one does. */
      readonly nextNonce: string | null;
    }
  /** `nonce`: all is well with it, but for a nonce of these minutes. */
  | { readonly ok: false; readonly reason: string };

/** The reason of a proof that is to be made once more, with the server's nonce. */
export const NONCE_WANTED = 'nonce';

const refused = (reason: string): ProofVerdict => ({ ok: false, reason });

/**
 * Judges a proof of possession (RFC 9449 4.3): signed with the key that it names, by an algorithm of ours, for this method,
 * this address and this token, a moment ago, with a nonce of ours (8). Whether it was used before is for the caller to ask, by `jti`.
 */
async function judgeProof(clock: Clock, proof: string, of: Proven): Promise<ProofVerdict> {
  if (proof.length > PROOF_CHARACTERS_MAX) return refused('size');
  const verified = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: [...SIGNATURES],
    currentDate: new Date(clock.nowMs()),
  }).catch(() => undefined);
  if (verified === undefined) return refused('signature');
  const { payload, protectedHeader } = verified;
  const { jti, iat, htm, htu, ath, nonce } = payload;
  if (typeof jti !== 'string' || !JTI.test(jti)) return refused('jti');
  if (typeof iat !== 'number' || Math.abs(clock.nowMs() / 1000 - iat) > PROOF_AGE_SECONDS_MAX) return refused('iat');
  if (htm !== of.method) return refused('htm');
  if (typeof htu !== 'string' || withoutQuery(htu) !== of.url) return refused('htu');
  if (of.accessToken !== undefined && ath !== hash('sha256', of.accessToken, 'base64url')) return refused('ath');
  if (!isFreshNonce(clock, nonce)) return refused(NONCE_WANTED);
  const next = nextNonce(clock);
  const thumbprint = await calculateJwkThumbprint(protectedHeader.jwk!);
  return { ok: true, jti, thumbprint, nextNonce: nonce === next ? null : next };
}

/** Judges a proof and uses it up: of two that are shown at the same moment one counts, by the database. */
export async function takeProof(
  deps: Pick<AuthorisationDeps, 'system' | 'random' | 'clock'>,
  proof: string,
  of: Proven & { readonly tenantId: Uuid },
): Promise<ProofVerdict> {
  const verdict = await judgeProof(deps.clock, proof, of);
  if (!verdict.ok) return verdict;
  const seen = { tenantId: of.tenantId, kind: 'proof', value: `${verdict.thumbprint} ${verdict.jti}` } as const;
  const isFirst = await keepArtifact(deps, seen, { payload: {}, seconds: PROOF_KEPT_SECONDS });
  return isFirst ? verdict : refused('used before');
}

function withoutQuery(text: string): string | undefined {
  const url = URL.parse(text);
  return url === null ? undefined : `${url.origin}${url.pathname}`;
}
