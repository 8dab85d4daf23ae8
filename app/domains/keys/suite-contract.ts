import { defineRoutes } from '@auditrax/base/route';
import { z } from 'zod';

/** As many as a byte can name. */
export const SUITES_LISTED_MAX = 256;

const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case');
/** Null: every suite that the build has. */
export const suiteList = z.array(z.number().int().min(1).max(255)).min(1).max(SUITES_LISTED_MAX).nullable();

/** What the keys process answers to its peers about a tenant's list of suites. */
export const vaultSuiteContract = defineRoutes({
  read: {
    operation: 'keys.suites-of',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/suites',
    access: { kind: 'internal', callers: ['workspace'], token: false },
    ids: {},
    body: z.strictObject({ tenantId: uuid }),
    replies: { 200: z.object({ allowed: suiteList }) },
  },
  set: {
    operation: 'keys.suites-set',
    service: 'keys',
    method: 'POST',
    path: '/internal/keys/suites/set',
    access: { kind: 'internal', callers: ['workspace'], token: false },
    ids: {},
    body: z.strictObject({ tenantId: uuid, allowed: suiteList, from: suiteList }),
    replies: { 200: z.object({ allowed: suiteList }) },
  },
});

const answer = z.object({
  allowed: suiteList,
  /** What this build reads; the first is what it writes. */
  known: z.array(z.object({ suite: z.number().int(), name: z.string() })),
});

/** A lead looks at the algorithms that the organisation's values may have, and pins them. */
export const suiteContract = defineRoutes({
  suites: {
    operation: 'keys.suites',
    service: 'workspace',
    method: 'GET',
    path: '/api/keys/suites',
    access: { kind: 'session', class: 'read' },
    ids: {},
    replies: { 200: answer },
  },
  /**
   * A value under a suite that is not on the list does not open any more (`suite_refused`), wherever it comes from: a
   * later build that has another suite neither reads nor writes it. Step-up over `{ allowed, from }`, where
   * `from` is the list that is replaced: another one by then is `key_setting_changed`. Every process obeys within 300
   * seconds, this one at once.
   */
  setSuites: {
    operation: 'keys.set-suites',
    service: 'workspace',
    method: 'POST',
    path: '/api/keys/suites',
    access: { kind: 'session', class: 'privileged', stepUp: true },
    ids: {},
    body: z.strictObject({ allowed: suiteList, from: suiteList }),
    bodyBytesMax: 4_096,
    replies: { 200: answer },
  },
});
