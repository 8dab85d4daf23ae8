import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** Characters of one tenant's rules: some dozen rules, and quickly read by whoever comes after. */
export const RULES_CHARS_MAX = 20_000;
/** Rules of one tenant; each is asked in every decision. */
export const RULES_MAX = 32;
/** Offices of one tenant; they are shown in one list. */
export const OFFICES_MAX = 200;
/** Former versions that are shown. */
export const VERSIONS_SHOWN_MAX = 20;
/** Engagements that a trial looks at, newest first. */
export const TRIED_MAX = 100;
/** Engagements that are counted for one person, newest first: a statement that ends in fractions of a second. */
export const COUNTED_MAX = 20_000;

const officeId = z.string().regex(idPattern('off'));
const memberId = z.string().regex(idPattern('mem'));
const engagementId = z.string().regex(idPattern('eng'));
const text = z.string().max(RULES_CHARS_MAX);
const role = z.enum(['lead', 'auditor', 'client']);

const problem = z.object({
  line: z.number().int(),
  column: z.number().int(),
  message: z.string(),
  help: z.string().nullable(),
});
export type RuleProblem = z.output<typeof problem>;

const version = z.object({
  version: z.number().int(),
  text: z.string(),
  writtenBy: memberId,
  writtenAt: z.iso.datetime(),
  /** The former version whose words it took up again. */
  restores: z.number().int().nullable(),
});
const office = z.object({ id: officeId, label: z.string() });
const rulesView = z.object({
  /** In force; 0 and an empty text when nobody ever wrote any. */
  version: z.number().int(),
  text: z.string(),
  /** Newest first, the one in force included. */
  versions: z.array(version),
  offices: z.array(office),
  people: z.array(z.object({ memberId, officeId })),
  engagements: z.array(z.object({ id: engagementId, title: z.string(), officeId: officeId.nullable() })),
});
export type RulesView = z.output<typeof rulesView>;

const policyWord = z.object({
  /** `rules.…` is the tenant's own, every other the product's. */
  id: z.string(),
  effect: z.enum(['permit', 'forbid']),
  applied: z.boolean(),
  /** Conditions that did not hold, as Cedar text; empty when it applied. */
  failed: z.array(z.string()),
});
const triedRow = z.object({
  id: engagementId,
  title: z.string(),
  before: z.boolean(),
  after: z.boolean(),
  why: z.array(policyWord),
});
const trial = z.object({
  problems: z.array(problem),
  /** Empty when there are problems. */
  rows: z.array(triedRow),
});
export type Trial = z.output<typeof trial>;
export type TriedRow = z.output<typeof triedRow>;

/** What a text does to one person, in numbers. */
const effect = z.object({
  /** Engagements that were looked at: those that the asker sees. */
  counted: z.number().int(),
  /** True when there are more than that, older ones. */
  cut: z.boolean(),
  before: z.number().int(),
  after: z.number().int(),
  loses: z.number().int(),
  gains: z.number().int(),
});
const effectReply = z.object({
  problems: z.array(problem),
  /** Null when there are problems. */
  effect: effect.nullable(),
});
export type RulesEffect = z.output<typeof effect>;
export type EffectReply = z.output<typeof effectReply>;

const session = (kind: 'read' | 'write') => ({ kind: 'session', class: kind }) as const;

export const routes = defineRoutes({
  read: {
    operation: 'rules.read',
    service: 'workspace',
    method: 'GET',
    path: '/api/rules',
    access: session('read'),
    ids: {},
    replies: { 200: rulesView },
  },
  /** Changes nothing: what the text would do, for one person. */
  attempt: {
    operation: 'rules.try',
    service: 'workspace',
    method: 'POST',
    path: '/api/rules/try',
    access: session('write'),
    ids: { 'body.memberId': 'mem' },
    body: z.strictObject({ text, memberId, role }),
    bodyBytesMax: 131_072,
    replies: { 200: trial },
  },
  /** Changes nothing: how many engagements one person would lose, gain and keep. */
  effect: {
    operation: 'rules.effect',
    service: 'workspace',
    method: 'POST',
    path: '/api/rules/effect',
    access: session('write'),
    ids: { 'body.memberId': 'mem' },
    body: z.strictObject({ text, memberId, role }),
    bodyBytesMax: 131_072,
    replies: { 200: effectReply },
  },
  save: {
    operation: 'rules.save',
    service: 'workspace',
    method: 'POST',
    path: '/api/rules',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    /** `version`: the one that the writer saw in force. */
    body: z.strictObject({ text, version: z.number().int().min(0) }),
    bodyBytesMax: 131_072,
    replies: { 201: z.object({ version: z.number().int() }) },
  },
  addOffice: {
    operation: 'rules.add-office',
    service: 'workspace',
    method: 'POST',
    path: '/api/rules/offices',
    access: session('write'),
    ids: {},
    body: z.strictObject({
      label: z
        .string()
        .trim()
        .min(1)
        .max(120)
        .regex(/^[^\p{Cc}\u2028\u2029]*$/u, 'must be one line without control characters'),
    }),
    replies: { 201: office },
  },
  placePerson: {
    operation: 'rules.place-person',
    service: 'workspace',
    method: 'POST',
    path: '/api/rules/offices/:officeId/people',
    access: session('write'),
    ids: { 'params.officeId': 'off', 'body.memberId': 'mem' },
    params: z.strictObject({ officeId }),
    /** `false` takes the person out of the office. */
    body: z.strictObject({ memberId, belongs: z.boolean() }),
    replies: { 200: z.object({ memberId, officeId: officeId.nullable() }) },
  },
  placeEngagement: {
    operation: 'rules.place-engagement',
    service: 'workspace',
    method: 'POST',
    path: '/api/rules/offices/:officeId/engagements',
    access: session('write'),
    ids: { 'params.officeId': 'off', 'body.engagementId': 'eng' },
    params: z.strictObject({ officeId }),
    body: z.strictObject({ engagementId, belongs: z.boolean() }),
    replies: { 200: z.object({ engagementId, officeId: officeId.nullable() }) },
  },
});
