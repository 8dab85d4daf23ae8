import type { Clock } from '@auditrax/base';
import type { JWK } from 'jose';
import type { IdTokenAlgorithm, OidcConnection } from './connection.ts';
import type { OidcProvider } from './discovery.ts';
import { refusal } from './errors.ts';
import { askJson, type ReachPorts } from './http.ts';
import {
  KEYS_AGE_MS_MAX,
  KEYS_BYTES_MAX,
  KEYS_MAX,
  KEYS_RELOAD_MS_MIN,
  KEYS_RETRY_MS_MIN,
  RSA_BITS_MAX,
  RSA_BITS_MIN,
} from './limits.ts';

/** The keys of one provider as they are now. */
export interface KeySource {
  /** The one key for a token. Throws `oidc_key_unknown`, `oidc_key_ambiguous` and what reading the set throws. */
  find(kid: string | undefined): Promise<JWK>;
}

function isJwk(value: unknown): value is JWK {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** O10: reads a key set. Throws `oidc_keys_invalid`. */
export function parseKeys(document: Readonly<Record<string, unknown>>): readonly JWK[] {
  const { keys } = document;
  if (!Array.isArray(keys) || keys.length > KEYS_MAX || !keys.every(isJwk)) throw refusal('oidc_keys_invalid');
  // Who publishes a private key has published it to everybody; nothing that it signed can be believed.
  const isPrivate = ({ kty, d, k }: JWK) => d !== undefined || (kty === 'oct' && k !== undefined);
  if (keys.some(isPrivate)) throw refusal('oidc_keys_invalid', 'a private or symmetric key');
  return keys;
}

function rsaBits(modulus: string | undefined): number {
  const bytes = Buffer.from(modulus ?? '', 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - Math.clz32(bytes[first]!) + 24;
}

/** Whether a key was made for this algorithm and for signatures. */
export function isUsable(key: JWK, algorithm: IdTokenAlgorithm): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.alg !== undefined && key.alg !== algorithm) return false;
  if (key.key_ops !== undefined && !(Array.isArray(key.key_ops) && key.key_ops.includes('verify'))) return false;
  if (algorithm === 'ES256') return key.kty === 'EC' && key.crv === 'P-256';
  const bits = key.kty === 'RSA' && typeof key.n === 'string' ? rsaBits(key.n) : 0;
  return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
}

/** Of the public parts only: nothing else of a provider's key reaches the library. */
function publicPart({ kty, n, e, crv, x, y }: JWK): JWK {
  return (kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y }) as JWK;
}

/**
 * Reads the key set when it is needed, keeps it for an hour, and reads it again for an unknown key id, but not more
 * often than once a minute, whether the reading succeeds or fails. Where there is no set to go by, a reading that failed
 * is the answer to everybody for five seconds. Whoever sends many tokens, such as logout tokens, which anybody can post,
 * must not make us ask as often, neither a speaking provider nor a silent one. Addresses inside of tokens and keys
 * (`jku`, `x5u`) are not looked at.
 */
export function createKeySource(
  connection: OidcConnection,
  provider: OidcProvider,
  ports: ReachPorts & { readonly clock: Clock },
): KeySource {
  let held: { readonly keys: readonly JWK[]; readonly readAt_ms: number } | undefined;
  /** Of the last reading; undefined when it succeeded. */
  let failed: { readonly error: unknown; readonly at_ms: number } | undefined;
  let triedAt_ms = -Infinity;
  let reading: Promise<readonly JWK[]> | undefined;
  const read = (): Promise<readonly JWK[]> => {
    if (reading === undefined && failed !== undefined && ports.clock.nowMs() - failed.at_ms < KEYS_RETRY_MS_MIN)
      return Promise.reject(failed.error);
    if (reading === undefined) triedAt_ms = ports.clock.nowMs();
    reading ??= askJson(connection, { url: provider.jwksUri, bytes_max: KEYS_BYTES_MAX }, ports)
      .then((document) => {
        held = { keys: parseKeys(document), readAt_ms: ports.clock.nowMs() };
        failed = undefined;
        return held.keys;
      })
      .catch((error: unknown) => {
        failed = { error, at_ms: ports.clock.nowMs() };
        throw error;
      })
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  const age_ms = () => (held === undefined ? Infinity : ports.clock.nowMs() - held.readAt_ms);
  /** For an id that the set does not have, and that somebody may have invented. */
  const readAnew = async (): Promise<readonly JWK[]> => {
    if (reading !== undefined || ports.clock.nowMs() - triedAt_ms >= KEYS_RELOAD_MS_MIN) return read();
    if (failed !== undefined) throw failed.error;
    return [];
  };
  const matching = (keys: readonly JWK[], kid: string | undefined) =>
    keys.filter((key) => isUsable(key, connection.algorithm) && (kid === undefined || key.kid === kid));
  return {
    async find(kid) {
      const isOld = held === undefined || age_ms() > KEYS_AGE_MS_MAX;
      let found = matching(isOld ? await read() : held!.keys, kid);
      if (found.length === 0) found = matching(await readAnew(), kid);
      const [key] = found;
      if (key === undefined) throw refusal('oidc_key_unknown');
      if (found.length > 1) throw refusal('oidc_key_ambiguous');
      return publicPart(key);
    },
  };
}
