import type { ConnectionOptions, PeerCertificate, Server, TlsOptions } from 'node:tls';
import type { TlsMaterial, WorkloadIdentity } from './identity.ts';
import { serviceFromAltName } from './spiffe.ts';
import { strictTls } from './strict-tls.ts';

/** A handshake that takes longer is a client that holds sockets open for nothing. */
export const HANDSHAKE_MS_MAX = 10_000;

/** Options of a listener that demands a workload certificate from everyone. */
export function serverTls(material: TlsMaterial): TlsOptions {
  return {
    ...strictTls(),
    key: material.keyPem,
    cert: material.certificatePem,
    ca: material.bundlePem,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_MS_MAX,
  };
}

/** Options of a connection to `service`: any other identity is refused, whatever address it was dialled at. */
export function clientTls(material: TlsMaterial, service: string): ConnectionOptions {
  return {
    ...strictTls(),
    key: material.keyPem,
    cert: material.certificatePem,
    ca: material.bundlePem,
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => refuseOtherService(certificate, material.trustDomain, service),
  };
}

function refuseOtherService(certificate: PeerCertificate, trustDomain: string, service: string): Error | undefined {
  const named = serviceFromAltName(certificate.subjectaltname, trustDomain);
  return named === service ? undefined : new Error(`the server is ${named ?? 'of no known identity'}, not ${service}`);
}

/** Gives `server` each renewed certificate, with every strict option again; returns how to stop. */
export function followIdentity(server: Pick<Server, 'setSecureContext'>, identity: WorkloadIdentity): () => void {
  return identity.onRotate((material) => server.setSecureContext(serverTls(material)));
}
