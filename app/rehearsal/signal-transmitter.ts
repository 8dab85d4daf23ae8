import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { toBase64Url, type Clock } from '@auditrax/base';
import { issueEdgeCertificate, strictTls } from '@auditrax/workload';

const KEY_ID = 'rehearsed';

/**
 * `stranger`: by another key under the known key's id. `none`: not at all, and says so. `mac`: with the public key as if it
 * were a shared secret. `changed`: the claims were changed after the signature.
 */
export type SetForgery = 'stranger' | 'none' | 'mac' | 'changed';

export interface SetWishes {
  readonly claims: Readonly<Record<string, unknown>>;
  readonly forged?: SetForgery;
  /** Default: that of security event tokens. */
  readonly typ?: string;
}

/** A transmitter of shared signals that signs whatever a probe wants said, in this process; its key set is on loopback. */
export interface RehearsedTransmitter {
  readonly origin: string;
  readonly port: number;
  /** PEM. */
  readonly authority: string;
  sign(wishes: SetWishes): string;
  close(): Promise<void>;
}

const part = (value: unknown): string => toBase64Url(Buffer.from(JSON.stringify(value), 'utf8'));

interface TransmitterKeys {
  readonly own: KeyObject;
  readonly stranger: KeyObject;
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

function makeKeys(): TransmitterKeys {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicJwk = { ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, use: 'sig', alg: 'ES256' };
  return { own: privateKey, stranger, publicJwk };
}

/** By the primitives of the runtime and nothing of ours: what is believed must not depend on what we would send. */
function signSet({ claims, forged, typ = 'secevent+jwt' }: SetWishes, keys: TransmitterKeys): string {
  const alg = forged === 'none' ? 'none' : forged === 'mac' ? 'HS256' : 'ES256';
  const head = part({ alg, typ, kid: KEY_ID });
  const text = `${head}.${part(claims)}`;
  if (forged === 'none') return `${text}.`;
  if (forged === 'mac')
    return `${text}.${createHmac('sha256', JSON.stringify(keys.publicJwk)).update(text).digest('base64url')}`;
  const key = forged === 'stranger' ? keys.stranger : keys.own;
  const signed = forged === 'changed' ? `${head}.${part({ ...claims, events: {} })}` : text;
  const signature = sign('sha256', Buffer.from(signed, 'ascii'), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

/** Opens the key set on a free port; TLS 1.3 as everywhere in the house. */
export async function startRehearsedTransmitter({ clock }: { readonly clock: Clock }): Promise<RehearsedTransmitter> {
  const { keyPem, certificatePem, authorityPem } = await issueEdgeCertificate({ clock, name: 'Rehearsed transmitter' });
  const keys = makeKeys();
  const server = createServer({ ...strictTls(), key: keyPem, cert: certificatePem }, ({ url }, response) => {
    const isKeys = url === '/keys';
    response.writeHead(isKeys ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKeys ? { keys: [keys.publicJwk] } : { error: 'not_found' }));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    origin: `https://127.0.0.1:${port}`,
    port,
    authority: authorityPem,
    sign: (wishes) => signSet(wishes, keys),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
