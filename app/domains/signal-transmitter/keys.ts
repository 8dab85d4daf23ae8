import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { uuidV4, type Uuid } from '@auditrax/base';
import { createSetSigner, publicKeySet, type SetSigner } from '@auditrax/signals';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { AuditInput } from '../../platform/audit/index.ts';
import type { TransmitterDeps } from './deps.ts';
import * as queries from './queries.ts';

/** What every receiver must know (CAEP's profile for interoperability). */
const ALGORITHM = 'RS256';
const RSA_BITS = 2048;
const DAY_MS = 86_400_000;
/** A stolen key signs for a quarter at most. */
export const KEY_AGE_MS_MAX = 90 * DAY_MS;
/** Receivers read the set once an hour or once a day: the next key is there before anything is signed with it. */
export const NEXT_SHOWN_MS = 2 * DAY_MS;
/** Longer than a token of ours is believed: seven days, and a clock that is off. */
export const FORMER_SHOWN_MS = 8 * DAY_MS;

const FIELD = 'identity.signal_key.private_key' as const;
type Deps = Pick<TransmitterDeps, 'tenant' | 'sealer' | 'recordAudit' | 'clock' | 'random'>;
type By = Pick<AuditInput, 'actor' | 'decision' | 'tokenHash' | 'stepUpHash'>;

const generate = promisify(generateKeyPair);

interface MadeKey {
  readonly id: Uuid;
  readonly sealed: Buffer;
  readonly publicKey: Buffer;
}

/** Outside of any transaction: it takes a tenth of a second. */
async function makeKey(deps: Deps, context: TenantContext): Promise<MadeKey> {
  const pair = await generate('rsa', { modulusLength: RSA_BITS });
  const id = uuidV4(deps.random);
  const value = pair.privateKey.export({ type: 'pkcs8', format: 'der' });
  const sealed = await deps.sealer.seal({ context, field: FIELD, rowId: id, value });
  value.fill(0);
  return { id, sealed, publicKey: pair.publicKey.export({ type: 'spki', format: 'der' }) };
}

/** Of something that happened to one key. */
export const keyEntry = (context: TenantContext, id: Uuid, of: By & Pick<AuditInput, 'type'>): AuditInput => ({
  ...of,
  resource: ['signal-key', id],
  outcome: 'allowed',
  requestId: context.requestId,
  decision: of.decision,
});

async function insert(
  deps: Deps,
  tx: ScopedTransaction,
  { made, state, by }: { readonly made: MadeKey; readonly state: 'next' | 'now'; readonly by: By },
): Promise<boolean> {
  const at = new Date(deps.clock.nowMs());
  const row = { id: made.id, state, private_key: made.sealed, public_key: made.publicKey, made_at: at };
  const inserted = await tx.query(queries.insertKey(tx.context, { ...row, used_at: state === 'now' ? at : null }));
  // Somebody else has made one at the same moment: that one counts.
  if (inserted.length === 0) return false;
  await deps.recordAudit(tx, keyEntry(tx.context, made.id, { ...by, type: 'signal-key.made' }));
  return true;
}

/** Sees to it that the tenant has a key to sign with. */
export async function requireKey(deps: Deps, context: TenantContext, by: By): Promise<void> {
  const rows = await deps.tenant.scoped(context, queries.keysOf(context));
  if (rows.some(({ state }) => state === 'now')) return;
  const made = await makeKey(deps, context);
  await deps.tenant.transaction(context, (tx) => insert(deps, tx, { made, state: 'now', by }));
}

/** Makes the next key and publishes it; false: there is one already. */
export async function prepareNext(deps: Deps, context: TenantContext, by: By): Promise<boolean> {
  const rows = await deps.tenant.scoped(context, queries.keysOf(context));
  if (rows.some(({ state }) => state === 'next')) return false;
  const made = await makeKey(deps, context);
  return deps.tenant.transaction(context, (tx) => insert(deps, tx, { made, state: 'next', by }));
}

const BY_ISSUER: By = { actor: { service: 'issuer' } };

/**
 * What is due for a tenant's keys: the next one is made when the one in use grows old, signs once it was published for two
 * days, and the former one leaves the set when nothing that it signed is believed any more. Whatever is signed is always
 * verified by the set that is published.
 */
export async function tendKeys(deps: Deps, context: TenantContext): Promise<void> {
  const now_ms = deps.clock.nowMs();
  const rows = await deps.tenant.scoped(context, queries.keysOf(context));
  const age = (at: Date | null) => (at === null ? 0 : now_ms - at.getTime());
  const current = rows.find(({ state }) => state === 'now');
  const next = rows.find(({ state }) => state === 'next');
  if (current === undefined) return;
  if (next === undefined && age(current.used_at) >= KEY_AGE_MS_MAX) await prepareNext(deps, context, BY_ISSUER);
  if (next !== undefined && age(next.made_at) >= NEXT_SHOWN_MS) await useNext(deps, context, { current, next });
  for (const { id, state, replaced_at } of rows)
    if (state === 'former' && age(replaced_at) >= FORMER_SHOWN_MS) await forgetKey(deps, context, id);
}

async function useNext(
  deps: Deps,
  context: TenantContext,
  { current, next }: { readonly current: queries.KeyRow; readonly next: queries.KeyRow },
): Promise<void> {
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    const turned = await tx.query(queries.turnKey(context, { id: current.id, from: 'now', to: 'former', at }));
    if (turned.length === 0) return;
    await deps.recordAudit(tx, keyEntry(context, current.id, { ...BY_ISSUER, type: 'signal-key.replaced' }));
    await tx.query(queries.turnKey(context, { id: next.id, from: 'next', to: 'now', at }));
    await deps.recordAudit(tx, keyEntry(context, next.id, { ...BY_ISSUER, type: 'signal-key.used' }));
  });
}

async function forgetKey(deps: Deps, context: TenantContext, id: Uuid): Promise<void> {
  await deps.tenant.transaction(context, async (tx) => {
    const gone = await tx.query(queries.deleteKey(context, id));
    if (gone.length > 0)
      await deps.recordAudit(tx, keyEntry(context, id, { ...BY_ISSUER, type: 'signal-key.forgotten' }));
  });
}

/** What signs now. Read under the transaction in which something is signed. */
export async function openSigner(deps: Pick<TransmitterDeps, 'sealer'>, tx: ScopedTransaction): Promise<SetSigner> {
  const { context } = tx;
  const row = (await tx.query(queries.keysOf(context))).find(({ state }) => state === 'now');
  if (row === undefined) throw new Error('a stream without a key');
  const der = await deps.sealer.openBytes({ context, field: FIELD, rowId: row.id, sealed: row.private_key, tx });
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  return createSetSigner({ algorithm: ALGORITHM, kid: row.id, privateKey });
}

/** RFC 7517, of a public half as it is stored. */
function published(kid: Uuid, key: KeyObject) {
  const { kty, n, e } = key.export({ format: 'jwk' });
  return { publicKey: { kty, n, e, kid, use: 'sig', alg: ALGORITHM } as SetSigner['publicKey'] };
}

/** The set to publish: the key in use, the next one ahead of its time, former ones. Needs no tenant's key. */
export async function publishedKeys(deps: Pick<TransmitterDeps, 'tenant'>, context: TenantContext) {
  const rows = await deps.tenant.scoped(context, queries.keysOf(context));
  const keyOf = (row: queries.KeyRow) =>
    published(row.id, createPublicKey({ key: row.public_key, format: 'der', type: 'spki' }));
  return publicKeySet(rows.map(keyOf));
}
