import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import { KEYS_LISTED_MAX } from './contract.ts';
import type { KeyPurpose, KeyState } from './contract.ts';

// Names of tables and columns come from the rooms' registries, whose form is checked when they are read; values never
// become text.
function placeOf({ column }: SealedColumn): { readonly table: string; readonly name: string; readonly dek: string } {
  const [schema, table, name] = column.split('.');
  return { table: `${schema}.${table}`, name: name!, dek: `${name}_dek` };
}

/** How many values of a column name which key version. */
export function countVersions(tenantId: Uuid, column: SealedColumn): Statement<{ version: string; rows: string }> {
  const { table, dek } = placeOf(column);
  return {
    sql: `select ${dek} as version, count(*) as rows from ${table}
          where tenant_id = $1 and ${dek} is not null group by ${dek} order by ${dek}`,
    parameters: [tenantId],
  };
}

export interface SealedRow {
  readonly key: Uuid;
  readonly row: Uuid;
  readonly sealed: Buffer;
}

/** The next values under one version, in the order of their key; cut by bytes too, but never to nothing. */
export function selectSealed(
  tenantId: Uuid,
  column: SealedColumn,
  batch: { readonly version: number; readonly after: Uuid; readonly rowsMax: number; readonly bytesMax: number },
): Statement<SealedRow> {
  const { table, name, dek } = placeOf(column);
  return {
    sql: `select picked.key, picked.row, picked.sealed from (
            select ${column.key} as key, ${column.row} as row, ${name} as sealed,
                   sum(octet_length(${name})) over (order by ${column.key}, ${name}) - octet_length(${name}) as bytes_before
            from ${table} where tenant_id = $1 and ${dek} = $2 and ${column.key} > $3
            order by ${column.key}, ${name} limit $4) as picked
          where picked.bytes_before < $5 order by picked.key`,
    parameters: [tenantId, batch.version, batch.after, batch.rowsMax, batch.bytesMax],
  };
}

/**
 * Locks the rows of a batch in the order of their keys. The swap alone would take them in whatever order its plan meets
 * them, and two jobs with different plans would each wait for the other until the database ends one.
 */
export function lockSealed(tenantId: Uuid, column: SealedColumn, keys: readonly Uuid[]): Statement<{ key: Uuid }> {
  const { table } = placeOf(column);
  return {
    sql: `select ${column.key} as key from ${table} where tenant_id = $1 and ${column.key} = any($2::uuid[])
          order by ${column.key} for no key update`,
    parameters: [tenantId, keys],
  };
}

/** Compare-and-swap of a batch: a value that somebody has changed meanwhile stays as they left it. */
export function swapSealed(
  tenantId: Uuid,
  column: SealedColumn,
  moved: { readonly keys: readonly Uuid[]; readonly from: readonly Buffer[]; readonly to: readonly Buffer[] },
): Statement<{ sealed: Buffer }> {
  const { table, name } = placeOf(column);
  return {
    sql: `update ${table} as held set ${name} = moved.after
          from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as moved (key, before, after)
          where held.tenant_id = $1 and held.${column.key} = moved.key and held.${name} = moved.before
          returning held.${name} as sealed`,
    parameters: [tenantId, moved.keys, moved.from, moved.to],
  };
}

export interface ProgressRow {
  readonly relation: string;
  readonly column_name: string;
  readonly version: number;
  readonly walked: Uuid | null;
  readonly done: string;
  readonly unreadable: string;
  readonly updated_at: Date;
}

export function listProgress(tenantId: Uuid): Statement<ProgressRow> {
  return {
    sql: `select relation, column_name, version, walked, done, unreadable, updated_at from app.reseal_progress
          where tenant_id = $1`,
    parameters: [tenantId],
  };
}

/** Adds to the count of a column, or begins it anew for a younger version. */
export function noteProgress(
  tenantId: Uuid,
  column: SealedColumn,
  step: {
    readonly version: number;
    readonly walked: Uuid | null;
    readonly moved: number;
    readonly unreadable: number;
    readonly at: Date;
  },
): Statement {
  const { table, name } = placeOf(column);
  return {
    sql: `insert into app.reseal_progress as held
            (tenant_id, relation, column_name, version, walked, done, unreadable, updated_at)
          values ($1, $2, $3, $4, $5, $6, $7, $8)
          on conflict (tenant_id, relation, column_name) do update set
            done = case when held.version = excluded.version then held.done + excluded.done else excluded.done end,
            unreadable = excluded.unreadable, version = excluded.version, walked = excluded.walked,
            updated_at = excluded.updated_at`,
    parameters: [tenantId, table, name, step.version, step.walked, step.moved, step.unreadable, step.at],
  };
}

/** A step of a key's life, taken only from the state it was read in. */
export function stepState(
  tenantId: Uuid,
  step: { readonly id: Uuid; readonly from: KeyState; readonly to: KeyState },
): Statement<{ id: Uuid }> {
  return {
    sql: `update app.dek set state = $4 where tenant_id = $1 and id = $2 and state = $3 returning id`,
    parameters: [tenantId, step.id, step.from, step.to],
  };
}

/** What a destroyed key's wrap is overwritten with; the table demands exactly these bytes. */
const NO_WRAP = Buffer.alloc(48);

/** Overwrites the wrap: nothing that a key-encryption key could open is left in the row. */
export function destroyWrap(
  tenantId: Uuid,
  step: { readonly id: Uuid; readonly from: KeyState },
): Statement<{ id: Uuid }> {
  return {
    sql: `update app.dek set state = 'DESTROYED', wrapped = $4
          where tenant_id = $1 and id = $2 and state = $3 returning id`,
    parameters: [tenantId, step.id, step.from, NO_WRAP],
  };
}

export interface KeyLife {
  readonly id: Uuid;
  readonly purpose: KeyPurpose;
  readonly version: number;
  readonly commitment: Buffer;
  readonly state: KeyState;
  readonly created_at: Date;
  /** When it came into its state, by the database's clock. */
  readonly state_since: Date;
}

/** Every key that is not destroyed, oldest first. */
export function listLives(tenantId: Uuid): Statement<KeyLife> {
  return {
    sql: `select id, purpose, version, commitment, state, created_at, state_since from app.dek
          where tenant_id = $1 and state <> 'DESTROYED' order by purpose, version limit ${KEYS_LISTED_MAX}`,
    parameters: [tenantId],
  };
}
