import { AppError, isAppError, uuidV7, type Uuid } from '@auditrax/base';
import type { Statement, TenantContext } from '@auditrax/tenancy';
import type { Readable } from 'node:stream';
import {
  auditOf,
  enterEngagement,
  notFound,
  recordCardOverrides,
  requireEvent,
  rowDenied,
  withRecordedDenials,
  type Asker,
  type Hold,
} from '../engagements/index.ts';
import { decodeManifest, encodeManifest, type Manifest, type StoredObject } from '../../platform/objects/index.ts';
import { PART_BYTES, type Evidence, type UploadPosition } from './contract.ts';
import type { EvidenceCode } from './errors.ts';
import { plainMediaType, safeFileName } from './file-name.ts';
import { holdsCardNumber, partWatch, type PartWatch } from './part-watch.ts';
import type { EvidenceDeps } from './ports.ts';
import {
  closeUpload,
  countOpenUploads,
  insertEvidence,
  insertUpload,
  listEvidence,
  listExpiredUploads,
  readCriterionOf,
  readEvidenceOfUpload,
  readStoredEvidence,
  readUpload,
  type EvidenceRow,
  type UploadRow,
} from './queries.ts';

/** Long enough for the largest file on a poor line, over a night. */
const UPLOAD_LIFETIME_MS = 24 * 60 * 60 * 1000;
/** Of one person; each holds disk space that nobody can use. */
const UPLOADS_OPEN_MAX = 20;
/** Expired uploads removed in one sweep of a tenant. */
const SWEEP_UPLOADS_MAX = 100;
const BEYOND_ALL_IDS = 'ffffffff-ffff-ffff-ffff-ffffffffffff' as Uuid;

export interface StartInput {
  readonly engagementId: Uuid;
  readonly criterionId: Uuid;
  readonly fileName: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly speaksAbout: { readonly from: string; readonly to: string };
  readonly sha256: string | undefined;
  readonly notACard: readonly string[] | undefined;
}

export interface PartInput {
  readonly uploadId: Uuid;
  readonly offset: number;
  readonly source: AsyncIterable<Uint8Array>;
  /** Of the request, when the sender gave one. */
  readonly contentLength_bytes: number | undefined;
}

export interface Download {
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly content: Readable;
}

/**
 * Files of evidence. Bytes of an unfinished upload are sealed on disk and can be read by nobody; they become evidence in
 * one transaction with its audit entry, after every byte has been read back and hashed. Errors: `not_found` (missing or
 * not granted; the latter is on record), the codes of `errors.ts`, of the engagement's state machine, and of the object
 * store.
 */
export interface EvidenceService {
  start(who: Asker, input: StartInput): Promise<UploadPosition>;
  writePart(who: Asker, input: PartInput): Promise<UploadPosition>;
  position(who: Asker, uploadId: Uuid): Promise<UploadPosition>;
  complete(who: Asker, uploadId: Uuid): Promise<Evidence>;
  abort(who: Asker, uploadId: Uuid): Promise<void>;
  list(who: Asker, page: EvidencePage): Promise<{ evidence: Evidence[]; nextCursor: string | null }>;
  /** The entry in the log is written before the first byte leaves. */
  download(who: Asker, evidenceId: Uuid): Promise<Download>;
  /** Removes what was begun and not finished in time; for a job, tenant by tenant. Returns how many. */
  expireUploads(context: TenantContext): Promise<number>;
}

export interface EvidencePage {
  readonly engagementId: Uuid;
  readonly criterionId: Uuid | undefined;
  readonly before: Uuid | undefined;
  readonly limit: number;
}

/** What is sealed about a file. `sha256` of an upload is what the sender announced, of evidence what was stored. */
interface Description {
  readonly fileName: string;
  readonly mediaType: string;
  readonly sha256: string | null;
}

/** A place where statements run: a transaction, or one statement at a time. */
interface Runner {
  readonly context: TenantContext;
  query<Row>(statement: Statement<Row>): Promise<Row[]>;
}

