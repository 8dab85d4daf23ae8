import type { Uuid } from '@auditrax/base';
import { stepUpAction } from '../access/index.ts';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { RecordAudit } from '../../platform/audit/index.ts';
import { bindRoutes } from '../../platform/http/handler.ts';
import type { RoomRoutes } from '../../platform/http/handler.ts';
import type { InternalClient } from './client.ts';
import { keysError } from './errors.ts';
import type { Sealer } from './sealer.ts';
import type { KeyDeps } from './service.ts';
import { checkSuiteList, FIELD_SUITES_KNOWN, spelled } from './suite-book.ts';
import type { SuiteBook } from './suite-book.ts';
import { suiteContract, vaultSuiteContract } from './suite-contract.ts';

/** Routes of the `keys` service. */
export function vaultSuiteRoutes({ suites }: { readonly suites: SuiteBook }): RoomRoutes {
  return bindRoutes(vaultSuiteContract, {
    async read(call) {
      const tenantId = call.body.tenantId as Uuid; // the contract has checked its form
      const allowed = suites.of(tenantId);
      return { status: 200 as const, body: { allowed: allowed === undefined ? null : [...allowed] } };
    },
    async set(call) {
      const { tenantId, allowed, from } = call.body;
      if (allowed !== null) checkSuiteList(allowed);
      await suites.keep(tenantId as Uuid, allowed ?? undefined, from);
      return { status: 200 as const, body: { allowed } };
    },
  });
}

export interface SuiteDeps extends Pick<KeyDeps, 'tenantDoor'> {
  readonly client: InternalClient;
  readonly sealer: Pick<Sealer, 'purge'>;
  readonly recordAudit: RecordAudit;
}

/** Routes of the `workspace` service: which algorithms the organisation's values may have. */
export function suiteRoutes(deps: SuiteDeps): RoomRoutes {
  const known = FIELD_SUITES_KNOWN.map((one) => ({ ...one }));
  const ask = async (
    contract: (typeof vaultSuiteContract)['read' | 'set'],
    input: { readonly body: unknown; readonly requestId: string },
  ): Promise<number[] | null> => {
    const parsed = contract.replies[200].safeParse((await deps.client.call(contract, input)).body);
    if (!parsed.success) throw keysError('keys_unavailable', 'the answer about suites does not fit the contract');
    return parsed.data.allowed;
  };
  return bindRoutes(suiteContract, {
    async suites(call) {
      const body = { tenantId: call.caller.tenant.tenantId };
      const allowed = await ask(vaultSuiteContract.read, { body, requestId: call.requestId });
      return { status: 200 as const, body: { allowed, known } };
    },
    async setSuites(call) {
      const { allowed, from } = call.body;
      if (allowed !== null) checkSuiteList(allowed);
      const { assertionHash } = await call.stepUp(stepUpAction(call.caller, 'keys.set-suites', { allowed, from }));
      const context = { ...call.caller.tenant, requestId: call.requestId };
      const { tenantId } = context;
      await ask(vaultSuiteContract.set, { body: { tenantId, allowed, from }, requestId: call.requestId });
      await deps.tenantDoor.transaction(context, (tx) =>
        deps.recordAudit(tx, {
          ...auditFromCall(call),
          type: 'key.suites-changed',
          resource: ['key-source', tenantId],
          outcome: 'allowed',
          stepUpHash: assertionHash,
          public: { from: spelled(from), to: spelled(allowed), allowed: spelled(allowed) },
        }),
      );
      // Keys in use carry the list they came with.
      deps.sealer.purge(tenantId);
      return { status: 200 as const, body: { allowed, known } };
    },
  });
}
