import type { Uuid } from '@auditrax/base';
import type { Statement, SystemDoor } from '@auditrax/tenancy';
import { feedEnd } from './feed.ts';

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

interface EntryRow {
  readonly position: string;
  readonly tenant_id: Uuid;
  readonly entry_id: Uuid;
  readonly type: string;
  readonly actor_person: Uuid;
  readonly token_hash: string | null;
  readonly occurred_ms: string;
}

type MintRow = Pick<ReconcileRow, 'mint_tenant' | 'mint_person' | 'minted_ms' | 'expires_ms'> & {
  readonly token_hash: string;
};

/**
 * Whoever wrote it: the workspace has a role for every tenant with a place of its own. Only what the issuer writes
 * itself needs no second word of the issuer.
 */
function personEntries(range: { after: number; upTo: number }): Statement<EntryRow> {
  return {
    sql: `select i.position, e.tenant_id, e.id as entry_id, e.type, e.actor_person, e.token_hash, e.occurred_ms
          from audit.log_index i
          join audit.entry e on e.tenant_id = i.tenant_id and e.id = i.entry_id
          where i.position > $1 and i.position <= $2 and e.writer <> 'ax_issuer' and e.actor_person is not null
          order by i.position limit $3`,
    parameters: [range.after, range.upTo, RECONCILE_ENTRIES_MAX],
  };
}

function mintsOf(hashes: readonly string[]): Statement<MintRow> {
  return {
    sql: `select m.token_hash, m.tenant_id as mint_tenant, m.person_id as mint_person,
                 (extract(epoch from m.minted_at) * 1000)::bigint as minted_ms,
                 (extract(epoch from m.expires_at) * 1000)::bigint as expires_ms
          from audit.mint m where m.token_hash = any($1::text[])`,
    parameters: [hashes],
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

const NEVER_MINTED = { mint_tenant: null, mint_person: null, minted_ms: null, expires_ms: null };

/**
 * Compares what the workspace logged in one cell with what the issuer minted, from `position` on, as ax_sentinel. The
 * workspace can write any name into an entry; without a token of that person it cannot do so unseen. `mints` is the
 * database that the issuer writes its list into: home's. Call again with the returned position until it stands still;
 * then everything that has a place is compared.
 */
export async function reconcileMints(
  { entries, mints }: { entries: SystemDoor; mints: SystemDoor },
  position: number,
): Promise<{ position: number; checked: number; mismatches: Mismatch[] }> {
  const end = Math.max(position, await feedEnd(entries));
  const rows = end === position ? [] : await entries.system(personEntries({ after: position, upTo: end }));
  const hashes = [...new Set(rows.flatMap((row) => (row.token_hash === null ? [] : [row.token_hash])))];
  const minted = hashes.length === 0 ? [] : await mints.system(mintsOf(hashes));
  const byHash = new Map(minted.map((row) => [row.token_hash, row]));
  const mismatches = rows.flatMap((row) => {
    const reason = judgeActor({
      ...row,
      ...(byHash.get(row.token_hash ?? '') ?? NEVER_MINTED),
      token_hash: row.token_hash,
    });
    if (reason === undefined) return [];
    return [{ position: Number(row.position), tenantId: row.tenant_id, entryId: row.entry_id, type: row.type, reason }];
  });
  const isWhole = rows.length < RECONCILE_ENTRIES_MAX;
  return { position: isWhole ? end : Number(rows.at(-1)!.position), checked: rows.length, mismatches };
}
