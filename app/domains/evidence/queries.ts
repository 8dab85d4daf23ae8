import type { Uuid } from '@auditrax/base';
import { sql, type Statement, type TenantContext } from '@auditrax/tenancy';

export type UploadState = 'open' | 'received' | 'aborted' | 'expired';

/** Sizes are below 2^33, so they fit a number; the driver would hand a bigint over as text. Days are read as text. */
export interface UploadRow {
  readonly id: Uuid;
  readonly engagement_id: Uuid;
  readonly criterion_id: Uuid;
  readonly description: Buffer;
  readonly object_key: Buffer;
  readonly size_bytes: number;
  readonly speaks_from: string;
  readonly speaks_to: string;
  readonly state: UploadState;
  readonly started_by: Uuid;
  readonly expires_at: Date;
}

/** What a list needs of a file. */
export interface EvidenceRow {
  readonly id: Uuid;
  readonly engagement_id: Uuid;
  readonly criterion_id: Uuid;
  readonly upload_id: Uuid;
  readonly description: Buffer;
  readonly size_bytes: number;
  readonly speaks_from: string;
  readonly speaks_to: string;
  readonly card_flag: boolean;
  readonly received_by: Uuid;
  readonly received_at: Date;
}

export function insertUpload(
  { tenantId }: TenantContext,
  row: {
    id: Uuid;
    engagementId: Uuid;
    criterionId: Uuid;
    description: Uint8Array;
    objectKey: Uint8Array;
    sizeBytes: number;
    speaksFrom: string;
    speaksTo: string;
    startedBy: Uuid;
    startedAt: Date;
    expiresAt: Date;
  },
): Statement {
  return sql`insert into app.evidence_upload
    (tenant_id, id, engagement_id, criterion_id, description, object_key, size_bytes, speaks_from, speaks_to, started_by, started_at, expires_at)
    values (${tenantId}, ${row.id}, ${row.engagementId}, ${row.criterionId}, ${row.description}, ${row.objectKey}, ${row.sizeBytes},
            ${row.speaksFrom}, ${row.speaksTo}, ${row.startedBy}, ${row.startedAt}, ${row.expiresAt})`;
}

/** No row: the criterion is not one of this engagement. */
export function readCriterionOf(
  { tenantId }: TenantContext,
  key: { engagementId: Uuid; criterionId: Uuid },
): Statement<{ id: Uuid }> {
  return sql<{ id: Uuid }>`select c.id from app.criterion c
    where c.tenant_id = ${tenantId} and c.engagement_id = ${key.engagementId} and c.id = ${key.criterionId}`;
}

export function readUpload({ tenantId }: TenantContext, id: Uuid): Statement<UploadRow> {
  return sql<UploadRow>`select u.id, u.engagement_id, u.criterion_id, u.description, u.object_key, u.size_bytes::float8 as size_bytes,
      u.speaks_from::text as speaks_from, u.speaks_to::text as speaks_to, u.state, u.started_by, u.expires_at
    from app.evidence_upload u where u.tenant_id = ${tenantId} and u.id = ${id}`;
}

/** One way only, and once: an upload that is over stays over. No row back: it was over already. Says what it was for. */
export function closeUpload(
  { tenantId }: TenantContext,
  change: { id: Uuid; state: Exclude<UploadState, 'open'> },
): Statement<{ engagement_id: Uuid }> {
  return sql<{ engagement_id: Uuid }>`update app.evidence_upload set state = ${change.state}
    where tenant_id = ${tenantId} and id = ${change.id} and state = 'open' returning engagement_id`;
}

/** Uploads that nobody finished in time, oldest first. */
export function listExpiredUploads(
  { tenantId }: TenantContext,
  scope: { now: Date; limit: number },
): Statement<{ id: Uuid; engagement_id: Uuid }> {
  return sql<{ id: Uuid; engagement_id: Uuid }>`select u.id, u.engagement_id from app.evidence_upload u
    where u.tenant_id = ${tenantId} and u.state = 'open' and u.expires_at < ${scope.now}
    order by u.expires_at limit ${scope.limit}`;
}

export function insertEvidence(
  { tenantId }: TenantContext,
  row: {
    id: Uuid;
    upload: UploadRow;
    description: Uint8Array;
    manifest: Uint8Array;
    cardFlag: boolean;
    receivedBy: Uuid;
    receivedAt: Date;
  },
): Statement {
  const { upload } = row;
  return sql`insert into app.evidence
    (tenant_id, id, engagement_id, criterion_id, upload_id, description, object_key, manifest, size_bytes, speaks_from, speaks_to, card_flag,
     received_by, received_at)
    values (${tenantId}, ${row.id}, ${upload.engagement_id}, ${upload.criterion_id}, ${upload.id}, ${row.description},
            ${upload.object_key}, ${row.manifest}, ${upload.size_bytes}, ${upload.speaks_from}, ${upload.speaks_to}, ${row.cardFlag}, ${row.receivedBy}, ${row.receivedAt})`;
}

/** Newest first; `before` is the last id of the page before, `criterionId` null means all. */
export function listEvidence(
  { tenantId }: TenantContext,
  page: { engagementId: Uuid; criterionId: Uuid | null; before: Uuid; limit: number },
): Statement<EvidenceRow> {
  return sql<EvidenceRow>`select v.id, v.engagement_id, v.criterion_id, v.upload_id, v.description,
      v.size_bytes::float8 as size_bytes, v.speaks_from::text as speaks_from, v.speaks_to::text as speaks_to, v.card_flag,
      v.received_by, v.received_at
    from app.evidence v
    where v.tenant_id = ${tenantId} and v.engagement_id = ${page.engagementId} and v.id < ${page.before}
      and (${page.criterionId}::uuid is null or v.criterion_id = ${page.criterionId}::uuid)
    order by v.id desc limit ${page.limit}`;
}

/** One file with what is needed to read its bytes. */
export interface StoredEvidenceRow {
  readonly id: Uuid;
  readonly engagement_id: Uuid;
  readonly upload_id: Uuid;
  readonly description: Buffer;
  readonly object_key: Buffer;
  readonly manifest: Buffer;
  readonly size_bytes: number;
}

export function readStoredEvidence({ tenantId }: TenantContext, id: Uuid): Statement<StoredEvidenceRow> {
  return sql<StoredEvidenceRow>`select v.id, v.engagement_id, v.upload_id, v.description, v.object_key, v.manifest,
      v.size_bytes::float8 as size_bytes
    from app.evidence v where v.tenant_id = ${tenantId} and v.id = ${id}`;
}

/** The file that came of an upload. */
export function readEvidenceOfUpload({ tenantId }: TenantContext, uploadId: Uuid): Statement<EvidenceRow> {
  return sql<EvidenceRow>`select v.id, v.engagement_id, v.criterion_id, v.upload_id, v.description,
      v.size_bytes::float8 as size_bytes, v.speaks_from::text as speaks_from, v.speaks_to::text as speaks_to, v.card_flag,
      v.received_by, v.received_at
    from app.evidence v where v.tenant_id = ${tenantId} and v.upload_id = ${uploadId}`;
}

/** Uploads that a person has begun and not finished. */
export function countOpenUploads({ tenantId }: TenantContext, startedBy: Uuid): Statement<{ uploads: number }> {
  return sql<{ uploads: number }>`select count(*)::int4 as uploads from app.evidence_upload u
    where u.tenant_id = ${tenantId} and u.started_by = ${startedBy} and u.state = 'open'`;
}
