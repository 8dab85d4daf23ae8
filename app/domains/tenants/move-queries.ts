import type { Json, Uuid } from '@auditrax/base';
import { sql, type Statement } from '@auditrax/tenancy';
import type { MoveState } from './move-states.ts';
import type { PlaceKind } from './placement-contract.ts';
import type { ProofRow } from './placer.ts';

export interface MoveRow {
  readonly id: Uuid;
  readonly subject_id: Uuid;
  readonly state: MoveState;
  readonly from_kind: PlaceKind;
  readonly from_region: string;
  readonly to_kind: PlaceKind;
  readonly to_region: string;
  readonly requested_by: Uuid;
  readonly requested_at: Date;
  readonly ended_at: Date | null;
  readonly proof: Readonly<Record<string, ProofRow>> | null;
  readonly frozen_ms: number | null;
  readonly failure: string | null;
}

export interface ProgressRow {
  readonly move_id: Uuid;
  readonly stage: 'copying' | 'frozen' | 'proving' | 'switched' | 'cleared';
  readonly rows_done: string;
  readonly rows_total: string;
  readonly updated_at: Date;
  readonly proof: Json | null;
}

interface PlacementRow {
  readonly tenant_id: Uuid;
  readonly kind: PlaceKind;
  readonly region: string;
}

const columns = sql`m.id, m.subject_id, m.state, m.from_kind, m.from_region, m.to_kind, m.to_region, m.requested_by,
  m.requested_at, m.ended_at, m.proof, m.frozen_ms, m.failure`;

export const listMoves = (tenantId: Uuid, limit: number): Statement<MoveRow> =>
  sql<MoveRow>`select ${columns} from app.tenant_move m where m.tenant_id = ${tenantId}
    order by m.requested_at desc, m.id limit ${limit}`;

export const moveById = (tenantId: Uuid, id: Uuid): Statement<MoveRow> =>
  sql<MoveRow>`select ${columns} from app.tenant_move m where m.tenant_id = ${tenantId} and m.id = ${id}`;

export const moveForUpdate = (tenantId: Uuid, id: Uuid): Statement<MoveRow> =>
  sql<MoveRow>`select ${columns} from app.tenant_move m where m.tenant_id = ${tenantId} and m.id = ${id} for update`;

/** Not ended yet, oldest first: what the house has to carry out. */
export const openMoves = (tenantId: Uuid, limit: number): Statement<MoveRow> =>
  sql<MoveRow>`select ${columns} from app.tenant_move m where m.tenant_id = ${tenantId} and m.ended_at is null
    order by m.requested_at, m.id limit ${limit}`;

export const openMoveOf = (tenantId: Uuid, subjectId: Uuid): Statement<{ id: Uuid }> =>
  sql<{ id: Uuid }>`select m.id from app.tenant_move m where m.tenant_id = ${tenantId} and m.subject_id = ${subjectId}
    and m.ended_at is null`;

export const insertMove = (
  tenantId: Uuid,
  row: Pick<
    MoveRow,
    'id' | 'subject_id' | 'from_kind' | 'from_region' | 'to_kind' | 'to_region' | 'requested_by' | 'requested_at'
  >,
): Statement =>
  sql`insert into app.tenant_move (tenant_id, id, subject_id, state, from_kind, from_region, to_kind, to_region, requested_by, requested_at)
    values (${tenantId}, ${row.id}, ${row.subject_id}, 'requested', ${row.from_kind}, ${row.from_region}, ${row.to_kind},
      ${row.to_region}, ${row.requested_by}, ${row.requested_at})`;

interface At {
  readonly tenantId: Uuid;
  readonly id: Uuid;
}

export const setMoveState = (at: At, state: MoveState): Statement =>
  sql`update app.tenant_move set state = ${state} where tenant_id = ${at.tenantId} and id = ${at.id}`;

export const endMove = (
  at: At,
  end: {
    readonly state: MoveState;
    readonly now: Date;
    readonly proof: string | null;
    readonly frozenMs: number | null;
    readonly failure: string | null;
  },
): Statement =>
  sql`update app.tenant_move set state = ${end.state}, ended_at = ${end.now}, proof = ${end.proof}::jsonb,
    frozen_ms = ${end.frozenMs}, failure = ${end.failure} where tenant_id = ${at.tenantId} and id = ${at.id}`;

// Global: numbers and places.

export const progressOf = (ids: readonly Uuid[]): Statement<ProgressRow> =>
  sql<ProgressRow>`select p.move_id, p.stage, p.rows_done, p.rows_total, p.updated_at, p.proof
    from platform.move_progress p where p.move_id = any (${ids}::uuid[])`;

export const placementOf = (tenantId: Uuid): Statement<PlacementRow> =>
  sql<PlacementRow>`select p.tenant_id, p.kind, p.region from platform.placement p where p.tenant_id = ${tenantId}`;

/** Makes a place that was provisioned the tenant's home. Nothing may be stored for the tenant yet. */
export const settlePlace = (place: {
  readonly tenantId: Uuid;
  readonly kind: 'schema' | 'database';
  readonly region: string;
  readonly cell: string;
  readonly schema: string;
  readonly role: string;
}): Statement =>
  sql`insert into platform.placement (tenant_id, kind, region, cell, schema_name, role_name, state)
    values (${place.tenantId}, ${place.kind}, ${place.region}, ${place.cell}, ${place.schema}, ${place.role}, 'active')
    on conflict (tenant_id) do nothing`;
