import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { AppError, uuidV7, type Clock, type Random, type Uuid } from '@auditrax/base';
import { openField, sealField, XaesKey, type FieldBinding } from '@auditrax/seal';
import type { ScopedTransaction, TenantContext, TenantDoor } from '@auditrax/tenancy';
import { disclosureDigest } from './leaf.ts';
import * as queries from './late-queries.ts';
import { insertDisclosure } from './queries.ts';

/** Separates what is derived here from every other use of the same functions. */
const LABEL = 'auditrax-late-approval-v1';
const PUBLIC_BYTES = 32;
const KEY_BYTES = 32;
/** Each value has a key of its own, by a one-time key pair. */
const KEY_VERSION = 1;
/** Numbers below 100 belong to the platform: 1 is the key of a stored object, 2 a value about a person. */
const LATE_VALUE_FIELD = 3;
const SCHEMA_REVISION = 1;
const KEY_FIELD = 'audit.late_key.sealed';
const VALUE_FIELD = 'audit.disclosure.sealed';
/** Moved in one round; what is left comes with the next. A person gives a few approvals a minute. */
const LATE_MOVED_MAX = 200;

/** The tenant's ring, for the private half. */
interface LateRing {
  seal(input: {
    context: TenantContext;
    field: typeof KEY_FIELD;
    rowId: Uuid;
    value: Uint8Array;
    tx: ScopedTransaction;
  }): Promise<Uint8Array>;
}

export interface LateValue {
  readonly keyId: Uuid;
  readonly sealed: Uint8Array;
}

/** For writers of entries: what cannot be sealed now, because the tenant's key store is away. */
export interface LateApprovals {
  /** Makes the tenant's key pair where it has none: while its ring can still seal. Throws what the ring throws. */
  prepare(tx: ScopedTransaction): Promise<void>;
  /** Encrypts to the key pair; undefined where the tenant has none yet. Nobody can open it while the key store is away. */
  seal(tx: ScopedTransaction, value: { readonly entryId: Uuid; readonly text: string }): Promise<LateValue | undefined>;
}

const rawOf = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url');
const publicOf = (raw: Uint8Array): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(raw).toString('base64url') }, format: 'jwk' });

function bindingOf(tenantId: Uuid, entryId: Uuid): FieldBinding {
  return { tenantId, fieldId: LATE_VALUE_FIELD, rowId: entryId, schemaRevision: SCHEMA_REVISION };
}

/** The key that the two agree on, of both public halves too, so that neither can be exchanged afterwards. */
function agreed(own: KeyObject, other: KeyObject, halves: readonly [once: Uint8Array, tenant: Uint8Array]): XaesKey {
  const shared = diffieHellman({ privateKey: own, publicKey: other });
  const bytes = new Uint8Array(hkdfSync('sha256', shared, Buffer.concat(halves), LABEL, KEY_BYTES));
  const key = new XaesKey(bytes);
  bytes.fill(0);
  shared.fill(0);
  return key;
}

/** Encrypts a text to a tenant's public half: only its private half opens it. */
export function sealLate(
  publicKey: Uint8Array,
  at: { readonly tenantId: Uuid; readonly entryId: Uuid; readonly random: Random },
  text: string,
): Buffer {
  const once = generateKeyPairSync('x25519');
  const half = rawOf(once.publicKey);
  const key = agreed(once.privateKey, publicOf(publicKey), [half, publicKey]);
  const field = { key: { version: KEY_VERSION, key }, binding: bindingOf(at.tenantId, at.entryId), random: at.random };
  const sealed = sealField(field, Buffer.from(text, 'utf8'));
  key.destroy();
  return Buffer.concat([half, sealed]);
}

