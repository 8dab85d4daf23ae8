import type { Random, Uuid } from '@auditrax/base';
import { openField, sealField, XaesKey } from '@auditrax/seal';
import type { FieldBinding, FieldKey } from '@auditrax/seal';
import type { TenantContext } from '@auditrax/tenancy';
import type { ObjectKeys } from '../store.ts';

/** One data key per tenant, in memory: real sealing without a database. */
export function tenantKeysInMemory(random: Random): ObjectKeys {
  const keys = new Map<Uuid, FieldKey>();
  const keyOf = (context: TenantContext): FieldKey => {
    const key = keys.get(context.tenantId) ?? { version: 1, key: new XaesKey(random.bytes(32)) };
    keys.set(context.tenantId, key);
    return key;
  };
  const bind = (input: { context: TenantContext; objectId: Uuid }): FieldBinding => ({
    tenantId: input.context.tenantId,
    fieldId: 1,
    rowId: input.objectId,
    schemaRevision: 1,
  });
  return {
    sealObjectKey: async (input) => sealField({ key: keyOf(input.context), binding: bind(input), random }, input.key),
    openObjectKey: async (input) => openField({ key: keyOf(input.context), binding: bind(input) }, input.sealed),
  };
}
