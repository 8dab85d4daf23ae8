import type { Uuid } from '@auditrax/base';
import type { Statement, SystemDoor } from '@auditrax/tenancy';

export const RECONCILE_ENTRIES_MAX = 1000;
/** Clocks of the processes may differ by this much; the start gate refuses more. */
const CLOCK_SKEW_MS_MAX = 5000;

/** An entry whose person the issuer did not vouch for. */
export interface Mismatch {
  readonly position: number;
  readonly tenantId: Uuid;
  readonly entryId: Uuid;
  readonly type: string;
  readonly reason: 'no-token' | 'never-minted' | 'other-person' | 'other-tenant' | 'outside-its-life';
}

export interface ReconcileRow {
  readonly position: string;
  readonly tenant_id: Uuid;
  readonly entry_id: Uuid;
  readonly type: string;
  readonly actor_person: Uuid;
  readonly token_hash: string | null;
  readonly occurred_ms: string;
  readonly mint_tenant: Uuid | null;
  readonly mint_person: Uuid | null;
  readonly minted_ms: string | null;
  readonly expires_ms: string | null;
}

/** Only entries written by the workspace: what the issuer writes itself needs no second word of the issuer. */
function personEntries(position: number): Statement<ReconcileRow> {
  return {
    sql: `select i.position, e.tenant_id, e.id as entry_id, e.type, e.actor_person, e.token_hash, e.occurred_ms,
                 m.tenant_id as mint_tenant, m.person_id as mint_person,
                 (extract(epoch from m.minted_at) * 1000)::bigint as minted_ms,
                 (extract(epoch from m.expires_at) * 1000)::bigint as expires_ms
          from audit.log_index i
          join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
          left join audit.mint m on m.token_hash = e.token_hash
          where i.position > $1 and e.writer = 'ax_workspace' and e.actor_person is not null
          order by i.position limit $2`,
    parameters: [position, RECONCILE_ENTRIES_MAX],
  };
}

/** Enforcer, replaceable as a module: does the issuer's own list bear out who the entry says acted? */
export function judgeActor(row: ReconcileRow): Mismatch['reason'] | undefined {
  if (row.token_hash === null) return 'no-token';
  if (row.mint_person === null) return 'never-minted';
  if (row.mint_tenant !== row.tenant_id) return 'other-tenant';
  if (row.mint_person !== row.actor_person) return 'other-person';
  const at = Number(row.occurred_ms);
  const early = at < Number(row.minted_ms) - CLOCK_SKEW_MS_MAX;
  return early || at > Number(row.expires_ms) + CLOCK_SKEW_MS_MAX ? 'outside-its-life' : undefined;
}

/**
 * Compares what the workspace logged with what the issuer minted, from `position` on, as ax_sentinel. The workspace can
 * write any name into an entry; without a token of that person it cannot do so unseen. Call again with the returned
 * position until it stands still.
 */
export async function reconcileMints(
  door: SystemDoor,
  position: number,
): Promise<{ position: number; checked: number; mismatches: Mismatch[] }> {
  const rows = await door.system(personEntries(position));
  const mismatches = rows.flatMap((row) => {
    const reason = judgeActor(row);
    if (reason === undefined) return [];
    return [{ position: Number(row.position), tenantId: row.tenant_id, entryId: row.entry_id, type: row.type, reason }];
  });
  const last = rows.at(-1);
  return { position: last === undefined ? position : Number(last.position), checked: rows.length, mismatches };
}
