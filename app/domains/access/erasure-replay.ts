import type { Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { listErased, notErased, type ErasureRegister } from '../../platform/audit/index.ts';
import { eraseAgain, type ReplayDeps } from './erasing.ts';

export interface ErasureReplayDeps extends ReplayDeps {
  readonly register: ErasureRegister;
  /** A tenant as it is found by its id; undefined for one that is deleted or was never here. */
  readonly tenantOf: (tenantId: Uuid) => Promise<TenantContext | undefined>;
  readonly onFailure: (error: unknown) => void;
}

/** Repeats erasures in databases that were put back. */
export interface ErasureReplay {
  /**
   * True while somebody who was erased may be readable again in this tenant. It is so for every tenant of the register
   * from the beginning until its database has been asked: nobody gets in between a start and the first look.
   */
  holds(tenantId: Uuid): boolean;
  /** How many tenants are held. */
  held(): number;
  /** Asks the databases of held tenants and lets those go that bring nobody back. Writes nothing. */
  look(): Promise<void>;
  /** Erases again whom the databases have brought back; a tenant whose turn fails stays held. Says how many people. */
  repeat(): Promise<number>;
  /** Writes down in the register whom this tenant's database alone knows: an erasure whose process died before it could. */
  complete(context: TenantContext): Promise<void>;
}

/** Makes the replay; every tenant that the register names is held until `look` or `repeat` has been there. */
export function createErasureReplay(deps: ErasureReplayDeps): ErasureReplay {
  const { register } = deps;
  const held = new Set(register.all().map(({ tenantId }) => tenantId));

  const broughtBack = async (tenantId: Uuid): Promise<{ context: TenantContext; subjects: Uuid[] } | undefined> => {
    const context = await deps.tenantOf(tenantId);
    // A tenant that was deleted, or that the restored database is too old for, has no rows to bring back.
    if (context === undefined) return undefined;
    const subjects = register.all().flatMap((erasure) => (erasure.tenantId === tenantId ? [erasure.subject] : []));
    return { context, subjects: await notErased(deps.tenant, context, subjects) };
  };

  const letGo = async (tenantId: Uuid, again: boolean): Promise<number> => {
    const back = await broughtBack(tenantId);
    const subjects = back?.subjects ?? [];
    if (subjects.length > 0 && !again) return 0;
    for (const subject of subjects) await eraseAgain(deps, back!.context, subject);
    held.delete(tenantId);
    return subjects.length;
  };

  const everyHeld = async (again: boolean): Promise<number> => {
    let repeated = 0;
    for (const tenantId of held) {
      repeated += await letGo(tenantId, again).catch((error: unknown) => {
        deps.onFailure(error);
        return 0;
      });
    }
    return repeated;
  };

  return {
    holds: (tenantId) => held.has(tenantId),
    held: () => held.size,
    look: async () => void (await everyHeld(false)),
    repeat: () => everyHeld(true),
    async complete(context) {
      if (held.has(context.tenantId)) return;
      for (const erasure of await listErased(deps.tenant, context)) register.add(erasure);
    },
  };
}
