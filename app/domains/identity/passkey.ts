import { createHash, createPublicKey, type JsonWebKey } from 'node:crypto';
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { decodeCredentialPublicKey } from '@simplewebauthn/server/helpers';
import { fromBase64Url, toBase64Url } from '@auditrax/base';

/** Where passkeys of a door are valid. `origins` are exact (scheme, host, port). */
export interface DoorSettings {
  readonly rpId: string;
  readonly rpName: string;
  readonly origins: readonly string[];
}

export interface PasskeyRecord {
  /** base64url, as the authenticator names it. */
  readonly id: string;
  /** COSE key. */
  readonly publicKey: Uint8Array;
  readonly counter: number;
  readonly transports: readonly string[];
}

export type PasskeyRefusal =
  | 'malformed'
  | 'challenge'
  | 'origin'
  | 'cross-origin'
  | 'relying-party'
  | 'user-verification'
  | 'counter'
  | 'user-handle'
  | 'signature';

export type RegistrationVerdict =
  | { readonly ok: true; readonly passkey: PasskeyRecord; readonly deviceType: 'singleDevice' | 'multiDevice' }
  | { readonly ok: false; readonly reason: PasskeyRefusal };
export type AssertionVerdict =
  | { readonly ok: true; readonly counter: number }
  | { readonly ok: false; readonly reason: PasskeyRefusal };

/** Time the browser gives the person, equal to the life of the challenge. */
export const CEREMONY_SECONDS_MAX = 120;
/** EdDSA, ES256, RS256: what authenticators in the field speak. */
const ALGORITHMS = [-8, -7, -257];
const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
/** rpIdHash 32, flags 1, counter 4 (WebAuthn section 6.1). */
const AUTHENTICATOR_DATA_BYTES_MIN = 37;
/** Credential ids are at most 1023 bytes (WebAuthn section 4). */
const CREDENTIAL_ID_BYTES_MAX = 1023;

/** SHA-256 of the credential id's bytes; undefined when the text is no base64url or too long. */
export function credentialHash(id: string): Buffer | undefined {
  const bytes = fromBase64Url(id);
  if (bytes === undefined || bytes.length === 0 || bytes.length > CREDENTIAL_ID_BYTES_MAX) return undefined;
  return createHash('sha256').update(bytes).digest();
}

/** Labels of COSE keys (RFC 9053); what they mean depends on the kind of key. */
const COSE = { kind: 1, crvOrN: -1, xOrE: -2, y: -3 } as const;
const COSE_OKP = 1;
const COSE_EC2 = 2;

/**
 * A passkey's public key as SubjectPublicKeyInfo (DER), which every tool reads. Throws for a COSE key of another kind than
 * P-256, RSA and Ed25519.
 */
export function spkiOf(coseKey: Uint8Array): Buffer {
  // The library's type knows each kind by itself; the labels are numbers all the same.
  const key = decodeCredentialPublicKey(Uint8Array.from(coseKey)) as unknown as ReadonlyMap<number, unknown>;
  const part = (label: number) => toBase64Url(key.get(label) as Uint8Array);
  const jwkOf = (): JsonWebKey => {
    if (key.get(COSE.kind) === COSE_OKP) return { kty: 'OKP', crv: 'Ed25519', x: part(COSE.xOrE) };
    if (key.get(COSE.kind) === COSE_EC2) return { kty: 'EC', crv: 'P-256', x: part(COSE.xOrE), y: part(COSE.y) };
    return { kty: 'RSA', n: part(COSE.crvOrN), e: part(COSE.xOrE) };
  };
  return createPublicKey({ key: jwkOf(), format: 'jwk' }).export({ format: 'der', type: 'spki' });
}

/** base64url SHA-256 of a passkey's public key as SubjectPublicKeyInfo. */
export function publicKeyHash(coseKey: Uint8Array): string {
  return createHash('sha256').update(spkiOf(coseKey)).digest('base64url');
}

/** Options for making a passkey: discoverable, so that signing in needs no name, and with user verification. */
export function registrationOptions(input: {
  readonly door: DoorSettings;
  readonly challenge: Uint8Array;
  readonly userId: Uint8Array;
  readonly label: string;
  readonly existing: readonly PasskeyRecord[];
}): Promise<PublicKeyCredentialCreationOptionsJSON> {
  return generateRegistrationOptions({
    rpName: input.door.rpName,
    rpID: input.door.rpId,
    userName: input.label,
    userDisplayName: input.label,
    userID: Uint8Array.from(input.userId),
    challenge: Uint8Array.from(input.challenge),
    timeout: CEREMONY_SECONDS_MAX * 1000,
    attestationType: 'none',
    excludeCredentials: input.existing.map(({ id, transports }) => ({ id, transports: [...transports] as never })),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    supportedAlgorithmIDs: ALGORITHMS,
  });
}

/** Options for using a passkey. Without `allowed`, any passkey of the relying party may answer (sign-in). */
export function assertionOptions(input: {
  readonly door: DoorSettings;
  readonly challenge: Uint8Array;
  readonly allowed?: readonly PasskeyRecord[];
}): Promise<PublicKeyCredentialRequestOptionsJSON> {
  return generateAuthenticationOptions({
    rpID: input.door.rpId,
    challenge: Uint8Array.from(input.challenge),
    timeout: CEREMONY_SECONDS_MAX * 1000,
    userVerification: 'required',
    ...(input.allowed === undefined
      ? {}
      : {
          allowCredentials: input.allowed.map(({ id, transports }) => ({ id, transports: [...transports] as never })),
        }),
  });
}

