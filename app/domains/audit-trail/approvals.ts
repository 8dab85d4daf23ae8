import { isAppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { approvalIn, leafObject, parseApproval, PASSKEY_REGISTERED_TYPE } from '@auditrax/tlog';
import { openDisclosures } from '../../platform/audit/index.ts';
import { isKeyStoreFault } from '../keys/index.ts';
import type { Asker, AuditTrailDeps } from './ports.ts';
import * as queries from './queries.ts';
import { OPENING_ROLES } from './reading.ts';

/** Passkeys of everybody who approved something within one bundle. */
const REGISTRATIONS_MAX = 2000;

export interface BundledApprovals {
  /** The one line of RFC 9901 of each approval, by index of its entry. */
  readonly lines: ReadonlyMap<number, readonly string[]>;
  /** Entries outside the range in which the passkeys were registered. */
  readonly registrations: ReadonlyMap<number, Uint8Array>;
}

const NONE: BundledApprovals = { lines: new Map(), registrations: new Map() };

interface Range {
  readonly generation: number;
  readonly from: number;
  readonly to: number;
}

/** The line of an entry's approval; undefined when it was erased or never kept. */
async function approvalLine(deps: AuditTrailDeps, context: TenantContext, entryId: Uuid): Promise<string | undefined> {
  const found = await openDisclosures({ door: deps.door, ring: deps.sealer }, context, entryId);
  return found.find(({ text }) => text !== null && approvalIn(text) !== undefined)?.text ?? undefined;
}

/**
 * What was approved in a range, for whoever may open withheld values: nobody else's bundle opens any. While the tenant's key
 * store is away there is none either, and the bundle's report says that the approvals are missing.
 */
export async function readApprovals(
  deps: AuditTrailDeps,
  { caller }: Asker,
  { range, leaves }: { range: Range; leaves: readonly Uint8Array[] },
): Promise<BundledApprovals> {
  if (!OPENING_ROLES.has(caller.role)) return NONE;
  const lines = new Map<number, readonly string[]>();
  const credentials = new Set<Uuid>();
  try {
    for (const [at, leaf] of leaves.entries()) {
      const { id, stepUp } = leafObject(leaf);
      if (typeof stepUp !== 'string') continue;
      const line = await approvalLine(deps, caller.tenant, id as Uuid);
      const approval = line === undefined ? undefined : parseApproval(approvalIn(line) ?? '');
      if (line === undefined || approval === undefined) continue;
      lines.set(range.from + at, [line]);
      credentials.add(approval.credential as Uuid);
    }
  } catch (error) {
    if (!isAppError(error) || !isKeyStoreFault(error)) throw error;
    return NONE;
  }
  if (credentials.size === 0) return { ...NONE, lines };
  const wanted = { ...range, type: PASSKEY_REGISTERED_TYPE, credentials: [...credentials], limit: REGISTRATIONS_MAX };
  const rows = await deps.door.scoped(caller.tenant, queries.registrationsOutside(caller.tenant, wanted));
  return { lines, registrations: new Map(rows.map(({ idx, leaf }) => [Number(idx), leaf])) };
}