interface Room {
  readonly deps: EvidenceDeps;
  readonly watch: PartWatch;
}

function single(deps: EvidenceDeps, context: TenantContext): Runner {
  return { context, query: (statement) => deps.door.scoped(context, statement) };
}

function objectOf(row: { id: Uuid; object_key: Uint8Array; size_bytes: number }): StoredObject {
  return { objectId: row.id, sealedKey: row.object_key, sizeBytes: row.size_bytes };
}

async function openDescription(
  deps: EvidenceDeps,
  context: TenantContext,
  of: { field: 'app.evidence_upload.description' | 'app.evidence.description'; id: Uuid; sealed: Buffer },
): Promise<Description> {
  return JSON.parse(
    await deps.sealer.openText({ context, field: of.field, rowId: of.id, sealed: of.sealed }),
  ) as Description;
}

function positionOf(
  deps: EvidenceDeps,
  context: TenantContext,
  row: { id: Uuid; size_bytes: number; expires_at: Date; received: number },
): UploadPosition {
  return {
    uploadId: deps.formatId('upl', context, row.id),
    partBytes: PART_BYTES,
    received: row.received,
    sizeBytes: row.size_bytes,
    expiresAt: row.expires_at.toISOString(),
  };
}

async function start({ deps }: Room, who: Asker, input: StartInput): Promise<UploadPosition> {
  const fileName = safeFileName(input.fileName);
  const mediaType = plainMediaType(input.mediaType);
  if (input.speaksAbout.to < input.speaksAbout.from) {
    throw new AppError<EvidenceCode>('evidence_period_invalid', 'the days end before they begin', {
      field: 'body.speaksAbout.to',
      publicDetail: 'The days that the file speaks about end before they begin.',
    });
  }
  const overrides = deps.refuseCardNumber({ fileName }, input.notACard);
  const context = who.caller.tenant;
  const about = { who, operation: 'evidence.start-upload', engagementId: input.engagementId };
  return withRecordedDenials(deps, { ...about, resource: ['engagement', input.engagementId] }, async () => {
    await admitUpload(deps, single(deps, context), { ...about, criterionId: input.criterionId, hold: 'free' });
    const id = uuidV7(deps.clock, deps.random);
    const description: Description = { fileName, mediaType, sha256: input.sha256 ?? null };
    const sealed = await deps.sealer.seal({
      context,
      field: 'app.evidence_upload.description',
      rowId: id,
      value: JSON.stringify(description),
    });
    const now = deps.clock.nowMs();
    const expiresAt = new Date(now + UPLOAD_LIFETIME_MS);
    const { sealedKey } = await deps.store.startUpload({ context, objectId: id, sizeBytes: input.sizeBytes });
    try {
      await deps.door.transaction(context, async (tx) => {
        await admitUpload(deps, tx, { ...about, criterionId: input.criterionId, hold: 'shared' });
        await tx.query(
          insertUpload(context, {
            id,
            engagementId: input.engagementId,
            criterionId: input.criterionId,
            description: sealed,
            objectKey: sealedKey,
            sizeBytes: input.sizeBytes,
            speaksFrom: input.speaksAbout.from,
            speaksTo: input.speaksAbout.to,
            startedBy: who.caller.personId,
            startedAt: new Date(now),
            expiresAt,
          }),
        );
        await deps.recordAudit(tx, {
          ...auditOf(who),
          type: 'evidence.upload-started',
          resource: ['upload', id],
          outcome: 'allowed',
          public: { engagement: input.engagementId, criterion: input.criterionId, sizeBytes: input.sizeBytes },
          disclosures: { fileName },
        });
        const { engagementId } = input;
        await recordCardOverrides(deps, tx, { who, resource: ['upload', id], engagementId, overrides });
      });
    } catch (error) {
      await deps.store.remove({ context, objectId: id });
      throw error;
    }
    return positionOf(deps, context, { id, size_bytes: input.sizeBytes, expires_at: expiresAt, received: 0 });
  });
}

