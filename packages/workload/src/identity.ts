import 'reflect-metadata'; // before the certificate library, which asks for it
import { X509Certificate as NodeCertificate, createPrivateKey } from 'node:crypto';
import { AppError, type Clock } from '@auditrax/base';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import type { IssuedCertificate, WorkloadErrorCode } from './authority.ts';
import { SIGNING_ALGORITHM, generateKeys, privateKeyPem } from './keys.ts';
import { serviceFromAltName } from './spiffe.ts';

/** After a failed renewal; half of a leaf's life leaves 180 of these at the default. */
const RETRY_SECONDS = 10;

/** What TLS needs, all of one moment. */
export interface TlsMaterial {
  readonly service: string;
  readonly trustDomain: string;
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly bundlePem: string;
  readonly notAfterMs: number;
}

/** A process's own identity, renewed while it runs. */
export interface WorkloadIdentity {
  current(): TlsMaterial;
  /** `listener` runs after each renewal; returns how to stop listening. */
  onRotate(listener: (material: TlsMaterial) => void): () => void;
  /** Renews now, whatever the clock says (tests, and a suspected leak). */
  renew(): Promise<void>;
  close(): void;
}

export interface IdentityOptions {
  readonly service: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Carries the request to the authority, over a channel whose far end already knows who this process is. */
  obtain(csrPem: string): Promise<IssuedCertificate>;
  /** A renewal failed and will be tried again; the certificate at hand stays in use until it expires. */
  onFailure(error: unknown): void;
}

/**
 * Makes a key that never leaves this process, obtains a certificate for it, and renews both at half life. Throws
 * `certificate_refused` when what comes back is not for this key and this service.
 */
export async function startIdentity(options: IdentityOptions): Promise<WorkloadIdentity> {
  const listeners = new Set<(material: TlsMaterial) => void>();
  let material = await obtainMaterial(options);
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const schedule = (delay_ms: number) => {
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(() => void renew().catch(onFailure), Math.max(delay_ms, 0)).unref();
  };
  const onFailure = (error: unknown) => {
    options.onFailure(error);
    schedule(RETRY_SECONDS * 1000);
  };
  const renew = async () => {
    material = await obtainMaterial(options);
    schedule((material.notAfterMs - options.clock.nowMs()) / 2);
    for (const listener of listeners) listener(material);
  };
  schedule((material.notAfterMs - options.clock.nowMs()) / 2);
  return {
    current: () => material,
    onRotate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    renew,
    close() {
      closed = true;
      clearTimeout(timer);
      listeners.clear();
    },
  };
}

async function obtainMaterial(options: IdentityOptions): Promise<TlsMaterial> {
  const keys = await generateKeys(true);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: '',
    keys,
    signingAlgorithm: SIGNING_ALGORITHM,
  });
  const keyPem = await privateKeyPem(keys.privateKey);
  const { certificatePem, bundlePem } = await options.obtain(request.toString('pem'));
  const certificate = new NodeCertificate(certificatePem);
  const named = serviceFromAltName(certificate.subjectAltName, options.trustDomain);
  if (named !== options.service || !certificate.checkPrivateKey(createPrivateKey(keyPem))) {
    throw new AppError<WorkloadErrorCode>(
      'certificate_refused',
      `the certificate received is not for ${options.service} and its key`,
    );
  }
  return {
    service: options.service,
    trustDomain: options.trustDomain,
    keyPem,
    certificatePem,
    bundlePem,
    notAfterMs: certificate.validToDate.getTime(),
  };
}
