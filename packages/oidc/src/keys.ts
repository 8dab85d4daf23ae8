import type { Clock } from '@auditrax/base';
import { holdKeys, KEYS_BYTES_MAX, parseKeySet, publicPart } from '@auditrax/base/key-set';
import type { JWK } from 'jose';
import type { OidcConnection } from './connection.ts';
import type { OidcProvider } from './discovery.ts';
import { refusal } from './errors.ts';
import { askJson, type ReachPorts } from './http.ts';

/** The keys of one provider as they are now. */
export interface KeySource {
  /** The one key for a token. Throws `oidc_key_unknown`, `oidc_key_ambiguous` and what reading the set throws. */
  find(kid: string | undefined): Promise<JWK>;
}

/** O10: reads a key set. Throws `oidc_keys_invalid`. */
export function parseKeys(document: Readonly<Record<string, unknown>>): readonly JWK[] {
  const keys = parseKeySet(document);
  if (typeof keys === 'string') throw refusal('oidc_keys_invalid', keys);
  return keys;
}

/** O10 and O24: one key for a token. While the set is held back a failed reading is the answer to everybody. */
export function createKeySource(
  connection: OidcConnection,
  provider: OidcProvider,
  ports: ReachPorts & { readonly clock: Clock },
): KeySource {
  const asked = { url: provider.jwksUri, bytes_max: KEYS_BYTES_MAX };
  const read = async () => parseKeys(await askJson(connection, asked, ports));
  const held = holdKeys(connection.algorithm, { read, clock: ports.clock });
  return {
    async find(kid) {
      const { keys, heldBack } = await held.find(kid);
      if (heldBack?.failure !== undefined) throw heldBack.failure;
      const [key] = keys;
      if (key === undefined) throw refusal('oidc_key_unknown');
      if (keys.length > 1) throw refusal('oidc_key_ambiguous');
      return publicPart(key);
    },
  };
}