/** Everything that must hold for a new upload; asked before space is taken and again in the transaction. */
async function admitUpload(
  deps: EvidenceDeps,
  runner: Runner,
  about: { who: Asker; operation: string; engagementId: Uuid; criterionId: Uuid; hold: Hold },
): Promise<void> {
  const gate = await enterEngagement(deps, runner, about);
  requireEvent(gate.state, 'collect');
  if ((await runner.query(readCriterionOf(runner.context, about))).length === 0) throw notFound('criterion');
  const [open] = await runner.query(countOpenUploads(runner.context, about.who.caller.personId));
  if ((open?.uploads ?? 0) >= UPLOADS_OPEN_MAX) {
    throw new AppError<EvidenceCode>('uploads_open_full', `${UPLOADS_OPEN_MAX} uploads are open`, {
      publicDetail: `You have ${UPLOADS_OPEN_MAX} unfinished uploads. Finish or abort one first.`,
    });
  }
}

/**
 * Reads the upload and asks the policies about its engagement. Only the person who began an upload may go on with it:
 * another one could otherwise slip bytes into somebody else's evidence.
 */
async function enterUpload(
  deps: EvidenceDeps,
  runner: Runner,
  about: { who: Asker; operation: string; uploadId: Uuid; hold: Hold },
): Promise<UploadRow> {
  const [row] = await runner.query(readUpload(runner.context, about.uploadId));
  if (row === undefined) throw notFound('upload');
  const gate = await enterEngagement(deps, runner, { ...about, engagementId: row.engagement_id });
  if (row.started_by !== about.who.caller.personId) throw rowDenied(about.operation, row.engagement_id);
  if (row.state !== 'received') requireEvent(gate.state, 'collect');
  return row;
}

function requireOpen(deps: EvidenceDeps, row: UploadRow): void {
  const expired = row.expires_at.getTime() <= deps.clock.nowMs();
  if (row.state === 'open' && !expired) return;
  const state = row.state === 'open' ? 'expired' : row.state;
  throw new AppError<EvidenceCode>('upload_closed', `the upload is ${state}`, {
    publicDetail: `The upload is ${state}. Start a new one.`,
  });
}

/** The length that the part must have, when the sender said one, before a byte of it is read. */
function requirePartLength(row: UploadRow, input: PartInput): void {
  if (input.contentLength_bytes === undefined) return;
  const wanted = Math.min(PART_BYTES, row.size_bytes - input.offset);
  if (input.contentLength_bytes === wanted || wanted <= 0) return;
  throw new AppError<EvidenceCode>(
    'upload_part_wrong',
    `a part of ${input.contentLength_bytes} bytes, expected ${wanted}`,
    {
      field: 'headers.content-length',
      publicDetail: `The part at ${input.offset} has ${wanted} bytes, not ${input.contentLength_bytes}.`,
    },
  );
}

async function writePart({ deps, watch }: Room, who: Asker, input: PartInput): Promise<UploadPosition> {
  const context = who.caller.tenant;
  const { uploadId, offset } = input;
  const about = { who, operation: 'evidence.write-part', uploadId, hold: 'free' as const };
  return withRecordedDenials(deps, { ...about, resource: ['upload', uploadId] }, async () => {
    const row = await enterUpload(deps, single(deps, context), about);
    requireOpen(deps, row);
    requirePartLength(row, input);
    const source = watch.tap(uploadId, offset, input.source);
    try {
      const { received } = await deps.store.writeParts({ context, object: objectOf(row), offset, source });
      watch.confirm(uploadId, received);
      return positionOf(deps, context, { ...row, received });
    } catch (error) {
      watch.forget(uploadId);
      throw error;
    }
  });
}

