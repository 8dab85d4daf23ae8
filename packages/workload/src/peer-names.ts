/** Lower-case service names only: the id must have exactly one spelling. */
const SERVICE_NAME = /^[a-z][a-z0-9-]{0,62}$/;
const PLACE = '{service}';
/** What stands around the name: a URI of SPIFFE or a DNS-like name, in one spelling, without quotes or separators. */
const AROUND = /^[a-z0-9:/._-]*$/;

/** How a mesh names the services of a house. */
export interface PeerNames {
  /** The service that an identity names; undefined for every other identity. */
  serviceOf(id: string): string | undefined;
  idOf(service: string): string;
}

/**
 * Names by a pattern with `{service}` in it once, such as `spiffe://example.org/ns/audit/sa/{service}` or
 * `{service}.audit.serviceaccount.identity.linkerd.cluster.local`. Everything else must match letter by letter. Throws
 * RangeError for a pattern without the place, or with letters that no identity has.
 */
export function peerNames(pattern: string): PeerNames {
  const [before, after, more] = pattern.split(PLACE);
  if (before === undefined || after === undefined || more !== undefined || !AROUND.test(before) || !AROUND.test(after))
    throw new RangeError(`not a pattern of names with ${PLACE} in it once`);
  // A name that ran into what follows could be read in two ways.
  if (after !== '' && /^[a-z0-9-]/.test(after)) throw new RangeError(`${PLACE} must end where a name ends`);
  return {
    serviceOf(id) {
      if (id.length <= before.length + after.length || !id.startsWith(before) || !id.endsWith(after)) return undefined;
      const service = id.slice(before.length, id.length - after.length);
      return SERVICE_NAME.test(service) ? service : undefined;
    },
    idOf(service) {
      if (!SERVICE_NAME.test(service)) throw new RangeError('not a service name');
      return `${before}${service}${after}`;
    },
  };
}
