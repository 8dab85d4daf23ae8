import { defineRoutes } from '@auditrax/base/route';
import { idPattern } from '@auditrax/tenancy/id-pattern';
import { z } from 'zod';

const connectionId = z.string().regex(idPattern('con'));
const named = z.strictObject({ id: connectionId, name: z.string() });
const SUBJECT_CHARACTERS_MAX = 1024;
/** Of one approval: somebody reads them all before they touch a passkey. */
export const PAIRS_MAX = 50;
const TEXT_CHARACTERS_MAX = 256 * 1024;

const person = z.strictObject({
  id: z.string(),
  label: z.string(),
  state: z.enum(['invited', 'active', 'suspended']),
  /** Their account at the new connection; null: none yet. */
  moved: z.strictObject({ by: z.enum(['change', 'person']), since: z.iso.datetime() }).nullable(),
  passkeys: z.number().int().min(0),
  /** Whether they could not come in any more if the old connection ended now. */
  isOrphan: z.boolean(),
});
const change = z.strictObject({
  from: named,
  to: named,
  startedAt: z.iso.datetime(),
  people: z.array(person),
});
export type Changeover = z.output<typeof change>;

/** The person is compared with the people of the tenant's own change, and looked up nowhere. */
const pair = z.strictObject({ person: z.string().max(64), subject: z.string().min(1).max(SUBJECT_CHARACTERS_MAX) });
const suggestions = z.strictObject({
  suggestions: z.array(z.strictObject({ person: z.string(), label: z.string(), subject: z.string() })),
  unmatched: z.array(z.strictObject({ line: z.number().int(), why: z.enum(['nobody', 'several', 'moved']) })),
});

const route = { service: 'issuer', ids: {} } as const;
const privileged = { kind: 'session', class: 'privileged', stepUp: true } as const;
const BODY_BYTES_MAX = 128 * 1024;
const changed = { 200: z.strictObject({ changed: z.literal(true) }) } as const;

/** From one identity provider to another, so that nobody loses their way in. */
export const changeoverRoutes = defineRoutes({
  readChange: {
    ...route,
    operation: 'connections.read-change',
    method: 'GET',
    path: '/api/changeover',
    access: { kind: 'session', class: 'read' },
    replies: { 200: z.strictObject({ change: change.nullable(), connections: z.array(named) }) },
  },
  beginChange: {
    ...route,
    operation: 'connections.begin-change',
    method: 'POST',
    path: '/api/changeover',
    access: privileged,
    ids: { 'body.fromConnectionId': 'con', 'body.toConnectionId': 'con' },
    body: z.strictObject({ fromConnectionId: connectionId, toConnectionId: connectionId }),
    bodyBytesMax: 1024,
    replies: changed,
  },
  /** Whom a list could be about. Nothing is stored: what is right in it an administrator approves. */
  suggestAccounts: {
    ...route,
    operation: 'connections.suggest-accounts',
    method: 'POST',
    path: '/api/changeover/suggestions',
    access: { kind: 'session', class: 'write' },
    body: z.strictObject({ by: z.enum(['subject', 'email']), text: z.string().max(TEXT_CHARACTERS_MAX) }),
    bodyBytesMax: 4 * TEXT_CHARACTERS_MAX,
    replies: { 200: suggestions },
  },
  approveAccounts: {
    ...route,
    operation: 'connections.approve-accounts',
    method: 'POST',
    path: '/api/changeover/accounts',
    access: privileged,
    body: z.strictObject({ pairs: z.array(pair).min(1).max(PAIRS_MAX) }),
    bodyBytesMax: BODY_BYTES_MAX,
    replies: changed,
  },
  finishChange: {
    ...route,
    operation: 'connections.finish-change',
    method: 'POST',
    path: '/api/changeover/finish',
    access: privileged,
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: changed,
  },
  undoChange: {
    ...route,
    operation: 'connections.undo-change',
    method: 'POST',
    path: '/api/changeover/undo',
    access: privileged,
    body: z.strictObject({}),
    bodyBytesMax: 1024,
    replies: changed,
  },
});