async function position({ deps }: Room, who: Asker, uploadId: Uuid): Promise<UploadPosition> {
  const context = who.caller.tenant;
  const about = { who, operation: 'evidence.upload-position', uploadId, hold: 'free' as const };
  return withRecordedDenials(deps, { ...about, resource: ['upload', uploadId] }, async () => {
    const row = await enterUpload(deps, single(deps, context), about);
    requireOpen(deps, row);
    const received = await deps.store.received({ context, object: objectOf(row) });
    return positionOf(deps, context, { ...row, received });
  });
}

/** The sealed descriptions are opened as one set; in the order of the rows. */
async function evidenceOf(
  deps: EvidenceDeps,
  context: TenantContext,
  rows: readonly EvidenceRow[],
): Promise<Evidence[]> {
  const values = rows.map(({ id, description }) => ({
    field: 'app.evidence.description' as const,
    rowId: id,
    sealed: description,
  }));
  const texts = await deps.sealer.openTexts({ context, values });
  return rows.map((row, index) => describe(deps, context, { row, opened: JSON.parse(texts[index]!) as Description }));
}

function describe(
  deps: EvidenceDeps,
  context: TenantContext,
  { row, opened }: { readonly row: EvidenceRow; readonly opened: Description },
): Evidence {
  return {
    id: deps.formatId('ev', context, row.id),
    criterionId: deps.formatId('crt', context, row.criterion_id),
    fileName: opened.fileName,
    mediaType: opened.mediaType,
    sizeBytes: row.size_bytes,
    sha256: opened.sha256 ?? '',
    speaksAbout: { from: row.speaks_from, to: row.speaks_to },
    receivedAt: row.received_at.toISOString(),
    receivedBy: deps.formatId('mem', context, row.received_by),
    cardFlag: row.card_flag,
  };
}

/** The bytes are not the announced ones: they are removed, the upload is over, and both are on record. */
async function refuseDigest({ deps }: Room, who: Asker, row: UploadRow): Promise<never> {
  const context = who.caller.tenant;
  await deps.door.transaction(context, async (tx) => {
    if ((await tx.query(closeUpload(context, { id: row.id, state: 'aborted' }))).length === 0) return;
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'evidence.upload-refused',
      resource: ['upload', row.id],
      outcome: 'failed',
      public: { engagement: row.engagement_id, reason: 'digest' },
    });
  });
  await removeQuietly(deps, context, row.id);
  throw new AppError<EvidenceCode>('upload_digest_wrong', 'the stored bytes have another digest', {
    publicDetail: 'The bytes that arrived do not have the announced SHA-256. Nothing was kept; send the file again.',
  });
}

/** What came of an upload; the same answer each time, so that a lost reply costs nothing. */
async function evidenceOfUpload(deps: EvidenceDeps, context: TenantContext, uploadId: Uuid): Promise<Evidence> {
  const [row] = await deps.door.scoped(context, readEvidenceOfUpload(context, uploadId));
  if (row === undefined) throw notFound('evidence');
  const [evidence] = await evidenceOf(deps, context, [row]);
  return evidence!;
}

async function complete(room: Room, who: Asker, uploadId: Uuid): Promise<Evidence> {
  const { deps, watch } = room;
  const context = who.caller.tenant;
  const about = { who, operation: 'evidence.complete-upload', uploadId };
  return withRecordedDenials(deps, { ...about, resource: ['upload', uploadId] }, async () => {
    const row = await enterUpload(deps, single(deps, context), { ...about, hold: 'free' });
    if (row.state === 'received') return evidenceOfUpload(deps, context, uploadId);
    requireOpen(deps, row);
    const announced = await openDescription(deps, context, {
      field: 'app.evidence_upload.description',
      id: row.id,
      sealed: row.description,
    });
    const object = objectOf(row);
    const manifest = await deps.store.complete({ context, object });
    if (announced.sha256 !== null && announced.sha256 !== manifest.sha256) return refuseDigest(room, who, row);
    const seen = watch.verdict(uploadId, row.size_bytes);
    const cardFlag = seen ?? (await holdsCardNumber(await deps.store.readStream({ context, object, manifest })));
    await receive(deps, { ...about, row, announced, manifest, cardFlag });
    return evidenceOfUpload(deps, context, uploadId);
  });
}

