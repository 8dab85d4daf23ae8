import type { Uuid } from '@auditrax/base';

/** The public addresses of one connection. Each has its own, so that an answer cannot be carried to another one. */
export interface ConnectionAddresses {
  /** Where a sign-in begins. */
  readonly start: string;
  /** OpenID Connect: the redirect URI. */
  readonly callback: string;
  /** SAML: the assertion consumer service. */
  readonly acs: string;
  /** OpenID Connect: where the provider says that somebody has signed out. */
  readonly logout: string;
  /** SAML: our own metadata, and our name as a service provider. */
  readonly metadata: string;
}

/** `origin` is the public one of the edge, without a slash at its end. */
export function addressesOf(origin: string, connectionId: Uuid): ConnectionAddresses {
  const base = `${origin}/sso/${connectionId}`;
  return {
    start: `${base}/start`,
    callback: `${base}/callback`,
    acs: `${base}/acs`,
    logout: `${base}/logout`,
    metadata: `${base}/metadata`,
  };
}
