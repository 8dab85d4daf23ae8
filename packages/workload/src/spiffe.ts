/** Lower-case service names only: the id must have exactly one spelling. */
const SERVICE_NAME = /^[a-z][a-z0-9-]{0,62}$/;
const TRUST_DOMAIN = /^[a-z0-9][a-z0-9.-]{0,254}$/;

/** The SPIFFE id of a service: `spiffe://<trust domain>/<service>`. Throws RangeError on a name outside the grammar. */
export function spiffeId(trustDomain: string, service: string): string {
  if (!TRUST_DOMAIN.test(trustDomain)) throw new RangeError('not a trust domain name');
  if (!SERVICE_NAME.test(service)) throw new RangeError('not a service name');
  return `spiffe://${trustDomain}/${service}`;
}

/**
 * The service named by a certificate's subject alternative names, as Node prints them (`subjectaltname`). The whole
 * text must be one URI of this trust domain: a second name, a DNS name or a quoted value (Node quotes values that hold
 * a comma, which an attacker may try) gives undefined.
 */
export function serviceFromAltName(subjectAltName: string | undefined, trustDomain: string): string | undefined {
  const prefix = `URI:spiffe://${trustDomain}/`;
  if (subjectAltName === undefined || !subjectAltName.startsWith(prefix)) return undefined;
  const service = subjectAltName.slice(prefix.length);
  return SERVICE_NAME.test(service) ? service : undefined;
}