/** Opens it again. Throws what a value that was changed, or belongs to another entry or tenant, throws. */
export function openLate(
  privateKey: Uint8Array,
  at: { readonly tenantId: Uuid; readonly entryId: Uuid },
  sealed: Uint8Array,
): string {
  const own = createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' });
  const half = sealed.subarray(0, PUBLIC_BYTES);
  const key = agreed(own, publicOf(half), [half, rawOf(createPublicKey(own))]);
  const field = { key: { version: KEY_VERSION, key }, binding: bindingOf(at.tenantId, at.entryId) };
  const text = openField(field, Buffer.from(sealed.subarray(PUBLIC_BYTES))).toString('utf8');
  key.destroy();
  return text;
}

export function createLateApprovals(deps: {
  readonly ring: LateRing;
  readonly clock: Clock;
  readonly random: Random;
}): LateApprovals {
  const { ring, clock, random } = deps;
  return {
    async prepare(tx) {
      const { context } = tx;
      if ((await tx.query(queries.lateKey(context))).length > 0) return;
      const pair = generateKeyPairSync('x25519');
      const id = uuidV7(clock, random);
      const value = pair.privateKey.export({ format: 'der', type: 'pkcs8' });
      const sealed = await ring.seal({ context, field: KEY_FIELD, rowId: id, value, tx });
      value.fill(0);
      await tx.query(queries.insertLateKey(context, { id, publicKey: rawOf(pair.publicKey), sealed }));
    },
    async seal(tx, { entryId, text }) {
      const { context } = tx;
      const [key] = await tx.query(queries.lateKey(context));
      if (key === undefined) return undefined;
      return { keyId: key.id, sealed: sealLate(key.public_key, { tenantId: context.tenantId, entryId, random }, text) };
    },
  };
}

export interface LateMoveDeps {
  readonly door: TenantDoor;
  readonly ring: {
    seal(input: {
      context: TenantContext;
      field: typeof VALUE_FIELD;
      rowId: Uuid;
      value: string;
      tx: ScopedTransaction;
    }): Promise<Uint8Array>;
    openBytes(input: {
      context: TenantContext;
      field: typeof KEY_FIELD;
      rowId: Uuid;
      sealed: Uint8Array;
      tx: ScopedTransaction;
    }): Promise<Uint8Array>;
  };
  /** True for what a key store that is out of reach throws. */
  readonly isSealFault: (error: unknown) => boolean;
}

/**
 * Puts what was approved while the tenant's key store was away among the withheld values of its entries: under the
 * tenant's ring, where readers and bundles find it. While the key store is still away nothing happens. How many were moved.
 */
export async function moveLateApprovals(deps: LateMoveDeps, context: TenantContext): Promise<number> {
  const waiting = await deps.door.scoped(context, queries.lateDisclosures(context, LATE_MOVED_MAX));
  let moved = 0;
  for (const { entry_id: entryId, digest } of waiting) {
    try {
      await deps.door.transaction(context, (tx) => moveOne(deps, tx, { entryId, digest }));
    } catch (error) {
      if (deps.isSealFault(error)) return moved;
      throw error;
    }
    moved += 1;
  }
  return moved;
}

async function moveOne(
  { ring }: LateMoveDeps,
  tx: ScopedTransaction,
  { entryId, digest }: { readonly entryId: Uuid; readonly digest: string },
): Promise<void> {
  const { context } = tx;
  const { tenantId } = context;
  // Taken first: of two rounds at once the second finds nothing.
  const [row] = await tx.query(queries.takeLate(context, { entryId, digest }));
  if (row === undefined) return;
  const [key] = await tx.query(queries.lateKeyById(context, row.key_id));
  const privateKey = await ring.openBytes({ context, field: KEY_FIELD, rowId: key!.id, sealed: key!.sealed, tx });
  const value = openLate(privateKey, { tenantId, entryId }, row.sealed);
  if (disclosureDigest(value) !== digest)
    throw new AppError('internal', `a late value of ${entryId} is not what its entry says`);
  const sealed = await ring.seal({ context, field: VALUE_FIELD, rowId: entryId, value, tx });
  await tx.query(insertDisclosure({ tenantId, entryId, digest, sealed, subject: null }));
}
