import { isSecureAddress } from '@auditrax/base/remote';
import type { Clock } from '@auditrax/base';
import { quoted, refusal } from './errors.ts';
import { readDocument, type ReachPorts } from './http.ts';
import { isPlainText, memberOf, type JsonObject } from './json.ts';
import { METADATA_BYTES_MAX, SUBJECT_MEMBERS_MAX, URL_CHARACTERS_MAX } from './limits.ts';

/** How events come: pushed (RFC 8935) or polled (RFC 8936). */
export const DELIVERY_METHODS = { push: 'urn:ietf:rfc:8935', poll: 'urn:ietf:rfc:8936' } as const;
export type DeliveryMethod = keyof typeof DELIVERY_METHODS;

/** What a transmitter says about itself. */
export interface TransmitterConfiguration {
  readonly issuer: string;
  readonly jwksUri: string;
  /** Undefined where it does not say. */
  readonly deliveryMethods: readonly DeliveryMethod[] | undefined;
  readonly configurationEndpoint: string | undefined;
  readonly statusEndpoint: string | undefined;
  readonly verificationEndpoint: string | undefined;
  readonly criticalMembers: readonly string[];
  readonly readAt_ms: number;
}

/**
 * SSF 1.0: the well-known name goes between host and path. `risc-configuration` is where transmitters of before the
 * final specification publish the same document.
 */
export function configurationAddress(
  issuer: string,
  name: 'ssf-configuration' | 'risc-configuration' = 'ssf-configuration',
): string {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/${name}${pathname.replace(/\/$/, '')}`;
}

const invalid = (field: string) => refusal('signals_metadata_invalid', field, { field });

function endpoint(metadata: JsonObject, name: string, isRehearsal: boolean): string | undefined {
  const text = memberOf(metadata, name);
  if (text === undefined) return undefined;
  if (typeof text !== 'string' || text.length > URL_CHARACTERS_MAX || !URL.canParse(text)) throw invalid(name);
  if (!isSecureAddress(new URL(text), isRehearsal)) throw refusal('signals_address_refused', name, { field: name });
  if (/[#\s]/.test(text)) throw invalid(name);
  return text;
}

function listOf(metadata: JsonObject, name: string): readonly string[] | undefined {
  const list = memberOf(metadata, name);
  if (list === undefined) return undefined;
  const isList = Array.isArray(list) && list.length <= SUBJECT_MEMBERS_MAX;
  if (!isList || !list.every((one): one is string => isPlainText(one, 128))) throw invalid(name);
  return list;
}

/** E6 and E7: checks a configuration document. Throws `signals_metadata_*` or `signals_address_refused`. */
export function parseConfiguration(
  metadata: JsonObject,
  issuer: string,
  { clock, isRehearsal = false }: { readonly clock: Clock; readonly isRehearsal?: boolean },
): TransmitterConfiguration {
  const named = memberOf(metadata, 'issuer');
  if (named !== issuer) throw refusal('signals_metadata_issuer', `${quoted(named)} instead of ${quoted(issuer)}`);
  const jwksUri = endpoint(metadata, 'jwks_uri', isRehearsal);
  if (jwksUri === undefined) throw invalid('jwks_uri');
  const offered = listOf(metadata, 'delivery_methods_supported');
  const methods = (Object.keys(DELIVERY_METHODS) as DeliveryMethod[]).filter((method) =>
    offered?.includes(DELIVERY_METHODS[method]),
  );
  if (offered !== undefined && methods.length === 0) throw invalid('delivery_methods_supported');
  return {
    issuer,
    jwksUri,
    deliveryMethods: offered === undefined ? undefined : methods,
    configurationEndpoint: endpoint(metadata, 'configuration_endpoint', isRehearsal),
    statusEndpoint: endpoint(metadata, 'status_endpoint', isRehearsal),
    verificationEndpoint: endpoint(metadata, 'verification_endpoint', isRehearsal),
    criticalMembers: listOf(metadata, 'critical_subject_members') ?? [],
    readAt_ms: clock.nowMs(),
  };
}

/** Reads the configuration document at {@link configurationAddress}. Throws what {@link parseConfiguration} does, E2 to E5. */
export async function readConfiguration(
  issuer: string,
  ports: ReachPorts & { readonly clock: Clock },
  name?: 'ssf-configuration' | 'risc-configuration',
): Promise<TransmitterConfiguration> {
  const document = await readDocument(configurationAddress(issuer, name), METADATA_BYTES_MAX, ports);
  return parseConfiguration(document, issuer, ports);
}
