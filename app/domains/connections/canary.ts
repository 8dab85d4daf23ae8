import { uuidV7, type Uuid } from '@auditrax/base';
import { parseCertificate } from '@auditrax/saml';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { forUpdate } from './asking.ts';
import { insertCertificate } from './certificates.ts';
import type { CanaryConnection } from './contract.ts';
import type { ConnectionDeps } from './deps.ts';
import { makeOwnKeys, type OwnKeys } from './own-keys.ts';
import * as queries from './queries.ts';
import { openSettings } from './read.ts';
import type { StoredSettings } from './settings-contract.ts';

const SENTINEL = { service: 'sentinel' } as const;

interface Canary {
  readonly deps: ConnectionDeps;
  readonly context: TenantContext;
}

/** Ids by kind and name. */
async function known({ deps, context }: Canary): Promise<Map<string, Uuid>> {
  const rows = await deps.tenant.scoped(context, queries.listConnections(context));
  const named = rows.map(async (row) => {
    const { name } = await openSettings(deps, { context }, row);
    return [`${row.kind} ${name}`, row.id] as const;
  });
  return new Map(await Promise.all(named));
}

async function insertDraft(
  deps: ConnectionDeps,
  tx: ScopedTransaction,
  row: {
    readonly id: Uuid;
    readonly settings: Buffer;
    readonly wanted: CanaryConnection;
    readonly keys: OwnKeys | null;
  },
): Promise<void> {
  const { context } = tx;
  const { id, settings, keys } = row;
  const { profile, values } = row.wanted;
  const field = 'identity.connection.own_keys' as const;
  const own_keys =
    keys === null ? null : await deps.sealer.seal({ context, field, rowId: id, value: JSON.stringify(keys), tx });
  const createdAt = new Date(deps.clock.nowMs());
  await tx.query(queries.insertConnection(context, { id, kind: values.kind, profile, settings, own_keys, createdAt }));
}

async function setOne(
  { deps, context }: Canary,
  wanted: CanaryConnection,
  at: { readonly id: Uuid; readonly isNew: boolean; readonly keys: OwnKeys | null },
): Promise<void> {
  const { name, values, certificate } = wanted;
  const { id, isNew, keys } = at;
  const stored: StoredSettings = { name, justInTime: { allowed: true, roleWithoutGroup: 'client' }, values };
  await deps.tenant.transaction(context, async (tx) => {
    const field = 'identity.connection.settings' as const;
    const settings = await deps.sealer.seal({ context, field, rowId: id, value: JSON.stringify(stored), tx });
    if (isNew) await insertDraft(deps, tx, { id, settings, wanted, keys });
    else await tx.query(queries.updateSettings(context, { id, settings, version: (await forUpdate(tx, id)).version }));
    await tx.query(queries.setState(context, { id, state: 'active' }));
    await tx.query(queries.deleteCertificates(context, id));
    if (certificate !== null) {
      const origin = { connectionId: id, source: 'pasted', decidedBy: null, vouchedBy: undefined } as const;
      await insertCertificate(deps, tx, { certificate: parseCertificate(certificate, 'active'), origin });
    }
    await deps.recordAudit(tx, {
      type: 'connection.canary-set',
      actor: SENTINEL,
      resource: ['connection', id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { kind: values.kind },
    });
  });
  if (!isNew) return;
  const index = queries.insertIndex({ connection_id: id, tenant_id: context.tenantId, look_at: null });
  await deps.system.at(context.tenantId).system(index);
}

/**
 * Makes a canary's connections to a stand-in, or leads those that there are to the stand-in as it is now, and has them in
 * use without a person's confirmation. The caller has made sure that the tenant is a canary. Returns their ids, in order.
 */
export async function setCanaryConnections(
  deps: ConnectionDeps,
  context: TenantContext,
  wanted: readonly CanaryConnection[],
): Promise<Uuid[]> {
  const canary: Canary = { deps, context };
  const before = await known(canary);
  // One pair for all that are new: a probe has no time for a dozen, and a canary has nothing to keep apart.
  let keys: Promise<OwnKeys> | undefined;
  const ids: Uuid[] = [];
  for (const connection of wanted) {
    const { kind } = connection.values;
    const found = before.get(`${kind} ${connection.name}`);
    const isNew = found === undefined;
    if (isNew && kind === 'saml') keys ??= makeOwnKeys(deps);
    const id = found ?? uuidV7(deps.clock, deps.random);
    await setOne(canary, connection, { id, isNew, keys: isNew && kind === 'saml' ? ((await keys) ?? null) : null });
    ids.push(id);
  }
  return ids;
}
