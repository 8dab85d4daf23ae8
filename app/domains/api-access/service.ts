import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall, type AuditInput } from '../../platform/audit/index.ts';
import type { Caller, StepUp } from '../../platform/http/handler.ts';
import type { IdentityDeps, RevocationHolder } from '../identity/index.ts';
import { API_KEYS_MAX, type ShownApiKey, type ShownApiKeyOfAll } from './contract.ts';
import type { ApiAccessCode } from './errors.ts';
import { newApiKey } from './key-text.ts';
import * as queries from './queries.ts';

export type ApiAccessDeps = Pick<
  IdentityDeps,
  'tenant' | 'sealer' | 'recordAudit' | 'clock' | 'random' | 'formatId' | 'evictions'
>;

const DAY_MS = 86_400_000;
const NAME_FIELD = 'identity.api_key.name';

interface Asker {
  readonly caller: Caller;
  readonly requestId: string;
}

function stateOf(row: queries.ApiKeyRow, now_ms: number): ShownApiKey['state'] {
  if (row.ended_at !== null) return 'ended';
  return row.expires_at.getTime() <= now_ms ? 'expired' : 'active';
}

function present(
  deps: ApiAccessDeps,
  context: TenantContext,
  { row, name }: { readonly row: queries.UsedKeyRow; readonly name: string },
): ShownApiKey {
  return {
    id: deps.formatId('axk', context, row.id),
    name,
    scope: row.scope,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    state: stateOf(row, deps.clock.nowMs()),
    endedAt: row.ended_at?.toISOString() ?? null,
    endedBecause: row.ended_reason,
  };
}

/** Names as far as they can be read: a key must be seen and ended also while the tenant's key store is away. */
function namesOf(deps: ApiAccessDeps, context: TenantContext, rows: readonly queries.ApiKeyRow[]): Promise<string[]> {
  const values = rows.map(({ id, name }) => ({ field: NAME_FIELD, rowId: id, sealed: name }) as const);
  return deps.sealer.openNames({ context, values });
}

/** The caller's own keys, newest first. The keys themselves are with nobody but their owner. */
export async function listOwn(deps: ApiAccessDeps, caller: Caller): Promise<ShownApiKey[]> {
  const context = caller.tenant;
  const rows = await deps.tenant.scoped(context, queries.keysOf(context, caller.personId));
  const names = await namesOf(deps, context, rows);
  return rows.map((row, at) => present(deps, context, { row, name: names[at]! }));
}

/** Everybody's keys, newest first. */
export async function listAll(deps: ApiAccessDeps, caller: Caller): Promise<ShownApiKeyOfAll[]> {
  const context = caller.tenant;
  const rows = await deps.tenant.scoped(context, queries.allKeys(context));
  const names = await namesOf(deps, context, rows);
  const owners = rows.map(
    ({ member_id, label }) => ({ field: 'identity.member.label', rowId: member_id, sealed: label }) as const,
  );
  const labels = await deps.sealer.openNames({ context, values: owners });
  return rows.map((row, at) => ({
    ...present(deps, context, { row, name: names[at]! }),
    ownerId: deps.formatId('mem', context, row.member_id),
    owner: labels[at]!,
  }));
}

interface NewKey {
  readonly name: string;
  readonly scope: queries.ApiKeyScope;
  readonly days: number;
}

/**
 * Makes a key of the caller's own and answers it, once. Throws `api_key_name` for a name of nothing, `api_keys_full` with
 * as many live ones as a person may have.
 */
export async function createKey(
  deps: ApiAccessDeps,
  who: Asker & { readonly stepUp: StepUp },
  { name, scope, days }: NewKey,
): Promise<{ id: string; key: string; expiresAt: string }> {
  const { tenant: context, personId } = who.caller;
  const wanted = name.trim();
  if (wanted === '') throw new AppError<ApiAccessCode>('api_key_name', 'no name', { field: 'body.name' });
  const id = uuidV7(deps.clock, deps.random);
  const { text, secretHash } = newApiKey(deps.random, context.tenantId, id);
  const createdAt = new Date(deps.clock.nowMs());
  const expiresAt = new Date(createdAt.getTime() + days * DAY_MS);
  const sealed = await deps.sealer.seal({ context, field: NAME_FIELD, rowId: id, value: wanted });
  await deps.tenant.transaction(context, async (tx) => {
    // Two at once both find room: one too many is no hole, and each is an entry.
    const open = await tx.query(queries.openKeysOf(context, personId, createdAt));
    if (open.length >= API_KEYS_MAX) throw new AppError<ApiAccessCode>('api_keys_full', 'too many keys');
    const row = { id, member_id: personId, name: sealed, secret_hash: secretHash, scope };
    await tx.query(queries.insertKey(context, { ...row, created_at: createdAt, expires_at: expiresAt }));
    await deps.recordAudit(tx, {
      ...auditFromCall(who),
      type: 'api-key.created',
      resource: ['api-key', id],
      outcome: 'allowed',
      stepUpHash: who.stepUp.assertionHash,
      public: { scope, days },
    });
  });
  return { id: deps.formatId('axk', context, id), key: text, expiresAt: expiresAt.toISOString() };
}

