import type { Clock } from '@auditrax/base';
import type { JWK } from 'jose';
import { fitsAlgorithm, publicPart, type SetAlgorithm } from './algorithms.ts';
import { refusal } from './errors.ts';
import { readDocument, type ReachPorts } from './http.ts';
import { isObject, type JsonObject } from './json.ts';
import { KEYS_AGE_MS_MAX, KEYS_BYTES_MAX, KEYS_MAX, KEYS_RELOAD_MS_MIN, KEYS_RETRY_MS_MIN } from './limits.ts';

/** The keys of one transmitter as they are now. */
export interface KeySource {
  /** The one key for a token. Throws `signals_key_*` and what reading the set throws. */
  find(kid: string | undefined): Promise<JWK>;
}

/** E8: reads a key set. Throws `signals_keys_invalid`. */
export function parseKeys(document: JsonObject): readonly JWK[] {
  const { keys } = document;
  if (!Array.isArray(keys) || keys.length > KEYS_MAX || !keys.every(isObject)) throw refusal('signals_keys_invalid');
  // Who publishes a private key has published it to everybody; nothing that it signed can be believed.
  const isPrivate = (key: JsonObject) => key['d'] !== undefined || key['kty'] === 'oct';
  if (keys.some(isPrivate)) throw refusal('signals_keys_invalid', 'a private or symmetric key');
  return keys;
}

/** Whether a key was made for this algorithm and for signatures. */
export function isUsable(key: JWK, algorithm: SetAlgorithm): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.alg !== undefined && key.alg !== algorithm) return false;
  if (key.key_ops !== undefined && !(Array.isArray(key.key_ops) && key.key_ops.includes('verify'))) return false;
  return fitsAlgorithm(key, algorithm);
}

/**
 * E8 and E12: reads the key set when it is needed, keeps it for an hour, and reads it again for an unknown key id, but
 * not more often than once a minute: until then such a token is neither believed nor refused for good, so that nobody
 * who invents key ids can make us refuse what a new key has signed.
 */
export function createKeySource(
  stream: { readonly algorithm: SetAlgorithm },
  jwksUri: string,
  ports: ReachPorts & { readonly clock: Clock },
): KeySource {
  let held: { readonly keys: readonly JWK[]; readonly readAt_ms: number } | undefined;
  let triedAt_ms = -Infinity;
  let failedAt_ms = -Infinity;
  let reading: Promise<readonly JWK[]> | undefined;
  const read = (): Promise<readonly JWK[]> => {
    triedAt_ms = ports.clock.nowMs();
    reading ??= readDocument(jwksUri, KEYS_BYTES_MAX, ports)
      .then((document) => {
        held = { keys: parseKeys(document), readAt_ms: ports.clock.nowMs() };
        return held.keys;
      })
      .catch((error: unknown) => {
        failedAt_ms = ports.clock.nowMs();
        throw error;
      })
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  /** Whoever sends many tokens must not make us ask as often, neither a silent transmitter nor a speaking one. */
  const isTooSoon = (now_ms: number) =>
    reading === undefined &&
    (now_ms - failedAt_ms < KEYS_RETRY_MS_MIN || (held !== undefined && now_ms - triedAt_ms < KEYS_RELOAD_MS_MIN));
  const matching = (keys: readonly JWK[], kid: string | undefined) =>
    keys.filter((key) => isUsable(key, stream.algorithm) && (kid === undefined || key.kid === kid));
  return {
    async find(kid) {
      const now_ms = ports.clock.nowMs();
      const isFresh = held !== undefined && now_ms - held.readAt_ms <= KEYS_AGE_MS_MAX;
      let found = isFresh ? matching(held!.keys, kid) : [];
      if (found.length === 0) {
        if (isTooSoon(now_ms)) throw refusal('signals_key_held_back');
        found = matching(await read(), kid);
      }
      const [key] = found;
      if (key === undefined) throw refusal('signals_key_unknown');
      if (found.length > 1) throw refusal('signals_key_ambiguous');
      return publicPart(key);
    },
  };
}
