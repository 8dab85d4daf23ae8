import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** Longest title of an engagement and name of a client: one line on a report. */
export const TITLE_CHARS_MAX = 200;
/** A result's note is prose of a few pages, not a file. */
export const NOTE_CHARS_MAX = 20_000;
/** Client contacts of one engagement. */
export const CONTACTS_MAX = 50;
export const PAGE_ENGAGEMENTS_MAX = 50;
export const PAGE_CRITERIA_MAX = 200;
const PAGE_CRITERIA_DEFAULT = 50;
export const SEARCH_CHARS_MAX = 100;
/** The catalogue (12 MiB, see `oscal.ts`) and the few fields around it. */
export const CREATE_BODY_BYTES_MAX = 12 * 1024 * 1024 + 64 * 1024;
const SMALL_BODY_BYTES_MAX = 256 * 1024;

/** A tagged id; the parser, not this pattern, decides whether it is genuine. */
const taggedId = (kind: string) => z.string().regex(idPattern(kind));
const engagementId = taggedId('eng');
const criterionId = taggedId('crt');
const resultId = taggedId('res');
const memberId = taggedId('mem');
const listCursor = taggedId('ecu');
const criteriaCursor = taggedId('ccu');

/** Calendar day, ISO 8601, without a time: what an auditor means by "as of". */
const day = z.iso.date();
const instant = z.iso.datetime();
const oneLine = (chars_max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(chars_max)
    .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must be one line without control characters');
const prose = (chars_max: number) =>
  z
    .string()
    .max(chars_max)
    .regex(/^(?:[^\p{Cc}]|[\n\r\t])*$/u, 'must not hold control characters other than line breaks and tabs');

export const engagementState = z.enum(['draft', 'fieldwork', 'review', 'final']);
export const resultOutcome = z.enum(['satisfied', 'not-satisfied', 'not-applicable']);
export type ResultOutcome = z.output<typeof resultOutcome>;

/** How far the work is; `open` have no result yet. */
const progress = z.object({
  total: z.number().int(),
  satisfied: z.number().int(),
  notSatisfied: z.number().int(),
  notApplicable: z.number().int(),
  open: z.number().int(),
});
export type Progress = z.output<typeof progress>;

const engagementSummary = z.object({
  id: engagementId,
  title: z.string(),
  clientName: z.string(),
  periodStart: day,
  periodEnd: day,
  state: engagementState,
  /** Counts changes of the engagement itself; sent back with a change, so that two people cannot overwrite each other. */
  revision: z.number().int(),
  createdAt: instant,
  progress,
});
export type EngagementSummary = z.output<typeof engagementSummary>;

const engagementDetail = engagementSummary.extend({
  catalogue: z.object({
    title: z.string(),
    version: z.string(),
    oscalVersion: z.string(),
    uuid: z.string(),
    /** Hex SHA-256 of the imported catalogue in canonical JSON (RFC 8785). */
    sha256: z.string(),
  }),
  groups: z.array(
    z.object({
      index: z.number().int(),
      id: z.string().nullable(),
      /** Titles from the outermost group inward; empty for controls outside any group. */
      path: z.array(z.string()),
      progress,
    }),
  ),
  /** Client contacts who may see this engagement. */
  contacts: z.array(memberId),
  createdBy: memberId,
  finalisedAt: instant.nullable(),
});
export type EngagementDetail = z.output<typeof engagementDetail>;

const result = z.object({
  id: resultId,
  outcome: resultOutcome,
  note: z.string(),
  observedOn: day,
  recordedAt: instant,
  recordedBy: memberId,
  /** 1 for the first result of the criterion; each later one supersedes the one before. */
  revision: z.number().int(),
});
export type Result = z.output<typeof result>;

const criterion = z.object({
  id: criterionId,
  position: z.number().int(),
  /** The control's id in the catalogue. */
  key: z.string(),
  label: z.string(),
  title: z.string(),
  groupIndex: z.number().int(),
  path: z.array(z.string()),
  statement: z.string(),
  guidance: z.string(),
  parameters: z.array(z.object({ id: z.string(), text: z.string() })),
  /** The result in force, null while there is none. */
  result: result.nullable(),
});
export type Criterion = z.output<typeof criterion>;

/**
 * Fields that the person declares to hold no payment card number although they read like one. Only needed after a
 * `card_number_refused`; each declaration is recorded in the audit trail.
 */
const notACard = (fields: readonly [string, ...string[]]) => z.array(z.enum(fields)).max(fields.length).optional();

const params = z.strictObject({ engagementId });

/** Room engagements: what is audited, against which criteria, and what was found. */
export const routes = defineRoutes({
  list: {
    operation: 'engagements.list',
    service: 'workspace',
    method: 'GET',
    path: '/api/engagements',
    access: { kind: 'session', class: 'read' },
    ids: { 'query.cursor': 'ecu' },
    query: z.strictObject({
      /** `nextCursor` of the page before; newest engagements come first. */
      cursor: listCursor.optional(),
      limit: z.coerce.number().int().min(1).max(PAGE_ENGAGEMENTS_MAX).default(PAGE_ENGAGEMENTS_MAX),
    }),
    replies: { 200: z.object({ engagements: z.array(engagementSummary), nextCursor: listCursor.nullable() }) },
  },
  create: {
    operation: 'engagements.create',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements',
    access: { kind: 'session', class: 'write' },
    ids: {},
    untagged: {
      'body.catalogue': 'a catalogue from outside; the ids in it are its own, and no row is looked up by one',
    },
    body: z.strictObject({
      title: oneLine(TITLE_CHARS_MAX),
      clientName: oneLine(TITLE_CHARS_MAX),
      periodStart: day,
      periodEnd: day,
      /** A whole OSCAL catalogue (`{"catalog": …}`), or the built-in one. Read by a strict parser of its own. */
      catalogue: z.union([z.strictObject({ source: z.literal('sample') }), z.looseObject({})]),
      notACard: notACard(['title', 'clientName', 'catalogue']),
    }),
    bodyBytesMax: CREATE_BODY_BYTES_MAX,
    replies: { 201: z.object({ id: engagementId, revision: z.number().int(), criteria: z.number().int() }) },
  },
  read: {
    operation: 'engagements.read',
    service: 'workspace',
    method: 'GET',
    path: '/api/engagements/:engagementId',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.engagementId': 'eng' },
    params,
    replies: { 200: engagementDetail },
  },
  criteria: {
    operation: 'engagements.criteria',
    service: 'workspace',
    method: 'GET',
    path: '/api/engagements/:engagementId/criteria',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.engagementId': 'eng', 'query.cursor': 'ccu' },
    params,
    query: z.strictObject({
      /** `nextCursor` of the page before; of this engagement only. */
      cursor: criteriaCursor.optional(),
      limit: z.coerce.number().int().min(1).max(PAGE_CRITERIA_MAX).default(PAGE_CRITERIA_DEFAULT),
      /** `index` of a group. */
      group: z.coerce.number().int().min(0).max(100_000).optional(),
      /** Words that label, title, path and statement must all hold; case does not matter. */
      search: z.string().trim().min(1).max(SEARCH_CHARS_MAX).optional(),
    }),
    replies: { 200: z.object({ criteria: z.array(criterion), nextCursor: criteriaCursor.nullable() }) },
  },
  criterion: {
    operation: 'engagements.criterion',
    service: 'workspace',
    method: 'GET',
    path: '/api/engagements/:engagementId/criteria/:criterionId',
    access: { kind: 'session', class: 'read' },
    ids: { 'params.engagementId': 'eng', 'params.criterionId': 'crt' },
    params: z.strictObject({ engagementId, criterionId }),
    /** `history`: every result ever recorded for it, newest first. */
    replies: { 200: criterion.extend({ history: z.array(result) }) },
  },
  recordResult: {
    operation: 'engagements.record-result',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements/:engagementId/criteria/:criterionId/result',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.engagementId': 'eng', 'params.criterionId': 'crt' },
    params: z.strictObject({ engagementId, criterionId }),
    body: z.strictObject({
      outcome: resultOutcome,
      note: prose(NOTE_CHARS_MAX),
      observedOn: day,
      /** `revision` of the result that the person saw, 0 when there was none; another one is answered with 409. */
      revision: z.number().int().min(0).max(1_000_000),
      notACard: notACard(['note']),
    }),
    bodyBytesMax: SMALL_BODY_BYTES_MAX,
    replies: { 201: result },
  },
  move: {
    operation: 'engagements.move',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements/:engagementId/state',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.engagementId': 'eng' },
    params,
    body: z.strictObject({ to: z.enum(['fieldwork', 'review']), revision: z.number().int().min(1) }),
    bodyBytesMax: SMALL_BODY_BYTES_MAX,
    replies: { 200: z.object({ state: engagementState, revision: z.number().int() }) },
  },
  finalise: {
    operation: 'engagements.finalise',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements/:engagementId/finalise',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: { 'params.engagementId': 'eng' },
    params,
    body: z.strictObject({ revision: z.number().int().min(1) }),
    bodyBytesMax: SMALL_BODY_BYTES_MAX,
    replies: { 200: z.object({ state: engagementState, revision: z.number().int() }) },
  },
  assignContact: {
    operation: 'engagements.assign-contact',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements/:engagementId/contacts',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.engagementId': 'eng', 'body.memberId': 'mem' },
    params,
    body: z.strictObject({ memberId, revision: z.number().int().min(1) }),
    bodyBytesMax: SMALL_BODY_BYTES_MAX,
    replies: { 200: z.object({ contacts: z.array(memberId), revision: z.number().int() }) },
  },
  removeContact: {
    operation: 'engagements.remove-contact',
    service: 'workspace',
    method: 'POST',
    path: '/api/engagements/:engagementId/contacts/remove',
    access: { kind: 'session', class: 'write' },
    ids: { 'params.engagementId': 'eng', 'body.memberId': 'mem' },
    params,
    body: z.strictObject({ memberId, revision: z.number().int().min(1) }),
    bodyBytesMax: SMALL_BODY_BYTES_MAX,
    replies: { 200: z.object({ contacts: z.array(memberId), revision: z.number().int() }) },
  },
});