async function receive(
  deps: EvidenceDeps,
  given: {
    who: Asker;
    operation: string;
    uploadId: Uuid;
    row: UploadRow;
    announced: Description;
    manifest: Manifest;
    cardFlag: boolean;
  },
): Promise<void> {
  const { who, row, announced, manifest, cardFlag } = given;
  const context = who.caller.tenant;
  const id = uuidV7(deps.clock, deps.random);
  const receivedAt = new Date(deps.clock.nowMs());
  const { fileName, mediaType } = announced;
  const { sha256 } = manifest;
  const [description, sealedManifest] = await Promise.all([
    deps.sealer.seal({
      context,
      field: 'app.evidence.description',
      rowId: id,
      value: JSON.stringify({ fileName, mediaType, sha256 }),
    }),
    deps.sealer.seal({ context, field: 'app.evidence.manifest', rowId: id, value: encodeManifest(manifest) }),
  ]);
  await deps.door.transaction(context, async (tx) => {
    await enterUpload(deps, tx, { ...given, hold: 'shared' });
    // Another request for the same upload was faster, or it was aborted in between.
    if ((await tx.query(closeUpload(context, { id: row.id, state: 'received' }))).length === 0) return;
    await tx.query(
      insertEvidence(context, {
        id,
        upload: row,
        description,
        manifest: sealedManifest,
        cardFlag,
        receivedBy: who.caller.personId,
        receivedAt,
      }),
    );
    const facts = { engagement: row.engagement_id, criterion: row.criterion_id, sizeBytes: row.size_bytes };
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'evidence.upload-completed',
      resource: ['upload', row.id],
      outcome: 'allowed',
      public: { engagement: row.engagement_id, evidence: id },
    });
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'evidence.received',
      resource: ['evidence', id],
      outcome: 'allowed',
      public: { ...facts, speaksFrom: row.speaks_from, speaksTo: row.speaks_to, cardFlag },
      disclosures: { fileName, sha256 },
    });
  });
}

async function abort({ deps, watch }: Room, who: Asker, uploadId: Uuid): Promise<void> {
  const context = who.caller.tenant;
  const about = { who, operation: 'evidence.abort-upload', uploadId, hold: 'free' as const };
  await withRecordedDenials(deps, { ...about, resource: ['upload', uploadId] }, async () => {
    const row = await enterUpload(deps, single(deps, context), about);
    requireOpen(deps, row);
    watch.forget(uploadId);
    await closeAndRemove(deps, context, {
      id: uploadId,
      state: 'aborted',
      audit: { ...auditOf(who), type: 'evidence.upload-aborted' },
    });
  });
}

type Closing = {
  readonly id: Uuid;
  readonly state: 'aborted' | 'expired';
  readonly audit: ReturnType<typeof auditOf> & { readonly type: string };
};

/** The row first: while it is open, a completion could still win, and its bytes must not be gone by then. */
async function closeAndRemove(deps: EvidenceDeps, context: TenantContext, closing: Closing): Promise<boolean> {
  const closed = await deps.door.transaction(context, async (tx) => {
    const [over] = await tx.query(closeUpload(context, { id: closing.id, state: closing.state }));
    if (over === undefined) return false;
    await deps.recordAudit(tx, {
      ...closing.audit,
      resource: ['upload', closing.id],
      outcome: 'allowed',
      public: { engagement: over.engagement_id, state: closing.state },
    });
    return true;
  });
  // Noise without the row's key in any case; a part that is being written this moment makes it stay until the sweep.
  if (closed) await removeQuietly(deps, context, closing.id);
  return closed;
}

async function removeQuietly(deps: EvidenceDeps, context: TenantContext, objectId: Uuid): Promise<void> {
  try {
    await deps.store.remove({ context, objectId });
  } catch (error) {
    if (!isAppError(error, 'upload_busy')) throw error;
  }
}

