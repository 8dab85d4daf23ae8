import type { SealErrorCode } from '../../errors.ts';

/** How a key may be used, kept apart: a key that may both decrypt and wrap would give away what it wraps. */
export type KeyUse = 'gcm' | 'kwp';

/** Names a key on the token: by its label, or by its CKA_ID in lower-case hex. */
export type KeyName = { readonly label: string } | { readonly id: string };

/** An AES key of the token, by its CKA_ID (lower-case hex); its bytes never leave the token. */
export interface TokenKey {
  readonly id: string;
  readonly label: string;
}

/** A key's attributes, read back from the token; `undefined` where the token does not know the attribute. */
export interface TokenKeyAttributes extends TokenKey {
  /** The token handed out the key itself when it was asked for CKA_VALUE (which was wiped at once). */
  readonly givesValue: boolean;
  /** CKK_AES. */
  readonly isAes: boolean;
  /** Length in bytes; `undefined` where the token hides it. */
  readonly value_bytes: number | undefined;
  readonly token: boolean | undefined;
  readonly private: boolean | undefined;
  readonly sensitive: boolean | undefined;
  readonly alwaysSensitive: boolean | undefined;
  readonly extractable: boolean | undefined;
  readonly neverExtractable: boolean | undefined;
  /** Made on the token, not brought to it. */
  readonly local: boolean | undefined;
  readonly modifiable: boolean | undefined;
  readonly encrypt: boolean | undefined;
  readonly decrypt: boolean | undefined;
  readonly wrap: boolean | undefined;
  readonly unwrap: boolean | undefined;
}

/** What a token says about itself, trimmed. */
export interface TokenFacts {
  readonly label: string;
  readonly serial: string;
  readonly manufacturer: string;
  readonly model: string;
  /** `major.minor`. */
  readonly firmware: string;
  /** The module: its description and version. */
  readonly library: string;
  /** The module says that the slot is a hardware one (CKF_HW_SLOT); what certificate that hardware has, it does not say. */
  readonly hardwareSlot: boolean;
}

/**
 * What the token was seen to do, not what it lists: each was tried on a throw-away key at connection, and where a key of
 * known bytes may be brought in, the result compared with OpenSSL's.
 */
export interface TokenMechanisms {
  readonly gcm: boolean;
  /** RFC 5649 key wrap with padding: the mechanism number that does it, or undefined. */
  readonly kwp: number | undefined;
  /** Every CKM_ number that the token lists. */
  readonly listed: readonly number[];
}

export interface ModuleSettings {
  readonly modulePath: string;
  readonly tokenLabel: string;
  /** Needed only where two tokens have one label. */
  readonly tokenSerial: string | undefined;
  readonly pin: string;
}

interface GcmInput {
  readonly key: string;
  readonly iv: Uint8Array;
  readonly aad: Uint8Array;
  readonly input: Uint8Array;
}

/** One call to the module; the child serves one at a time. */
export type TokenCall =
  | { readonly op: 'configure'; readonly settings: ModuleSettings }
  | { readonly op: 'facts' }
  | { readonly op: 'mechanisms' }
  | { readonly op: 'health' }
  | { readonly op: 'findKey'; readonly name: KeyName }
  | { readonly op: 'createAesKey'; readonly label: string; readonly id: string; readonly use: KeyUse }
  | { readonly op: 'describeKey'; readonly key: string }
  | { readonly op: 'destroyKey'; readonly key: string }
  | ({ readonly op: 'encryptGcm' } & GcmInput)
  | ({ readonly op: 'decryptGcm' } & GcmInput)
  | { readonly op: 'wrapKwp'; readonly key: string; readonly input: Uint8Array }
  | { readonly op: 'unwrapKwp'; readonly key: string; readonly input: Uint8Array };

export interface TokenRequest {
  readonly id: number;
  readonly call: TokenCall;
}

export interface TokenFailure {
  readonly code: SealErrorCode;
  readonly message: string;
  /** The token refused the PIN: nobody may try it again, a few refusals lock the token. */
  readonly pinRefused: boolean;
}

export type TokenReply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: TokenFailure };

/** IVs of 96 bits, and of 128 for callers whose protocol allows them. */
export const GCM_IV_BYTES: readonly number[] = [12, 16];
export const KWP_BLOCK_BYTES = 8;
/** Most that one call may carry: XKS allows 4300 bytes of text and 8192 + 20 of associated data. */
export const TOKEN_INPUT_BYTES_MAX = 16_384;
