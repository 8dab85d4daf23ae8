import type { KeyObject } from 'node:crypto';
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';

/** How the authenticator behaves; each field may be changed between ceremonies to play an attacker. */
export interface AuthenticatorBehaviour {
  origin: string;
  /** What the authenticator believes the relying party to be; undefined: whatever the options say. */
  rpId: string | undefined;
  userVerified: boolean;
  userPresent: boolean;
  crossOrigin: boolean;
}

interface StoredKey {
  readonly id: Buffer;
  readonly privateKey: KeyObject;
  readonly algorithm: -7 | -8;
  readonly rpId: string;
  readonly userId: string;
  counter: number;
}

/** A key as text, to be used again after a restart. */
export interface KeptPasskey {
  readonly id: string;
  readonly privateKey: string;
  readonly algorithm: -7 | -8;
  readonly rpId: string;
  readonly userId: string;
  readonly counter: number;
}

/** A passkey authenticator in software: real keys, real signatures, attestation "none". */
export interface SoftwareAuthenticator {
  readonly behaviour: AuthenticatorBehaviour;
  /** Answers registration options and keeps the key. */
  register(options: PublicKeyCredentialCreationOptionsJSON): RegistrationResponseJSON;
  /** Answers authentication options with a key for the relying party. Throws when there is none. */
  authenticate(options: PublicKeyCredentialRequestOptionsJSON): AuthenticationResponseJSON;
  /** A second device with the same keys and counters, as an attacker who copied them would have. */
  clone(): SoftwareAuthenticator;
  /** Its keys as they are now, private parts included: of canaries alone. */
  keep(): readonly KeptPasskey[];
}

/** CBOR (RFC 8949), the few major types that an attestation object needs. */
type Cbor = number | string | Uint8Array | Map<number | string, Cbor>;

function head(major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.from([(major << 5) | argument]);
  if (argument < 0x100) return Buffer.from([(major << 5) | 24, argument]);
  if (argument < 0x1_0000) return Buffer.from([(major << 5) | 25, argument >> 8, argument & 0xff]);
  throw new RangeError('longer than an attestation object ever is');
}

function encodeCbor(value: Cbor): Buffer {
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  const items = [...value].flatMap(([key, item]) => [encodeCbor(key), encodeCbor(item)]);
  return Buffer.concat([head(5, value.size), ...items]);
}

function coseKey(publicKey: KeyObject, algorithm: -7 | -8): Buffer {
  const jwk = publicKey.export({ format: 'jwk' });
  const x = Buffer.from(jwk.x ?? '', 'base64url');
  if (algorithm === -8)
    return encodeCbor(
      new Map<number, Cbor>([
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, x],
      ]),
    );
  const y = Buffer.from(jwk.y ?? '', 'base64url');
  return encodeCbor(
    new Map<number, Cbor>([
      [1, 2],
      [3, -7],
      [-1, 1],
      [-2, x],
      [-3, y],
    ]),
  );
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash('sha256').update(data).digest();
}

function authenticatorData(rpId: string, flags: number, counter: number): Buffer {
  const data = Buffer.alloc(37);
  sha256(rpId).copy(data);
  data[32] = flags;
  data.writeUInt32BE(counter, 33);
  return data;
}

function clientData(type: string, challenge: string, behaviour: AuthenticatorBehaviour): Buffer {
  return Buffer.from(JSON.stringify({ type, challenge, origin: behaviour.origin, crossOrigin: behaviour.crossOrigin }));
}

function flagsOf(behaviour: AuthenticatorBehaviour): number {
  return (behaviour.userPresent ? 0x01 : 0) | (behaviour.userVerified ? 0x04 : 0);
}

function newKey(options: PublicKeyCredentialCreationOptionsJSON, rpId: string): { stored: StoredKey; cose: Buffer } {
  const algorithm = options.pubKeyCredParams
    .map(({ alg }) => alg)
    .find((alg): alg is -7 | -8 => alg === -8 || alg === -7);
  if (algorithm === undefined) throw new Error('the relying party offers neither EdDSA nor ES256');
  const pair = algorithm === -8 ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const id = randomBytes(32);
  const stored = { id, privateKey: pair.privateKey, algorithm, rpId, userId: options.user.id, counter: 0 };
  return { stored, cose: coseKey(pair.publicKey, algorithm) };
}

function keepKey({ id, privateKey, ...key }: StoredKey): KeptPasskey {
  const der = privateKey.export({ format: 'der', type: 'pkcs8' });
  return { ...key, id: id.toString('base64url'), privateKey: der.toString('base64url') };
}

function create(behaviour: AuthenticatorBehaviour, keys: StoredKey[]): SoftwareAuthenticator {
  return {
    behaviour,
    register(options) {
      const rpId = behaviour.rpId ?? options.rp.id ?? new URL(behaviour.origin).hostname;
      const { stored, cose } = newKey(options, rpId);
      keys.push(stored);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(stored.id.length);
      const attested = Buffer.concat([Buffer.alloc(16), length, stored.id, cose]);
      const authData = Buffer.concat([authenticatorData(rpId, flagsOf(behaviour) | 0x40, 0), attested]);
      const attestation = new Map<string, Cbor>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ]);
      const id = stored.id.toString('base64url');
      return {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        authenticatorAttachment: 'platform',
        response: {
          clientDataJSON: clientData('webauthn.create', options.challenge, behaviour).toString('base64url'),
          attestationObject: encodeCbor(attestation).toString('base64url'),
          transports: ['internal'],
        },
      };
    },
    authenticate(options) {
      const rpId = behaviour.rpId ?? options.rpId ?? new URL(behaviour.origin).hostname;
      const allowed = options.allowCredentials?.map(({ id }) => id);
      const key = keys.find(
        (candidate) =>
          allowed === undefined || allowed.length === 0 || allowed.includes(candidate.id.toString('base64url')),
      );
      if (key === undefined) throw new Error(`no passkey for ${rpId}`);
      key.counter += 1;
      const data = authenticatorData(rpId, flagsOf(behaviour), key.counter);
      const client = clientData('webauthn.get', options.challenge, behaviour);
      const signature = sign(
        key.algorithm === -8 ? null : 'sha256',
        Buffer.concat([data, sha256(client)]),
        key.privateKey,
      );
      const id = key.id.toString('base64url');
      return {
        id,
        rawId: id,
        type: 'public-key',
        clientExtensionResults: {},
        authenticatorAttachment: 'platform',
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: signature.toString('base64url'),
          userHandle: key.userId,
        },
      };
    },
    clone: () =>
      create(
        { ...behaviour },
        keys.map((key) => ({ ...key })),
      ),
    keep: () => keys.map(keepKey),
  };
}

/** Makes an authenticator that sits in a browser at `origin`, without keys or with those that were kept of another. */
export function createSoftwareAuthenticator(
  input: { readonly origin: string } & Partial<AuthenticatorBehaviour>,
  kept: readonly KeptPasskey[] = [],
): SoftwareAuthenticator {
  const keys = kept.map(({ id, privateKey, ...key }) => ({
    ...key,
    id: Buffer.from(id, 'base64url'),
    privateKey: createPrivateKey({ key: Buffer.from(privateKey, 'base64url'), format: 'der', type: 'pkcs8' }),
  }));
  return create({ rpId: undefined, userVerified: true, userPresent: true, crossOrigin: false, ...input }, keys);
}