async function expireUploads({ deps, watch }: Room, context: TenantContext): Promise<number> {
  const now = new Date(deps.clock.nowMs());
  const rows = await deps.door.scoped(context, listExpiredUploads(context, { now, limit: SWEEP_UPLOADS_MAX }));
  let expired = 0;
  for (const { id } of rows) {
    watch.forget(id);
    const audit = {
      actor: { service: 'workspace' as const },
      requestId: context.requestId,
      type: 'evidence.upload-expired',
    };
    if (await closeAndRemove(deps, context, { id, state: 'expired', audit })) expired += 1;
  }
  return expired;
}

async function list(
  { deps }: Room,
  who: Asker,
  page: EvidencePage,
): Promise<{ evidence: Evidence[]; nextCursor: string | null }> {
  const context = who.caller.tenant;
  const about = { who, operation: 'evidence.list', engagementId: page.engagementId, hold: 'free' as const };
  await withRecordedDenials(deps, { ...about, resource: ['engagement', page.engagementId] }, () =>
    enterEngagement(deps, single(deps, context), about),
  );
  const { engagementId, criterionId = null, before = BEYOND_ALL_IDS, limit } = page;
  const rows = await deps.door.scoped(
    context,
    listEvidence(context, { engagementId, criterionId, before, limit: limit + 1 }),
  );
  const shown = rows.slice(0, limit);
  const evidence = await evidenceOf(deps, context, shown);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return { evidence, nextCursor: last === undefined ? null : deps.formatId('vcu', context, last.id) };
}

async function download({ deps }: Room, who: Asker, evidenceId: Uuid): Promise<Download> {
  const context = who.caller.tenant;
  const about = { who, operation: 'evidence.download', hold: 'free' as const };
  return withRecordedDenials(deps, { ...about, resource: ['evidence', evidenceId] }, async () => {
    const [row] = await deps.door.scoped(context, readStoredEvidence(context, evidenceId));
    if (row === undefined) throw notFound('evidence');
    await enterEngagement(deps, single(deps, context), { ...about, engagementId: row.engagement_id });
    const [opened, sealedManifest] = await Promise.all([
      openDescription(deps, context, { field: 'app.evidence.description', id: row.id, sealed: row.description }),
      deps.sealer.openText({ context, field: 'app.evidence.manifest', rowId: row.id, sealed: row.manifest }),
    ]);
    const object = objectOf({ ...row, id: row.upload_id });
    const content = await deps.store.readStream({
      context,
      object,
      manifest: decodeManifest(Buffer.from(sealedManifest)),
    });
    try {
      await deps.door.transaction(context, (tx) =>
        deps.recordAudit(tx, {
          ...auditOf(who),
          type: 'evidence.downloaded',
          resource: ['evidence', evidenceId],
          outcome: 'allowed',
          public: { engagement: row.engagement_id, sizeBytes: row.size_bytes },
        }),
      );
    } catch (error) {
      content.destroy();
      throw error;
    }
    return { fileName: opened.fileName, sizeBytes: row.size_bytes, content };
  });
}

/** See `EvidenceService`. */
export function evidenceService(deps: EvidenceDeps): EvidenceService {
  if (deps.store.partBytes !== PART_BYTES)
    throw new RangeError(`the store writes parts of ${deps.store.partBytes} bytes, the contract says ${PART_BYTES}`);
  const room: Room = { deps, watch: partWatch() };
  return {
    start: (who, input) => start(room, who, input),
    writePart: (who, input) => writePart(room, who, input),
    position: (who, uploadId) => position(room, who, uploadId),
    complete: (who, uploadId) => complete(room, who, uploadId),
    abort: (who, uploadId) => abort(room, who, uploadId),
    list: (who, page) => list(room, who, page),
    download: (who, evidenceId) => download(room, who, evidenceId),
    expireUploads: (context) => expireUploads(room, context),
  };
}
