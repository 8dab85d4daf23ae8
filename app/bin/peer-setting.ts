import { join } from 'node:path';
import { AppError, type Json, type ServiceName } from '@auditrax/base';
import { peerNames, type PeerNames } from '@auditrax/workload';

export const PEER_IDENTITIES = ['own', 'spiffe', 'istio', 'linkerd'] as const;

/** By what the processes know each other. */
export type PeerSetting =
  | { readonly kind: 'own' }
  | { readonly kind: 'spiffe' | 'istio' | 'linkerd'; readonly names: string; readonly folder: string };

const SCHEME = 'spiffe://';
const PLACE = '/{service}';

function refuse(message: string): AppError {
  return new AppError('bad_setting', message);
}

/** Checks what belongs together. Throws `bad_setting`. */
export function peerSetting(given: {
  readonly kind: (typeof PEER_IDENTITIES)[number];
  readonly names: string | undefined;
  readonly folder: string | undefined;
}): PeerSetting {
  const { kind, names, folder } = given;
  if (kind === 'own') {
    if (names === undefined && folder === undefined) return { kind };
    throw refuse('AUDITRAX_PEER_NAMES and AUDITRAX_PEER_FOLDER need AUDITRAX_PEER_IDENTITY=spiffe, istio or linkerd');
  }
  if (names === undefined || folder === undefined)
    throw refuse(`AUDITRAX_PEER_IDENTITY=${kind} needs AUDITRAX_PEER_NAMES and AUDITRAX_PEER_FOLDER`);
  try {
    peerNames(names);
  } catch (error) {
    throw refuse(`AUDITRAX_PEER_NAMES: ${(error as Error).message}`);
  }
  if (kind !== 'linkerd' && !(names.startsWith(SCHEME) && names.endsWith(PLACE)))
    throw refuse(`AUDITRAX_PEER_NAMES: ${kind} names processes as ${SCHEME}<trust domain>…${PLACE}`);
  return { kind, names, folder };
}

/** What stands between the scheme and the name of a service. */
export function trustPath(names: string): string {
  return names.slice(SCHEME.length, -PLACE.length);
}

/** As the supervisor told it to a process. */
export function readPeerSetting(options: Readonly<Record<string, Json>>): PeerSetting {
  return (options['peerIdentity'] ?? { kind: 'own' }) as unknown as PeerSetting;
}

/** How a mesh names the processes here; where none is set, how it would by default, for whoever forges such a name. */
export function meshNames(told: PeerSetting): PeerNames {
  return peerNames(told.kind === 'own' ? 'spiffe://cluster.local/{service}' : told.names);
}

/** Where a process listens for its proxy. */
export function sidecarSocket(folder: string, service: ServiceName): string {
  return join(folder, service, 'peer.sock');
}

/**
 * In earnest a header names a peer only where nobody but the proxy can reach the door: processes that share a user could
 * open each other's. Throws `bad_setting`.
 */
export function refuseSharedDoors(
  { peerIdentity, production }: { readonly peerIdentity: PeerSetting; readonly production: boolean },
  isRoot = process.getuid!() === 0,
): void {
  const isMesh = peerIdentity.kind === 'istio' || peerIdentity.kind === 'linkerd';
  if (isMesh && production && !isRoot)
    throw refuse(
      `AUDITRAX_PEER_IDENTITY=${peerIdentity.kind}: start as root, so that each process has a user of its own: here each could open the door of another one’s proxy`,
    );
}

/** What the page has to say of it: what was only tried with stand-ins. */
export function meshNotes({ kind }: PeerSetting): string[] {
  if (kind === 'spiffe')
    return [
      'The processes know each other by certificates of SPIRE; in this build that was rehearsed with files of our own making.',
    ];
  if (kind === 'own') return [];
  const name = kind === 'istio' ? 'Istio' : 'Linkerd';
  return [
    `Beside certificates, a proxy of ${name} may name a peer, at a door that it alone reaches; that was rehearsed with stand-ins of the proxy only, one before each process.`,
  ];
}
