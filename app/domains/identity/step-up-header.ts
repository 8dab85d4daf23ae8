import { createHash } from 'node:crypto';
import { fromBase64Url, parseUuid, toBase64Url, type Json, type Uuid } from '@auditrax/base';
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { assertionResponse } from './contract.ts';

/** An assertion with its surroundings; RSA signatures are the longest. */
export const STEP_UP_HEADER_CHARACTERS_MAX = 8192;

export interface StepUpHeader {
  readonly challengeId: Uuid;
  readonly assertion: AuthenticationResponseJSON;
  /** base64url SHA-256 of the header as received. */
  readonly hash: string;
}

/** Reads the `x-step-up` header: base64url JSON `{challengeId, assertion}`. Undefined when it is anything else. */
export function readStepUpHeader(header: string): StepUpHeader | undefined {
  if (header.length > STEP_UP_HEADER_CHARACTERS_MAX) return undefined;
  const bytes = fromBase64Url(header);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { challengeId, assertion } = value as { challengeId?: unknown; assertion?: unknown };
  const id = typeof challengeId === 'string' ? parseUuid(challengeId) : undefined;
  const parsed = assertionResponse.safeParse(assertion);
  if (id === undefined || !parsed.success) return undefined;
  const { userHandle, ...response } = parsed.data.response;
  const clean = {
    id: parsed.data.id,
    rawId: parsed.data.rawId,
    type: parsed.data.type,
    clientExtensionResults: {},
    response: { ...response, ...(userHandle == null ? {} : { userHandle }) },
  };
  return { challengeId: id, assertion: clean, hash: createHash('sha256').update(header).digest('base64url') };
}

/**
 * What the issuer puts into a token after it has accepted a step-up assertion: enough for any service to verify the
 * same assertion again, against the action that it is about to do.
 */
export interface StepUpClaims {
  readonly operation: string;
  /** base64url, 32 bytes. */
  readonly nonce: string;
  /** base64url SHA-256 of the canonical action. */
  readonly actionHash: string;
  /** base64url, as the authenticator names the passkey. */
  readonly credentialId: string;
  /** Id of the passkey's record, which its registration's entry names. */
  readonly credential: string;
  /** base64url COSE key. */
  readonly publicKey: string;
  readonly assertionHash: string;
}

const NAMES = ['operation', 'nonce', 'actionHash', 'credentialId', 'credential', 'publicKey', 'assertionHash'] as const;

/** Reads the claims out of `tctx.stepUp`; undefined when they are not all there. */
export function readStepUpClaims(value: Json | undefined): StepUpClaims | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const record = value as Readonly<Record<string, Json | undefined>>;
  return NAMES.every((name) => typeof record[name] === 'string') ? (record as unknown as StepUpClaims) : undefined;
}

/** Makes the claims of an accepted assertion. */
export function stepUpClaims(input: {
  readonly operation: string;
  readonly nonce: Uint8Array;
  readonly actionHash: Uint8Array;
  readonly passkey: { readonly id: string; readonly publicKey: Uint8Array };
  readonly credential: Uuid;
  readonly assertionHash: string;
}): StepUpClaims {
  return {
    operation: input.operation,
    nonce: toBase64Url(input.nonce),
    actionHash: toBase64Url(input.actionHash),
    credentialId: input.passkey.id,
    credential: input.credential,
    publicKey: toBase64Url(input.passkey.publicKey),
    assertionHash: input.assertionHash,
  };
}