/** Checks what the browser wrote, by name, so that a refusal can be told apart in the log. */
function judgeClientData(
  clientDataJson: string,
  type: string,
  expected: { challenge: Uint8Array; door: DoorSettings },
): PasskeyRefusal | undefined {
  const bytes = fromBase64Url(clientDataJson);
  if (bytes === undefined) return 'malformed';
  let data: unknown;
  try {
    data = JSON.parse(bytes.toString('utf8'));
  } catch {
    return 'malformed';
  }
  if (typeof data !== 'object' || data === null) return 'malformed';
  const client = data as Record<string, unknown>;
  if (client['type'] !== type) return 'malformed';
  if (client['challenge'] !== toBase64Url(expected.challenge)) return 'challenge';
  if (typeof client['origin'] !== 'string' || !expected.door.origins.includes(client['origin'])) return 'origin';
  // A page of somebody else that frames ours could make a person confirm what they do not see.
  if (client['crossOrigin'] === true || client['topOrigin'] !== undefined) return 'cross-origin';
  return undefined;
}

function judgeAuthenticatorData(bytes: Buffer, rpId: string): PasskeyRefusal | undefined {
  if (bytes.length < AUTHENTICATOR_DATA_BYTES_MIN) return 'malformed';
  if (!bytes.subarray(0, 32).equals(createHash('sha256').update(rpId).digest())) return 'relying-party';
  const flags = bytes[32]!;
  // Presence alone is a touch by anybody who holds the device.
  return (flags & USER_PRESENT) !== 0 && (flags & USER_VERIFIED) !== 0 ? undefined : 'user-verification';
}

/** Verifies a new passkey: our challenge, our origin, user verified, a key of a known algorithm. Never throws. */
export async function verifyRegistration(input: {
  readonly response: RegistrationResponseJSON;
  readonly challenge: Uint8Array;
  readonly door: DoorSettings;
}): Promise<RegistrationVerdict> {
  const early = judgeClientData(input.response.response.clientDataJSON, 'webauthn.create', input);
  if (early !== undefined) return { ok: false, reason: early };
  try {
    const verified = await verifyRegistrationResponse({
      response: input.response,
      expectedChallenge: toBase64Url(input.challenge),
      expectedOrigin: [...input.door.origins],
      expectedRPID: input.door.rpId,
      requireUserPresence: true,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS,
    });
    if (!verified.verified) return { ok: false, reason: 'signature' };
    const { credential, credentialDeviceType, userVerified } = verified.registrationInfo;
    if (!userVerified) return { ok: false, reason: 'user-verification' };
    if (credentialHash(credential.id) === undefined) return { ok: false, reason: 'malformed' };
    const passkey = {
      id: credential.id,
      publicKey: credential.publicKey,
      counter: credential.counter,
      transports: knownTransports(input.response.response.transports),
    };
    return { ok: true, passkey, deviceType: credentialDeviceType };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

/** The library says why only in words; the words are used for the log, never for the decision. */
function reasonOf(error: unknown): PasskeyRefusal {
  const message = error instanceof Error ? error.message : '';
  if (/user verif|user.*present/i.test(message)) return 'user-verification';
  if (/RP ID/i.test(message)) return 'relying-party';
  return 'malformed';
}

const TRANSPORTS = ['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb'];

function knownTransports(transports: readonly string[] | undefined): string[] {
  return TRANSPORTS.filter((transport) => transports?.includes(transport));
}

/**
 * Verifies an assertion: our challenge and origin, our relying party, user verified, a counter that grew, the
 * signature by this passkey. A counter that stands still or falls back means that the key exists twice. Never throws.
 */
export async function verifyAssertion(input: {
  readonly response: AuthenticationResponseJSON;
  readonly challenge: Uint8Array;
  readonly door: DoorSettings;
  readonly passkey: Pick<PasskeyRecord, 'id' | 'publicKey' | 'counter'>;
}): Promise<AssertionVerdict> {
  const { response, passkey } = input;
  if (response.id !== passkey.id) return { ok: false, reason: 'malformed' };
  const data = fromBase64Url(response.response.authenticatorData);
  if (data === undefined) return { ok: false, reason: 'malformed' };
  const early =
    judgeClientData(response.response.clientDataJSON, 'webauthn.get', input) ??
    judgeAuthenticatorData(data, input.door.rpId);
  if (early !== undefined) return { ok: false, reason: early };
  const counter = data.readUInt32BE(33);
  if ((counter > 0 || passkey.counter > 0) && counter <= passkey.counter) return { ok: false, reason: 'counter' };
  try {
    const verified = await verifyAuthenticationResponse({
      response,
      expectedChallenge: toBase64Url(input.challenge),
      expectedOrigin: [...input.door.origins],
      expectedRPID: input.door.rpId,
      requireUserVerification: true,
      credential: { id: passkey.id, publicKey: Uint8Array.from(passkey.publicKey), counter: passkey.counter },
    });
    if (!verified.verified || !verified.authenticationInfo.userVerified) return { ok: false, reason: 'signature' };
    return { ok: true, counter: verified.authenticationInfo.newCounter };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}
