import { systemRandom, uuidV4 } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { Client } from 'pg';
import type { SealedColumn } from '../../../platform/db/sealed-fields.ts';
import type { Sealer } from '../sealer.ts';

/** The columns that a row needs beside its sealed ones; every one that is a uuid or generated gets its own value. */
const PLAIN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'app.engagement': {
    period_start: '2026-01-01',
    period_end: '2026-06-30',
    criteria_count: '1',
    created_by: 'uuid',
    created_at: '2026-07-01',
  },
  'app.criterion': { engagement_id: 'uuid', position: 'count', group_index: '0' },
  'app.result': {
    engagement_id: 'uuid',
    criterion_id: 'uuid',
    revision: 'ordinal',
    outcome: 'satisfied',
    observed_on: '2026-02-01',
    recorded_by: 'uuid',
    recorded_at: '2026-07-01',
  },
  'app.evidence_upload': {
    engagement_id: 'uuid',
    criterion_id: 'uuid',
    size_bytes: '1',
    speaks_from: '2026-02-01',
    speaks_to: '2026-02-01',
    started_by: 'uuid',
    started_at: '2026-07-01',
    expires_at: '2026-07-02',
  },
  'app.evidence': {
    engagement_id: 'uuid',
    criterion_id: 'uuid',
    upload_id: 'uuid',
    size_bytes: '1',
    speaks_from: '2026-02-01',
    speaks_to: '2026-02-01',
    card_flag: 'false',
    received_by: 'uuid',
    received_at: '2026-07-01',
  },
  'app.access_rules': { version: 'serial', written_by: 'uuid', written_at: '2026-07-01' },
  'app.office': { created_at: '2026-07-01' },
  'app.stream': { created_at: '2026-07-01' },
  'identity.member': { role: 'auditor', state: 'active', created_at: '2026-07-01' },
  'identity.api_key': {
    member_id: 'uuid',
    secret_hash: `\\x${'00'.repeat(32)}`,
    scope: 'read',
    created_at: '2026-07-01',
    expires_at: '2026-07-31',
  },
  'identity.production_grant': {
    kind: 'grant',
    member_id: 'uuid',
    scopes: '{keys}',
    minutes: '60',
    asked_at: '2026-07-01',
  },
  'identity.connection': { kind: 'saml', profile: 'other', created_at: '2026-07-01' },
  'identity.connection_certificate': {
    connection_id: 'uuid',
    fingerprint: `\\x${'00'.repeat(32)}`,
    state: 'active',
    source: 'pasted',
    not_after: '2027-07-01',
    seen_at: '2026-07-01',
  },
  'identity.connection_group': {
    connection_id: 'uuid',
    role: 'auditor',
    mapped_by: 'uuid',
    mapped_at: '2026-07-01',
  },
  'identity.connection_attempt': {
    connection_id: 'uuid',
    purpose: 'test',
    outcome: 'accepted',
    version: '1',
    tried_at: '2026-07-01',
  },
  'identity.scim_resource': {
    connection_id: 'uuid',
    kind: 'Group',
    active: 'true',
    created_at: '2026-07-01',
    modified_at: '2026-07-01',
  },
  'identity.scim_refusal': { connection_id: 'uuid', refused_at: '2026-07-01' },
  'identity.received_stream': { connection_id: 'uuid', delivery: 'poll', created_at: '2026-07-01' },
  'identity.received_event': {
    stream_id: 'uuid',
    token_hash: `\\x${'00'.repeat(32)}`,
    verdict: 'alert',
    state: 'held',
    received_at: '2026-07-01',
    forget_at: '2026-07-09',
  },
  'identity.received_refusal': { stream_id: 'uuid', refused_at: '2026-07-01' },
  'identity.received_pulse': {},
  'identity.api_client': {
    kind: 'application',
    access: 'read',
    registered_by: 'uuid',
    registered_at: '2026-07-01',
  },
  'identity.signal_stream': {
    method: 'poll',
    subjects: 'own',
    tells_sessions: 'true',
    tells_accounts: 'true',
    tells_passkeys: 'true',
    token_hash: `\\x${'00'.repeat(32)}`,
    created_by: 'uuid',
    created_at: '2026-07-01',
  },
  'identity.signal_event': {
    stream_id: 'uuid',
    rank: '0',
    event: 'session-revoked',
    member_id: 'uuid',
    cause: 'everywhere',
    noted_at: '2026-07-01',
    cause_id: 'uuid',
    token_id: 'serial',
    issued_at: '2026-07-01',
  },
  'identity.signal_key': {
    state: 'former',
    public_key: '\\x00',
    made_at: '2026-07-01',
    used_at: '2026-07-01',
    replaced_at: '2026-07-02',
  },
  'identity.signal_name': { member_id: 'uuid', named_at: '2026-07-01' },
  'identity.invitation': {
    member_id: 'uuid',
    role: 'auditor',
    created_at: '2026-07-01',
    expires_at: '2026-07-02',
  },
  'identity.access_review': {
    state: 'closed',
    closed_at: '2026-07-15',
    opened_at: '2026-07-01',
    due_at: '2026-07-15',
    snapshot_hash: `\\x${'00'.repeat(32)}`,
    is_drill: 'false',
  },
  'identity.access_review_item': {
    review_id: 'uuid',
    position: 'serial',
    kind: 'member',
    target_id: 'uuid',
    decision: 'remove',
    decided_because: 'deadline',
    decided_at: '2026-07-15',
  },
  'audit.disclosure': { digest: 'count' },
  'audit.subject_key': {},
  'audit.late_key': { public_key: `\\x${'00'.repeat(32)}` },
};

