import { hash as hashOnce, type KeyObject } from 'node:crypto';
import type { Clock, Json } from '@auditrax/base';
import { canonicalJson } from '@auditrax/base';
import { CompactSign, compactVerify, errors, importJWK, type JWK } from 'jose';

/** A stolen token is worth at most this long; long enough to be cached by both sides. */
export const TOKEN_LIFE_SECONDS_MAX = 30;
/** Clocks of two machines may differ by this much before a token "from the future" is refused. */
export const CLOCK_SKEW_SECONDS_MAX = 5;
/** Verified tokens kept at once; beyond it the oldest is dropped (it is verified again when it comes back). */
export const VERIFIED_TOKENS_MAX = 10_000;
/** No token of ours is longer; a longer header is refused before any cryptography is spent on it. */
export const TOKEN_CHARACTERS_MAX = 8192;
const TOKEN_TYPE = 'txntoken+jwt';

/** `privileged` includes `write`, which includes `read`. */
export type TokenClass = 'read' | 'write' | 'privileged';
const CLASS_RANK: Readonly<Record<TokenClass, number>> = { read: 0, write: 1, privileged: 2 };

/** Claims of a transaction token (draft-ietf-oauth-transaction-tokens-10), the names in one place. */
export interface TokenClaims {
  readonly iss: string;
  /** The one service that may accept it. */
  readonly aud: string;
  /** The one service that may present it; compared with the certificate of the connection. */
  readonly azp: string;
  readonly sub: string;
  /** Unique id of the transaction. */
  readonly txn: string;
  /** Route class. */
  readonly scope: TokenClass;
  /** Seconds since the Unix epoch. */
  readonly iat: number;
  readonly exp: number;
  /** What is being done, for whom: facts the issuer vouches for. */
  readonly tctx: Readonly<Record<string, Json>>;
  /** How the person came in. */
  readonly rctx: Readonly<Record<string, Json>>;
}

/** True when a token of class `held` may be used where `needed` is asked. */
export function classCovers(held: TokenClass, needed: TokenClass): boolean {
  return CLASS_RANK[held] >= CLASS_RANK[needed];
}

/** base64url SHA-256 of the compact form: names a token in a log without giving it away. */
export function tokenHash(compact: string): string {
  return hashOnce('sha256', compact, 'base64url');
}

export interface TokenMinter {
  /**
   * Returns the compact token and the end of its life (ms since the epoch): in `TOKEN_LIFE_SECONDS_MAX`, or by the last full
   * second before `endsAtMs_max`.
   */
  mint(
    claims: Omit<TokenClaims, 'iss' | 'iat' | 'exp'>,
    endsAtMs_max?: number,
  ): Promise<{ compact: string; expiresAtMs: number; hash: string }>;
}

/** Signs with an Ed25519 private key; `kid` names it among the verifier's keys. */
export function createTokenMinter(options: { key: KeyObject; kid: string; issuer: string; clock: Clock }): TokenMinter {
  const { key, kid, issuer, clock } = options;
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519')
    throw new TypeError('an Ed25519 private key is needed');
  return {
    async mint(claims, endsAtMs_max = Infinity) {
      const iat = Math.floor(clock.nowMs() / 1000);
      const exp = Math.min(iat + TOKEN_LIFE_SECONDS_MAX, Math.floor(endsAtMs_max / 1000));
      const payload = { ...claims, iss: issuer, iat, exp };
      // Canonical form: refuses what is not I-JSON before it is signed.
      const compact = await new CompactSign(Buffer.from(canonicalJson(payload)))
        .setProtectedHeader({ alg: 'EdDSA', typ: TOKEN_TYPE, kid })
        .sign(key);
      return { compact, expiresAtMs: exp * 1000, hash: tokenHash(compact) };
    },
  };
}

export type TokenRefusal =
  | 'missing'
  | 'malformed'
  | 'signature'
  | 'audience'
  | 'peer'
  | 'expired'
  | 'future'
  | 'lifetime'
  | 'class';

export type TokenVerdict =
  | { readonly ok: true; readonly claims: TokenClaims; readonly hash: string }
  | { readonly ok: false; readonly reason: TokenRefusal; readonly skewSeconds?: number };

export interface TokenQuestion {
  readonly compact: string | undefined;
  /** Service name from the certificate of the connection that carried the token. */
  readonly peer: string;
  readonly needed: TokenClass;
}

export interface TokenVerifier {
  /** Synchronous when the token has been verified before and still lives (the hot path), else a promise. */
  verify(question: TokenQuestion): TokenVerdict | Promise<TokenVerdict>;
}

