import { AppError } from '@auditrax/base';
import type { IdentityDeps } from '../identity/index.ts';
import { contextOf } from './deletion.ts';
import { operatorTenant } from './deletion-queries.ts';

export interface IdKeyChange {
  readonly change: 'id-key-rotated' | 'id-key-retired';
  readonly version: number;
  readonly requestId: string;
}

/** Tells the operator's log of a change to the key ring of ids, before it takes effect. */
export async function recordIdKeyChange(
  deps: Pick<IdentityDeps, 'tenant' | 'system' | 'recordAudit'>,
  { change, version, requestId }: IdKeyChange,
): Promise<void> {
  const [operator] = await deps.system.system(operatorTenant());
  if (operator === undefined) throw new AppError('operator_missing', 'this house has no operator yet');
  const entry = {
    actor: { service: 'issuer' },
    resource: ['tenant', operator.id],
    outcome: 'allowed',
    requestId,
    public: { version },
  } as const;
  await deps.tenant.transaction(contextOf(operator, requestId), async (tx) => {
    if (change === 'id-key-rotated') await deps.recordAudit(tx, { type: 'tenant.id-key-rotated', ...entry });
    else await deps.recordAudit(tx, { type: 'tenant.id-key-retired', ...entry });
  });
}
