import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, type Clock } from '@auditrax/base';
import type { WorkloadErrorCode } from './authority.ts';
import type { TlsMaterial, WorkloadIdentity } from './identity.ts';
import { serviceFromAltName } from './spiffe.ts';

/** As spiffe-helper writes them by default. */
const FILES = { certificate: 'svid.pem', key: 'svid_key.pem', bundle: 'svid_bundle.pem' } as const;
/**
 * Asked this often whether they are others now. By reading and not by watching: the writer may replace a file, a link or
 * the whole folder (Kubernetes), and a watch that lost its file says nothing.
 */
const LOOK_MS = 5_000;

export interface SvidFilesOptions {
  /** Where a sidecar keeps this process's own SVID, key and bundle; readable by this process alone. */
  readonly folder: string;
  readonly service: string;
  /** The trust domain, with the path that precedes the service's name where there is one. */
  readonly trustDomain: string;
  readonly clock: Clock;
  /** What is there now cannot be used; the material at hand stays in use until it expires. */
  onFailure(error: unknown): void;
  readonly look_ms?: number;
}

/**
 * The identity that SPIRE gives this process, from files, followed while it runs. Three files are not replaced in one
 * step: what does not belong together is left alone until it does. Throws `certificate_refused` when there is no usable
 * SVID at the start: for another name, another key, or past its end.
 */
export async function openSvidFiles(options: SvidFilesOptions): Promise<WorkloadIdentity> {
  const listeners = new Set<(material: TlsMaterial) => void>();
  let material = await readSvid(options);
  const look = async (): Promise<void> => {
    const found = await readSvid(options);
    if (found.certificatePem === material.certificatePem && found.bundlePem === material.bundlePem) return;
    material = found;
    for (const listener of listeners) listener(found);
  };
  const timer = setInterval(() => void look().catch(options.onFailure), options.look_ms ?? LOOK_MS).unref();
  return {
    current: () => material,
    onRotate(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    renew: look,
    close() {
      clearInterval(timer);
      listeners.clear();
    },
  };
}

function refused(why: string, cause?: unknown): AppError<WorkloadErrorCode> {
  return new AppError('certificate_refused', `the SVID cannot be used: ${why}`, { cause });
}

async function readSvid({ folder, service, trustDomain, clock }: SvidFilesOptions): Promise<TlsMaterial> {
  const [certificatePem, keyPem, bundlePem] = await Promise.all(
    [FILES.certificate, FILES.key, FILES.bundle].map((name) => readFile(join(folder, name), 'utf8')),
  ).catch((error: unknown) => {
    throw refused('its files cannot be read', error);
  });
  const leaf = parsed(() => new X509Certificate(certificatePem!));
  if (serviceFromAltName(leaf.subjectAltName, trustDomain) !== service) throw refused(`it is not ${service}’s`);
  if (!leaf.checkPrivateKey(parsed(() => createPrivateKey(keyPem!)))) throw refused('its key is another one’s');
  const notAfterMs = leaf.validToDate.getTime();
  if (clock.nowMs() >= notAfterMs) throw refused('it has expired');
  parsed(() => new X509Certificate(bundlePem!));
  return { service, trustDomain, keyPem: keyPem!, certificatePem: certificatePem!, bundlePem: bundlePem!, notAfterMs };
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw refused('a file of it does not parse', error);
  }
}
