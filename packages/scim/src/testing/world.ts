import { DIALECTS, type ScimDialect } from '../dialects.ts';
import { branchOf, type Node, type ScimResource } from '../resource.ts';
import { PATCH_SCHEMA } from '../patch.ts';
import { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, type ResourceKind } from '../schema.ts';
import { patchResource, type Verdict } from '../write.ts';

export const ALL_DIALECTS = Object.keys(DIALECTS) as ScimDialect[];

export const bytesOf = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** Plain JSON as the branches that are kept. */
export function kept(value: unknown): Node {
  if (Array.isArray(value)) return Object.freeze(value.map((each) => kept(each) as ScimResource));
  if (typeof value === 'object' && value !== null)
    return branchOf(Object.entries(value).map(([name, inner]) => [name, kept(inner)]));
  return value as string | boolean;
}

export const USER = kept({
  id: 'user-1',
  externalId: 'ext-1',
  userName: 'one@example.test',
  name: { givenName: 'Given', familyName: 'Family' },
  active: true,
  emails: [
    { value: 'one@example.test', type: 'work', primary: true },
    { value: 'home@example.test', type: 'home' },
  ],
  [ENTERPRISE_SCHEMA]: { department: 'Audit', manager: { value: 'user-9' } },
}) as ScimResource;

export const GROUP = kept({
  id: 'group-1',
  displayName: 'Auditors',
  members: [{ value: 'user-1' }, { value: 'user-2' }, { value: 'user-3' }],
}) as ScimResource;

export const CURRENT: Readonly<Record<ResourceKind, ScimResource>> = { User: USER, Group: GROUP };

export const newUser = (over: Readonly<Record<string, unknown>> = {}) => ({
  schemas: [USER_SCHEMA],
  userName: 'two@example.test',
  ...over,
});
export const newGroup = (over: Readonly<Record<string, unknown>> = {}) => ({
  schemas: [GROUP_SCHEMA],
  displayName: 'Leads',
  ...over,
});

export const patchOf = (...operations: unknown[]) => ({ schemas: [PATCH_SCHEMA], Operations: operations });

export interface Tried {
  readonly kind?: ResourceKind;
  readonly dialect?: ScimDialect;
  readonly current?: ScimResource;
  readonly ifMatch?: string;
}

export function patch(body: unknown, { kind = 'User', dialect = 'other', current, ifMatch }: Tried = {}): Verdict {
  return patchResource({ kind, dialect, body: bytesOf(body), current: current ?? CURRENT[kind], ifMatch });
}

/** The resource as plain JSON, or the code of what refused it. */
export function outcome(verdict: Verdict): unknown {
  return verdict.kind === 'refused' ? verdict.error.code : plain(verdict.resource);
}

export const plain = (value: unknown): any => JSON.parse(JSON.stringify(value)); // oxlint-disable-line typescript/no-explicit-any

/** The plain resource; throws what refused it. */
// oxlint-disable-next-line typescript/no-explicit-any
export function accepted(verdict: Verdict): any {
  if (verdict.kind === 'refused') throw verdict.error;
  return plain(verdict.resource);
}
