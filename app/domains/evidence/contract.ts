import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** One file of evidence: large enough for a system image or a database export. */
export const FILE_BYTES_MAX = 8 * 1024 * 1024 * 1024;
/** What a browser sends in one request: small enough to be repeated on a bad line, large enough not to be many. */
export const PART_BYTES = 8 * 1024 * 1024;
/** What the longest name of common file systems holds. */
export const FILE_NAME_BYTES_MAX = 255;
export const PAGE_EVIDENCE_MAX = 100;
const SMALL_BODY_BYTES_MAX = 64 * 1024;

const taggedId = (kind: string) => z.string().regex(idPattern(kind));
const engagementId = taggedId('eng');
const criterionId = taggedId('crt');
const uploadId = taggedId('upl');
const evidenceId = taggedId('ev');
const memberId = taggedId('mem');
const listCursor = taggedId('vcu');
const day = z.iso.date();
const instant = z.iso.datetime();
const bytes = z.number().int().min(0).max(FILE_BYTES_MAX);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits in lower case');

const evidence = z.object({
  id: evidenceId,
  criterionId,
  fileName: z.string(),
  /** As declared by the sender; it is shown and never used to serve the file. */
  mediaType: z.string(),
  sizeBytes: bytes,
  sha256,
  /** The days that the content is about; not when it came. */
  speaksAbout: z.object({ from: day, to: day }),
  receivedAt: instant,
  receivedBy: memberId,
  /** The content seems to hold a payment card number; compressed formats are not looked into. */
  cardFlag: z.boolean(),
});
export type Evidence = z.output<typeof evidence>;

const uploadPosition = z.object({
  uploadId,
  /** Largest body of one PUT. */
  partBytes: z.number().int(),
  /** Bytes that are safely stored: the `offset` to go on from. */
  received: bytes,
  sizeBytes: bytes,
  expiresAt: instant,
});
export type UploadPosition = z.output<typeof uploadPosition>;

/** Room evidence: files that bear a criterion out, received in parts that survive a bad line. */
export const routes = defineRoutes({
  startUpload: {
    operation: 'evidence.start-upload',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements/:engagementId/evidence/uploads',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.engagementId': 'eng', 'body.criterionId': 'crt' },
    params: z.strictObject({ engagementId }),
    body: z.strictObject({
      criterionId,
      /** Normalised to NFC and trimmed; separators, control and bidirectional characters are refused. */
      fileName: z.string().min(1).max(1_024),
      mediaType: z.string().min(1).max(127),
      sizeBytes: z.number().int().min(1).max(FILE_BYTES_MAX),
      speaksAbout: z.strictObject({ from: day, to: day }),
      /** When given, the stored bytes must have it. */
      sha256: sha256.optional(),
      notACard: z
        .array(z.enum(['fileName']))
        .max(1)
        .optional(),
    }),
    bodyBytesMax: SMALL_BODY_BYTES_MAX,
    replies: { 201: uploadPosition },
  },
  writePart: {
    operation: 'evidence.write-part',
    service: 'workspace',
    method: 'PUT',
    path: '/api/evidence/uploads/:uploadId',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.uploadId': 'upl' },
    params: z.strictObject({ uploadId }),
    /** Must equal `received`; otherwise 409, whose detail names the position to go on from. */
    query: z.strictObject({ offset: z.coerce.number().int().min(0).max(FILE_BYTES_MAX) }),
    body: 'stream',
    bodyBytesMax: PART_BYTES,
    replies: { 200: uploadPosition },
  },
  position: {
    operation: 'evidence.upload-position',
    service: 'workspace',
    method: 'GET',
    path: '/api/evidence/uploads/:uploadId',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.uploadId': 'upl' },
    params: z.strictObject({ uploadId }),
    replies: { 200: uploadPosition },
  },
  complete: {
    operation: 'evidence.complete-upload',
    service: 'workspace',
    method: 'POST',
    path: '/api/evidence/uploads/:uploadId/complete',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.uploadId': 'upl' },
    params: z.strictObject({ uploadId }),
    replies: { 201: evidence },
  },
  abort: {
    operation: 'evidence.abort-upload',
    service: 'workspace',
    method: 'DELETE',
    path: '/api/evidence/uploads/:uploadId',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.uploadId': 'upl' },
    params: z.strictObject({ uploadId }),
    replies: { 200: z.object({ aborted: z.literal(true) }) },
  },
  list: {
    operation: 'evidence.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/engagements/:engagementId/evidence',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.engagementId': 'eng', 'query.criterionId': 'crt', 'query.cursor': 'vcu' },
    params: z.strictObject({ engagementId }),
    query: z.strictObject({
      criterionId: criterionId.optional(),
      /** `nextCursor` of the page before; newest first. */
      cursor: listCursor.optional(),
      limit: z.coerce.number().int().min(1).max(PAGE_EVIDENCE_MAX).default(PAGE_EVIDENCE_MAX),
    }),
    replies: { 200: z.object({ evidence: z.array(evidence), nextCursor: listCursor.nullable() }) },
  },
  download: {
    operation: 'evidence.download',
    service: 'workspace',
    method: 'GET',
    path: '/api/evidence/:evidenceId/content',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.evidenceId': 'ev' },
    params: z.strictObject({ evidenceId }),
    replies: { 200: 'stream' },
  },
});
