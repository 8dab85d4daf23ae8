import { createHash } from 'node:crypto';
import type { Clock } from '@auditrax/base';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { PROOF_AGE_SECONDS_MAX } from './lifetimes.ts';
import { SIGNATURES } from './server.ts';

const PROOF_CHARACTERS_MAX = 4096;
const JTI = /^[!-~]{8,128}$/;

/** A request as the edge received it. */
export interface Proven {
  readonly method: string;
  /** Without query. */
  readonly url: string;
  readonly accessToken: string;
}

export type ProofVerdict =
  | { readonly ok: true; readonly thumbprint: string; readonly jti: string }
  | { readonly ok: false; readonly reason: string };

const refused = (reason: string): ProofVerdict => ({ ok: false, reason });

/**
 * Judges a proof of possession (RFC 9449 4.3): signed with the key that it names, by an algorithm of ours, for this method,
 * this address and this token, a moment ago. Whether it was used before is for the caller to ask, by `jti`.
 */
export async function judgeProof(clock: Clock, proof: string, of: Proven): Promise<ProofVerdict> {
  if (proof.length > PROOF_CHARACTERS_MAX) return refused('size');
  const verified = await jwtVerify(proof, EmbeddedJWK, {
    typ: 'dpop+jwt',
    algorithms: [...SIGNATURES],
    currentDate: new Date(clock.nowMs()),
  }).catch(() => undefined);
  if (verified === undefined) return refused('signature');
  const { payload, protectedHeader } = verified;
  const { jti, iat, htm, htu, ath } = payload;
  if (typeof jti !== 'string' || !JTI.test(jti)) return refused('jti');
  if (typeof iat !== 'number' || Math.abs(clock.nowMs() / 1000 - iat) > PROOF_AGE_SECONDS_MAX) return refused('iat');
  if (htm !== of.method) return refused('htm');
  if (typeof htu !== 'string' || withoutQuery(htu) !== of.url) return refused('htu');
  if (ath !== createHash('sha256').update(of.accessToken).digest('base64url')) return refused('ath');
  return { ok: true, jti, thumbprint: await calculateJwkThumbprint(protectedHeader.jwk!) };
}

function withoutQuery(text: string): string | undefined {
  const url = URL.parse(text);
  return url === null ? undefined : `${url.origin}${url.pathname}`;
}
