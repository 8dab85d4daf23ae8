import type { Clock } from '@auditrax/base';
import { holdKeys, KEYS_BYTES_MAX, parseKeySet, publicPart } from '@auditrax/base/key-set';
import type { JWK } from 'jose';
import type { SetAlgorithm } from './algorithms.ts';
import { refusal } from './errors.ts';
import { readDocument, type ReachPorts } from './http.ts';
import type { JsonObject } from './json.ts';

/** The keys of one transmitter as they are now. */
export interface KeySource {
  /** The one key for a token. Throws `signals_key_*` and what reading the set throws. */
  find(kid: string | undefined): Promise<JWK>;
}

/** E8: reads a key set. Throws `signals_keys_invalid`. */
export function parseKeys(document: JsonObject): readonly JWK[] {
  const keys = parseKeySet(document);
  if (typeof keys === 'string') throw refusal('signals_keys_invalid', keys);
  return keys;
}

/**
 * E8 and E12: one key for a token. While the set is held back such a token is neither believed nor refused for good, so that
 * nobody who invents key ids can make us refuse what a new key has signed.
 */
export function createKeySource(
  stream: { readonly algorithm: SetAlgorithm },
  jwksUri: string,
  ports: ReachPorts & { readonly clock: Clock },
): KeySource {
  const read = async () => parseKeys(await readDocument(jwksUri, KEYS_BYTES_MAX, ports));
  const held = holdKeys(stream.algorithm, { read, clock: ports.clock });
  return {
    async find(kid) {
      const { keys, heldBack } = await held.find(kid);
      if (heldBack !== undefined) throw refusal('signals_key_held_back');
      const [key] = keys;
      if (key === undefined) throw refusal('signals_key_unknown');
      if (keys.length > 1) throw refusal('signals_key_ambiguous');
      return publicPart(key);
    },
  };
}
