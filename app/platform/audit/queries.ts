import type { Uuid } from '@auditrax/base';
import type { Statement } from '@auditrax/tenancy';

/** Statements of the writers. Those of the sequencer stand in ledger-queries.ts. */
export function insertEntry(row: { tenantId: Uuid; entryId: Uuid; leaf: Uint8Array }): Statement {
  return {
    sql: 'insert into audit.entry (tenant_id, id, leaf) values ($1, $2, $3)',
    parameters: [row.tenantId, row.entryId, row.leaf],
  };
}

export function insertDisclosure(row: {
  tenantId: Uuid;
  entryId: Uuid;
  digest: string;
  sealed: Uint8Array;
  /** The person that the value is about, under whose key it is encrypted; null for what is about nobody. */
  subject: Uuid | null;
}): Statement {
  return {
    sql: 'insert into audit.disclosure (tenant_id, entry_id, digest, sealed, subject) values ($1, $2, $3, $4, $5)',
    parameters: [row.tenantId, row.entryId, row.digest, row.sealed, row.subject],
  };
}

/** One row always: the person's sealed key, if there is one, and whether they were erased. */
export function subjectKey(tenantId: Uuid, subject: Uuid): Statement<{ sealed: Buffer | null; erased: boolean }> {
  return {
    sql: `select (select k.sealed from audit.subject_key k where k.tenant_id = $1 and k.subject = $2) as sealed,
      exists (select 1 from audit.erased_subject s where s.tenant_id = $1 and s.subject = $2) as erased`,
    parameters: [tenantId, subject],
  };
}

/** No row comes back when another transaction was first. */
export function insertSubjectKey(row: {
  tenantId: Uuid;
  subject: Uuid;
  sealed: Uint8Array;
}): Statement<{ subject: Uuid }> {
  return {
    sql: `insert into audit.subject_key (tenant_id, subject, sealed) values ($1, $2, $3)
      on conflict (tenant_id, subject) do nothing returning subject`,
    parameters: [row.tenantId, row.subject, row.sealed],
  };
}

export function deleteSubjectKey(tenantId: Uuid, subject: Uuid): Statement<{ subject: Uuid }> {
  return {
    sql: 'delete from audit.subject_key where tenant_id = $1 and subject = $2 returning subject',
    parameters: [tenantId, subject],
  };
}

export function insertErasedSubject(tenantId: Uuid, subject: Uuid): Statement {
  return {
    sql: 'insert into audit.erased_subject (tenant_id, subject) values ($1, $2)',
    parameters: [tenantId, subject],
  };
}

/** Who of these was erased. */
export function erasedAmong(tenantId: Uuid, subjects: readonly Uuid[]): Statement<{ subject: Uuid }> {
  return {
    sql: 'select s.subject from audit.erased_subject s where s.tenant_id = $1 and s.subject = any ($2::uuid[])',
    parameters: [tenantId, subjects],
  };
}

/** Everybody who was erased, in the order of their ids, from behind `after`. */
export function erasedSubjects(
  tenantId: Uuid,
  page: { readonly after: Uuid | null; readonly limit: number },
): Statement<{ subject: Uuid; erased_at: Date }> {
  return {
    sql: `select s.subject, s.erased_at from audit.erased_subject s
      where s.tenant_id = $1 and ($2::uuid is null or s.subject > $2) order by s.subject limit $3`,
    parameters: [tenantId, page.after, page.limit],
  };
}

/** Digests of the values about a person, in their own order. */
export function digestsOfSubject(tenantId: Uuid, subject: Uuid, limit: number): Statement<{ digest: string }> {
  return {
    sql: `select d.digest from audit.disclosure d where d.tenant_id = $1 and d.subject = $2 order by d.digest limit $3`,
    parameters: [tenantId, subject, limit],
  };
}

export function countOfSubject(tenantId: Uuid, subject: Uuid): Statement<{ values: string | number }> {
  return {
    sql: 'select count(*) as values from audit.disclosure d where d.tenant_id = $1 and d.subject = $2',
    parameters: [tenantId, subject],
  };
}

export interface StoredDisclosure {
  readonly digest: string;
  readonly sealed: Buffer;
  readonly subject: Uuid | null;
}

export function disclosuresOfEntry(tenantId: Uuid, entryId: Uuid): Statement<StoredDisclosure> {
  return {
    sql: 'select d.digest, d.sealed, d.subject from audit.disclosure d where d.tenant_id = $1 and d.entry_id = $2',
    parameters: [tenantId, entryId],
  };
}

/** The entries about a person's erasure, with their place in the log once they have one. */
export function erasuresOf(
  tenantId: Uuid,
  subjects: readonly Uuid[],
): Statement<{ id: Uuid; leaf: Buffer; idx: string | null }> {
  return {
    sql: `select e.id, e.leaf, i.idx from audit.entry e
      left join audit.log_index i on i.tenant_id = $1 and i.entry_id = e.id
      where e.tenant_id = $1 and e.resource_id = any ($2::uuid[]) and e.type = 'person.erased'`,
    parameters: [tenantId, subjects],
  };
}

export function appendObservation(leaf: Uint8Array): Statement<{ id: Uuid }> {
  return { sql: 'select audit.append_observation($1) as id', parameters: [leaf] };
}
