import { fromBase64Url } from '@auditrax/base';
import { compactVerify, importJWK } from 'jose';
import type { IdTokenAlgorithm } from './connection.ts';
import { quoted, refusal } from './errors.ts';
import { parseObject } from './http.ts';
import type { KeySource } from './keys.ts';
import { KEY_ID_CHARACTERS_MAX, TOKEN_CHARACTERS_MAX } from './limits.ts';

/** Claims of a token whose signature held. Look names up with {@link claimOf} only. */
export type TokenClaims = Readonly<Record<string, unknown>>;

/** What a token must be; `undefined` among the types lets a header without `typ` pass. */
export interface TokenKind {
  readonly algorithm: IdTokenAlgorithm;
  readonly types: readonly (string | undefined)[];
}

/** A claim, never something inherited. */
export function claimOf(claims: TokenClaims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

function typeOf(typ: unknown): string | undefined {
  if (typ === undefined) return undefined;
  if (typeof typ !== 'string') throw refusal('oidc_token_typ', quoted(typ));
  return typ.toLowerCase().replace(/^application\//, '');
}

/** O21 to O23: three parts, strict base64url, the one algorithm, the type. Nothing of it is believed yet. */
function readHeader(token: string, kind: TokenKind): { readonly kid: string | undefined } {
  const parts = token.split('.');
  if (token.length > TOKEN_CHARACTERS_MAX || parts.length !== 3)
    throw refusal('oidc_token_form', `${parts.length} parts`);
  const [head, payload, signature] = parts.map((part) => fromBase64Url(part));
  const header = head === undefined ? undefined : parseObject(head.toString('utf8'));
  if (header === undefined || payload === undefined || signature === undefined) throw refusal('oidc_token_form');
  if (header['alg'] !== kind.algorithm) throw refusal('oidc_algorithm_refused', quoted(header['alg']));
  if (header['crit'] !== undefined || header['b64'] !== undefined || header['zip'] !== undefined)
    throw refusal('oidc_token_form', 'an extension of the header');
  if (!kind.types.includes(typeOf(header['typ']))) throw refusal('oidc_token_typ', quoted(header['typ']));
  const { kid } = header;
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > KEY_ID_CHARACTERS_MAX))
    throw refusal('oidc_token_form', 'kid');
  return { kid };
}

/**
 * O21 to O25: the claims of a token that one key of the provider has signed with the connection's algorithm. Keys and
 * addresses that the token itself brings (`jwk`, `x5c`, `jku`, `x5u`) are not looked at.
 */
export async function verifyToken(token: string, kind: TokenKind, keys: KeySource): Promise<TokenClaims> {
  const { kid } = readHeader(token, kind);
  const key = await keys.find(kid);
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(token, await importJWK(key, kind.algorithm), { algorithms: [kind.algorithm] }));
  } catch (cause) {
    throw refusal('oidc_signature_invalid', undefined, { cause });
  }
  const claims = parseObject(Buffer.from(payload).toString('utf8'));
  if (claims === undefined) throw refusal('oidc_token_form', 'claims');
  return claims;
}
