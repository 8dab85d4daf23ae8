import { isAppError, type Clock, type Uuid } from '@auditrax/base';
import type { SystemDoor, TenantContext, TenantDoor } from '@auditrax/tenancy';
import { underFormerStore } from './installation.ts';
import { KEY_TENANTS_MAX, listKeys, selectTenants } from './queries.ts';
import type { KeySourcesClient } from './source-client.ts';
import type { KeyHealth, KeySourceView } from './source-contract.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Tenants looked at together: as many as leave connections for others. */
const PARALLEL = 4;

export interface KeyRingsDeps {
  readonly tenantDoor: TenantDoor;
  readonly system: SystemDoor;
  readonly sourcesClient: Pick<KeySourcesClient, 'rings'>;
  readonly clock: Clock;
}

/** A key store as the operator sees it. */
export interface KeyRing {
  /** Public name; null for the installation's own store. */
  readonly tenant: string | null;
  readonly provider: string;
  readonly assurance: KeySourceView['assurance'];
  readonly kekRef: string | null;
  readonly fingerprint: string;
  readonly details: KeySourceView['details'];
  readonly health: KeyHealth;
  readonly tenants: number;
  /** Of them, those whose database does not answer: what follows says nothing of theirs. */
  readonly unseen: number;
  readonly dataKeys: number;
  /** Of them, wrapped by a store that this one has replaced: the rotation's rounds move them. */
  readonly left: number;
  readonly oldestActiveDays: number;
  readonly uses: number;
  readonly refused: number;
  readonly lastUnwrapAt: string | null;
}

interface Holding {
  readonly tenantId: Uuid;
  readonly name: string;
  readonly dataKeys: number;
  readonly kekRefs: readonly string[];
  readonly oldestActiveDays: number;
  readonly isUnseen: boolean;
}

/**
 * Health of every key store that is in use, and what hangs on each. No tenant content, no key. A cell that is away
 * takes nothing else along: its tenants are counted as unseen, because an outage is when an operator looks here.
 */
export async function keyRings(deps: KeyRingsDeps, requestId: string): Promise<KeyRing[]> {
  const [rings, holdings] = await Promise.all([deps.sourcesClient.rings(requestId), holdingsOf(deps, requestId)]);
  const own = new Set(rings.map(({ tenantId }) => tenantId));
  return rings.map(({ tenantId, source, ...uses }) => {
    const held = holdings.filter((one) => (tenantId === null ? !own.has(one.tenantId) : one.tenantId === tenantId));
    const { provider, assurance, kekRef, fingerprint, details, health } = source;
    return {
      tenant: tenantId === null ? null : (held[0]?.name ?? ''),
      provider,
      assurance,
      kekRef,
      fingerprint,
      details,
      health,
      ...uses,
      tenants: held.length,
      unseen: held.filter((one) => one.isUnseen).length,
      dataKeys: held.reduce((sum, one) => sum + one.dataKeys, 0),
      left: held.flatMap((one) => one.kekRefs).filter((ref) => isLeft(ref, { kekRef, provider })).length,
      oldestActiveDays: Math.max(0, ...held.map((one) => one.oldestActiveDays)),
    };
  });
}

function isLeft(held: string, ring: Pick<KeyRing, 'kekRef' | 'provider'>): boolean {
  return ring.kekRef === null ? underFormerStore(held, ring.provider) : held !== ring.kekRef;
}

async function holdingsOf(deps: KeyRingsDeps, requestId: string): Promise<Holding[]> {
  const tenants = await deps.system.system(selectTenants(KEY_TENANTS_MAX));
  const waiting = [...tenants];
  const found: Holding[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const context = { tenantId: next.id, tenantPart: Number(next.part), requestId };
      found.push({ tenantId: next.id, name: next.display_name, ...(await holdingOf(deps, context)) });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return found;
}

/** What a cell that is away, or does not come to an end, looks like from here. */
const NO_ANSWER = ['database_unavailable', 'database_timeout'];
const UNSEEN = { dataKeys: 0, kekRefs: [], oldestActiveDays: 0, isUnseen: true } as const;

async function holdingOf(deps: KeyRingsDeps, context: TenantContext) {
  const rows = await deps.tenantDoor.scoped(context, listKeys(context.tenantId)).catch((error: unknown) => {
    if (NO_ANSWER.some((code) => isAppError(error, code))) return undefined;
    throw error;
  });
  if (rows === undefined) return UNSEEN;
  const ages = rows
    .filter(({ state }) => state === 'ACTIVE')
    .map((row) => (deps.clock.nowMs() - new Date(row.created_at).getTime()) / DAY_MS);
  const kekRefs = rows.filter(({ state }) => state !== 'DESTROYED').map((row) => row.kek_ref);
  return { dataKeys: kekRefs.length, kekRefs, oldestActiveDays: Math.max(0, ...ages), isUnseen: false };
}
