import type { Uuid } from '@auditrax/base';

/** What a wrapped data key is bound to. Ids only: it may show in a provider's own log. */
export interface DekContext {
  readonly tenantId: Uuid;
  /** A short ASCII word, such as `fields`. */
  readonly purpose: string;
  readonly dekId: Uuid;
  /** 1 for the first key of a tenant and purpose. */
  readonly version: number;
}

/** A data key under its key-encryption key; safe to store beside the data. */
export interface WrappedDek {
  readonly wrapped: Buffer;
  /** Which key-encryption key, as `provider:id`. */
  readonly kekRef: string;
}

/** What a provider is, for the security page and for diagnosis. Nothing here is secret. */
export interface KekDescription {
  readonly provider: string;
  /** True only when the keys cannot leave certified hardware. */
  readonly hardware: boolean;
  /** Fingerprint of the key set: changes exactly when another root key is used. */
  readonly fingerprint: string;
  readonly keyCount: number;
  readonly details: Readonly<Record<string, string | number | boolean>>;
}

export type KekHealth = { readonly ok: true } | { readonly ok: false; readonly code: string; readonly message: string };

/**
 * Holds key-encryption keys, or the way to them. Every call is bound to its context: what was wrapped for one tenant,
 * purpose, key id and version does not unwrap for another (`authentication_failed`, `kek_foreign`).
 */
export interface KekProvider {
  /** A fresh data key, wrapped, together with its plaintext; the caller wipes the plaintext. */
  generateDek(context: DekContext): Promise<WrappedDek & { readonly dek: Buffer }>;
  wrap(dek: Uint8Array, context: DekContext): Promise<WrappedDek>;
  unwrap(wrapped: WrappedDek, context: DekContext): Promise<Buffer>;
  describe(): Promise<KekDescription>;
  /** Proves that the keys are usable now; never throws. */
  health(): Promise<KekHealth>;
}