/** Of a tenant's rules no number comes twice, however often rows are written. */
let serial = 0;

/** A stored value, and what it holds. */
export interface StoredValue {
  readonly column: SealedColumn;
  readonly row: Uuid;
  readonly key: Uuid;
  readonly value: Buffer;
}

/**
 * Rows with sealed values in every registered column, put in by the superuser past the guards: what a tenant has after
 * a while, without its story. A registered column of a table that is not known here is an error, so that none is left out.
 */
export async function writeSealedRows(
  given: { readonly admin: Client; readonly sealer: Sealer; readonly columns: readonly SealedColumn[] },
  context: TenantContext,
  content: { readonly rows: number; readonly value: (column: SealedColumn, index: number) => Buffer },
): Promise<StoredValue[]> {
  const stored: StoredValue[] = [];
  const byTable = Map.groupBy(given.columns, ({ column }) => column.split('.').slice(0, 2).join('.'));
  await given.admin.query('set session_replication_role = replica');
  try {
    for (const [table, columns] of byTable) {
      const plain = PLAIN[table];
      if (plain === undefined) throw new Error(`${table} has sealed columns that no test fills`);
      for (let index = 0; index < content.rows; index += 1) {
        const row = plainRow(context.tenantId, { plain, columns, index });
        for (const column of columns) {
          const at = { key: row[column.key] as Uuid, row: row[column.row] as Uuid };
          const value = content.value(column, index);
          row[column.column.split('.')[2]!] = await seal(given.sealer, context, { column, row: at.row, value });
          stored.push({ column, ...at, value });
        }
        const names = Object.keys(row);
        const places = names.map((_, place) => `$${place + 1}`);
        await given.admin.query(
          `insert into ${table} (${names.join(', ')}) values (${places.join(', ')})`,
          Object.values(row),
        );
      }
    }
  } finally {
    await given.admin.query('set session_replication_role = origin');
  }
  return stored;
}

function plainRow(
  tenantId: Uuid,
  of: {
    readonly plain: Readonly<Record<string, string>>;
    readonly columns: readonly SealedColumn[];
    readonly index: number;
  },
): Record<string, unknown> {
  const row: Record<string, unknown> = { tenant_id: tenantId };
  const given = {
    uuid: () => uuidV4(systemRandom),
    count: () => String(of.index),
    ordinal: () => String(of.index + 1),
    serial: () => String((serial += 1)),
  } as Record<string, () => string>;
  for (const [name, value] of Object.entries(of.plain)) row[name] = given[value]?.() ?? value;
  for (const { key } of of.columns) row[key] ??= uuidV4(systemRandom);
  return row;
}

function seal(
  sealer: Sealer,
  context: TenantContext,
  of: { readonly column: SealedColumn; readonly row: Uuid; readonly value: Buffer },
): Promise<Buffer> {
  return of.column.purpose === 'objects'
    ? sealer.sealObjectKey({ context, objectId: of.row, key: of.value })
    : sealer.seal({
        context,
        field: of.column.column as `${string}.${string}.${string}`,
        rowId: of.row,
        value: of.value,
      });
}

/** Reads a stored value as it is now and opens it. Throws what the sealer throws. */
export async function openStored(
  given: { readonly admin: Client; readonly sealer: Sealer },
  context: TenantContext,
  { column, key, row, value }: StoredValue,
): Promise<{ readonly version: number; readonly same: boolean }> {
  const [schema, table, name] = column.column.split('.');
  const { rows } = await given.admin.query<{ sealed: Buffer; version: string }>(
    `select ${name} as sealed, ${name}_dek as version from ${schema}.${table}
     where tenant_id = $1 and ${column.key} = $2 and ${column.row} = $3`,
    [context.tenantId, key, row],
  );
  const sealed = rows[0]!.sealed;
  const opened =
    column.purpose === 'objects'
      ? await given.sealer.openObjectKey({ context, objectId: row, sealed })
      : await given.sealer.openBytes({
          context,
          field: column.column as `${string}.${string}.${string}`,
          rowId: row,
          sealed,
        });
  return { version: Number(rows[0]!.version), same: opened.equals(value) };
}
