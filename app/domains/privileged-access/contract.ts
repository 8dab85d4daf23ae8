import { defineRoutes, PRODUCTION_SCOPES } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

/** Below it nobody gets anything done, and asks twice. */
export const GRANT_MINUTES_MIN = 15;
/** As long as a proof of employment counts. */
export const GRANT_MINUTES_MAX = 240;
/** An emergency that lasts longer is work, and is asked for as such. */
export const GLASS_MINUTES_MAX = 60;
/** Whoever confirms later does not confirm what is needed now. */
export const CONFIRM_MINUTES_MAX = 15;
/** Whoever judges an emergency was not part of it and may be away; a week later nobody remembers what it was like. */
export const JUDGED_WITHIN_DAYS = 7;
const REASON_CHARACTERS_MAX = 1_000;
const TICKET_CHARACTERS_MAX = 100;
export const GRANTS_SHOWN_MAX = 500;

const grantId = z.string().regex(idPattern('pgr'));
const scope = z.enum(PRODUCTION_SCOPES);
const instant = z.iso.datetime();

const grant = z.strictObject({
  id: grantId,
  kind: z.enum(['grant', 'break-glass']),
  person: z.string(),
  /** The caller's own. */
  own: z.boolean(),
  scopes: z.array(scope),
  minutes: z.number().int(),
  reason: z.string(),
  ticket: z.string().nullable(),
  /** `waiting` for another operator; `unanswered`: nobody confirmed in time; `over` by itself, `ended` by somebody. */
  state: z.enum(['waiting', 'unanswered', 'live', 'over', 'ended']),
  askedAt: instant,
  /** Until when somebody may confirm it. */
  confirmBy: instant,
  /** Who vouched for the person: their company's provider, another operator, or nobody else, where there is no other. */
  vouched: z.enum(['provider', 'operator', 'nobody']).nullable(),
  confirmedBy: z.string().nullable(),
  provedAt: instant.nullable(),
  startsAt: instant.nullable(),
  endsAt: instant.nullable(),
  endedAt: instant.nullable(),
  endedBecause: z.enum(['person', 'operator', 'revoked', 'replaced', 'over']).nullable(),
  endedBy: z.string().nullable(),
  /** Of a broken glass: what a third person said of it. */
  review: z.strictObject({ at: instant, by: z.string(), outcome: z.enum(['justified', 'not-justified']) }).nullable(),
  /** Of a broken glass that nobody has judged yet: until when somebody has to. After it neither of the two breaks another. */
  judgeBy: instant.nullable(),
  mayConfirm: z.boolean(),
  mayReview: z.boolean(),
});
export type ShownGrant = z.output<typeof grant>;

/** Here one asks for access, and sees who has it: both must be possible without any. */
const asking = { withoutGrant: 'where production access is asked for, confirmed, seen and ended' } as const;
const reading = { kind: 'session', class: 'read', operatorOnly: asking } as const;
const writing = { kind: 'session', class: 'write', operatorOnly: asking } as const;
const approving = { kind: 'session', class: 'privileged', stepUp: true, operatorOnly: asking } as const;
const BODY_BYTES_MAX = 8_192;
const reply = z.strictObject({ grant });
/** Whoever confirms reads these beside what is confirmed: nothing in them turns that around or looks like more of it. */
const SEEN = /^[^\p{Cc}\p{Zl}\p{Zp}\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]*$/u;
const LINES = /^(?:[^\p{Cc}\p{Zl}\p{Zp}\u061C\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]|[\n\r\t])*$/u;
const why = {
  reason: z.string().max(REASON_CHARACTERS_MAX).regex(/\S/).regex(LINES),
  ticket: z.string().max(TICKET_CHARACTERS_MAX).regex(/\S/).regex(SEEN).nullable(),
};

/** Production access: asked for, confirmed, used for a time, seen by every operator. */
export const routes = defineRoutes({
  list: {
    operation: 'production-access.list',
    service: 'issuer',
    method: 'GET',
    path: '/api/production-access',
    access: reading,
    ids: {},
    replies: {
      200: z.strictObject({
        /** The newest first. */
        grants: z.array(grant),
        /** Who would have to vouch for the caller now. */
        vouching: z.enum(['provider', 'operator', 'nobody']),
        /** By the issuer's clock, for a countdown that a browser's own would get wrong. */
        now: instant,
      }),
    },
  },
  ask: {
    operation: 'production-access.ask',
    service: 'issuer',
    method: 'POST',
    path: '/api/production-access',
    access: approving,
    ids: {},
    body: z.strictObject({
      ...why,
      scopes: z.array(scope).min(1).max(PRODUCTION_SCOPES.length),
      minutes: z.number().int().min(GRANT_MINUTES_MIN).max(GRANT_MINUTES_MAX),
    }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 201: reply },
  },
  breakGlass: {
    operation: 'production-access.break-glass',
    service: 'issuer',
    method: 'POST',
    path: '/api/production-access/break-glass',
    access: approving,
    ids: {},
    body: z.strictObject(why),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 201: reply },
  },
  confirm: {
    operation: 'production-access.confirm',
    service: 'issuer',
    method: 'POST',
    path: '/api/production-access/:grantId/confirm',
    access: approving,
    ids: { 'params.grantId': 'pgr' },
    params: z.strictObject({ grantId }),
    replies: { 200: reply },
  },
  /** No passkey: ending must be easier than going on. */
  end: {
    operation: 'production-access.end',
    service: 'issuer',
    method: 'POST',
    path: '/api/production-access/:grantId/end',
    access: writing,
    ids: { 'params.grantId': 'pgr' },
    params: z.strictObject({ grantId }),
    replies: { 200: reply },
  },
  review: {
    operation: 'production-access.review',
    service: 'issuer',
    method: 'POST',
    path: '/api/production-access/:grantId/review',
    access: writing,
    ids: { 'params.grantId': 'pgr' },
    params: z.strictObject({ grantId }),
    body: z.strictObject({ outcome: z.enum(['justified', 'not-justified']) }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: { 200: reply },
  },
});