export interface TokenVerifierOptions {
  /** Public keys (JWK, OKP/Ed25519, each with `kid`) of the issuer, read again at each verification. */
  readonly keys: () => readonly JWK[];
  readonly issuer: string;
  /** This service. */
  readonly audience: string;
  readonly clock: Clock;
}

/** Refuses anything but one EdDSA signature by a known key, for this audience, presented by the peer it names. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const verified = new Map<string, TokenClaims>();
  return {
    verify(question) {
      const { compact } = question;
      if (compact === undefined || compact === '') return { ok: false, reason: 'missing' };
      if (compact.length > TOKEN_CHARACTERS_MAX) return { ok: false, reason: 'malformed' };
      const hash = tokenHash(compact);
      const known = verified.get(hash);
      if (known !== undefined) {
        const verdict = judgeClaims(known, question, options);
        if (!verdict.ok && verdict.reason === 'expired') verified.delete(hash);
        return verdict.ok ? { ok: true, claims: known, hash } : verdict;
      }
      return verifyFresh(compact, options).then((fresh) => {
        if (!('claims' in fresh)) return fresh;
        const verdict = judgeClaims(fresh.claims, question, options);
        if (!verdict.ok) return verdict;
        remember(verified, hash, fresh.claims);
        return { ok: true, claims: fresh.claims, hash };
      });
    },
  };
}

function remember(verified: Map<string, TokenClaims>, hash: string, claims: TokenClaims): void {
  if (verified.size >= VERIFIED_TOKENS_MAX) {
    const oldest = verified.keys().next();
    if (!oldest.done) verified.delete(oldest.value);
  }
  verified.set(hash, claims);
}

/** Everything that may change between two uses of the same signed token; runs on every request. */
function judgeClaims(
  claims: TokenClaims,
  question: TokenQuestion,
  options: TokenVerifierOptions,
): { ok: true } | { ok: false; reason: TokenRefusal; skewSeconds?: number } {
  const now = options.clock.nowMs() / 1000;
  if (claims.aud !== options.audience) return { ok: false, reason: 'audience' };
  if (claims.azp !== question.peer) return { ok: false, reason: 'peer' };
  if (claims.exp - claims.iat > TOKEN_LIFE_SECONDS_MAX) return { ok: false, reason: 'lifetime' };
  if (claims.iat > now + CLOCK_SKEW_SECONDS_MAX) return { ok: false, reason: 'future', skewSeconds: claims.iat - now };
  if (claims.exp <= now) return { ok: false, reason: 'expired' };
  if (!classCovers(claims.scope, question.needed)) return { ok: false, reason: 'class' };
  return { ok: true };
}

async function verifyFresh(
  compact: string,
  options: TokenVerifierOptions,
): Promise<{ claims: TokenClaims } | { ok: false; reason: TokenRefusal }> {
  try {
    const { payload, protectedHeader } = await compactVerify(
      compact,
      (header) => {
        // The key is chosen by id among our own and is Ed25519 whatever the header says, so `none`, an HMAC over the
        // public key, or a key inside the header (`jwk`, `jku`, `x5c`) lead nowhere.
        const key = options.keys().find((candidate) => candidate.kid === header.kid);
        if (key?.kty !== 'OKP' || key.crv !== 'Ed25519') throw new errors.JWSSignatureVerificationFailed();
        return importJWK(key, 'EdDSA');
      },
      { algorithms: ['EdDSA'] },
    );
    // Another signed thing of the issuer must not pass as a token.
    if (protectedHeader.typ !== TOKEN_TYPE) return { ok: false, reason: 'malformed' };
    const claims = readClaims(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)));
    return claims === undefined || claims.iss !== options.issuer ? { ok: false, reason: 'malformed' } : { claims };
  } catch (error) {
    return { ok: false, reason: error instanceof errors.JWSSignatureVerificationFailed ? 'signature' : 'malformed' };
  }
}

/** A signed token is still parsed defensively: an `aud` that is a list would name more than one destination. */
function readClaims(payload: unknown): TokenClaims | undefined {
  if (!isRecord(payload)) return undefined;
  const { iss, aud, azp, sub, txn, scope, iat, exp, tctx, rctx } = payload;
  const texts = [iss, aud, azp, sub, txn];
  if (!texts.every((text) => typeof text === 'string' && text.length > 0 && text.length <= 200)) return undefined;
  if (scope !== 'read' && scope !== 'write' && scope !== 'privileged') return undefined;
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return undefined;
  if (!isRecord(tctx) || !isRecord(rctx)) return undefined;
  return { iss, aud, azp, sub, txn, scope, iat, exp, tctx, rctx } as TokenClaims; // each member was checked above
}

function isRecord(value: unknown): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