type By = Pick<AuditInput, 'actor' | 'decision' | 'tokenHash'>;

/** Ends a key in the caller's transaction; every gateway drops its tokens. False: it had ended already. */
async function endIn(
  deps: Pick<ApiAccessDeps, 'recordAudit' | 'clock' | 'evictions'>,
  tx: ScopedTransaction,
  { id, reason, by }: { readonly id: Uuid; readonly reason: queries.EndedReason; readonly by: By },
): Promise<boolean> {
  const at = new Date(deps.clock.nowMs());
  const ended = await tx.query(queries.endKey(tx.context, { id, at, reason }));
  if (ended.length === 0) return false;
  deps.evictions.endSession(tx, id);
  await deps.recordAudit(tx, {
    ...by,
    type: 'api-key.ended',
    resource: ['api-key', id],
    outcome: 'allowed',
    requestId: tx.context.requestId,
    decision: by.decision,
    public: { reason },
  });
  return true;
}

/** Ends a key; `whose` says of whom. Throws `not_found` for one that is not there, or not the caller's own. */
export async function endByPerson(
  deps: ApiAccessDeps,
  who: Asker,
  { id, whose }: { readonly id: Uuid; readonly whose: 'own' | 'anybody' },
): Promise<boolean> {
  const context = who.caller.tenant;
  const { requestId: _same, ...by } = auditFromCall(who);
  return deps.tenant.transaction(context, async (tx) => {
    const [row] = await tx.query(queries.keyWithOwner(context, id));
    const isOwn = row?.member_id === who.caller.personId;
    // The same answer as for a foreign or forged id.
    if (row === undefined || (whose === 'own' && !isOwn)) throw new AppError<'not_found'>('not_found', 'no such key');
    return endIn(deps, tx, { id, reason: isOwn ? 'owner' : 'administrator', by });
  });
}

/** Ends a key that has been used to try other tenants' data as often as one may. */
export function endForAttempts(
  deps: Pick<ApiAccessDeps, 'tenant' | 'recordAudit' | 'clock' | 'evictions'>,
  context: TenantContext,
  id: Uuid,
): Promise<boolean> {
  const by = { actor: { service: 'issuer' } } as const;
  return deps.tenant.transaction(context, (tx) => endIn(deps, tx, { id, reason: 'attempts', by }));
}

/** What an access review sees of a key that works now. */
export type OpenApiKey = Pick<
  queries.UsedKeyRow,
  'id' | 'member_id' | 'scope' | 'created_at' | 'expires_at' | 'last_used_at'
>;

/** Every key of the tenant that works now. */
export function openApiKeys(
  deps: Pick<ApiAccessDeps, 'tenant' | 'clock'>,
  context: TenantContext,
): Promise<OpenApiKey[]> {
  return deps.tenant.scoped(context, queries.openKeysIn(context, new Date(deps.clock.nowMs())));
}

/** Ends a key that an access review has not kept. False: it had ended already. */
export function endApiKeyByReview(
  deps: Pick<ApiAccessDeps, 'tenant' | 'recordAudit' | 'clock' | 'evictions'>,
  context: TenantContext,
  { id, by }: { readonly id: Uuid; readonly by: By },
): Promise<boolean> {
  return deps.tenant.transaction(context, (tx) => endIn(deps, tx, { id, reason: 'review', by }));
}

/** Ends every key of a tenant, in the transaction that ends its people's access. */
export async function endKeysOfTenant(
  deps: Pick<ApiAccessDeps, 'recordAudit' | 'clock' | 'evictions'>,
  tx: ScopedTransaction,
): Promise<void> {
  const by = { actor: { service: 'issuer' } } as const;
  for (const { id } of await tx.query(queries.unendedKeys(tx.context)))
    await endIn(deps, tx, { id, reason: 'tenant-deleted', by });
}

/**
 * Whoever leaves leaves no key behind. Of whom nobody has heard for too long they are refused until somebody vouches again:
 * a nightly export should not end for good because its owner was on holiday.
 */
export function apiKeysHeld(
  deps: Pick<ApiAccessDeps, 'tenant' | 'recordAudit' | 'clock' | 'evictions'>,
): RevocationHolder {
  return {
    name: 'api-keys',
    end: async (context, memberId, { cause, by }) => {
      if (cause === 'lapsed') return 0;
      return deps.tenant.transaction(context, async (tx) => {
        const open = await tx.query(queries.openKeysOf(context, memberId, new Date(deps.clock.nowMs())));
        for (const { id } of open) await endIn(deps, tx, { id, reason: 'revoked', by });
        return open.length;
      });
    },
  };
}
