import { isSecureAddress } from '@auditrax/base/remote';
import type { Clock } from '@auditrax/base';
import type { OidcConnection } from './connection.ts';
import { quoted, refusal } from './errors.ts';
import { askJson, type ReachPorts } from './http.ts';
import { METADATA_BYTES_MAX, URL_CHARACTERS_MAX } from './limits.ts';

/** What a provider says about itself, as far as it is used here; read by {@link discoverProvider} only. */
export interface OidcProvider {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly jwksUri: string;
  readonly endSessionEndpoint: string | undefined;
  /** RFC 9207: it has promised to name itself in each answer. */
  readonly namesItself: boolean;
  readonly readAt_ms: number;
}

/** OpenID Connect Discovery 4.1: a slash at the end of the issuer goes before the path is joined. */
export function discoveryAddress(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
}

type Metadata = Readonly<Record<string, unknown>>;

function endpoint(metadata: Metadata, name: string, connection: OidcConnection): string {
  const text = metadata[name];
  if (typeof text !== 'string' || text.length > URL_CHARACTERS_MAX || !URL.canParse(text))
    throw refusal('oidc_metadata_invalid', name, { field: name });
  if (!isSecureAddress(new URL(text), connection.isRehearsal))
    throw refusal('oidc_address_refused', name, { field: name });
  if (text.includes('#')) throw refusal('oidc_metadata_invalid', `${name} has a fragment`, { field: name });
  return text;
}

/** Where a provider lists what it can, the list must have what is going to be used. */
function checkOffers(metadata: Metadata, name: string, wanted: string): void {
  const list = metadata[name];
  if (list === undefined) return;
  if (!Array.isArray(list)) throw refusal('oidc_metadata_invalid', name, { field: name });
  if (!list.includes(wanted)) throw refusal('oidc_metadata_unsupported', `${name} without ${wanted}`, { field: name });
}

function flag(metadata: Metadata, name: string): boolean {
  const value = metadata[name] ?? false;
  // "true" as text would otherwise be read as silence, and the check of the answer's issuer would be off.
  if (typeof value !== 'boolean') throw refusal('oidc_metadata_invalid', name, { field: name });
  return value;
}

/**
 * O8 and O9: checks a discovery document for a connection. Throws `oidc_metadata_issuer`, `oidc_metadata_invalid`,
 * `oidc_metadata_unsupported` or `oidc_address_refused`.
 */
export function parseMetadata(metadata: Metadata, connection: OidcConnection, clock: Clock): OidcProvider {
  if (metadata['issuer'] !== connection.issuer)
    throw refusal('oidc_metadata_issuer', `${quoted(metadata['issuer'])} instead of ${quoted(connection.issuer)}`);
  checkOffers(metadata, 'response_types_supported', 'code');
  // Entra does not list it and does it all the same; who lists only `plain` does not.
  checkOffers(metadata, 'code_challenge_methods_supported', 'S256');
  checkOffers(metadata, 'id_token_signing_alg_values_supported', connection.algorithm);
  checkOffers(metadata, 'token_endpoint_auth_methods_supported', connection.clientAuthentication.method);
  return {
    issuer: connection.issuer,
    authorizationEndpoint: endpoint(metadata, 'authorization_endpoint', connection),
    tokenEndpoint: endpoint(metadata, 'token_endpoint', connection),
    jwksUri: endpoint(metadata, 'jwks_uri', connection),
    endSessionEndpoint:
      metadata['end_session_endpoint'] === undefined
        ? undefined
        : endpoint(metadata, 'end_session_endpoint', connection),
    namesItself: flag(metadata, 'authorization_response_iss_parameter_supported'),
    readAt_ms: clock.nowMs(),
  };
}

/** Reads the discovery document of a connection's issuer. Throws what {@link parseMetadata} throws, and O4 to O7. */
export async function discoverProvider(
  connection: OidcConnection,
  ports: ReachPorts & { readonly clock: Clock },
): Promise<OidcProvider> {
  const asked = { url: discoveryAddress(connection.issuer), bytes_max: METADATA_BYTES_MAX };
  return parseMetadata(await askJson(connection, asked, ports), connection, ports.clock);
}
