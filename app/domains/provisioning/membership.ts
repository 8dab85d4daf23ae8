import { isAppError, type Uuid } from '@auditrax/base';
import { entraTenant } from '@auditrax/oidc/profiles';
import type { ScimResource } from '@auditrax/scim';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import type { Role } from '../../platform/http/handler.ts';
import { roleOfGroups, type LoadedConnection } from '../connections/index.ts';
import {
  accountOf,
  arrive,
  memberForUpdate,
  proveEmployment,
  reinstatePrincipal,
  revokePrincipal,
  shownName,
  type Newcomer,
  type RevokedBy,
} from '../identity/index.ts';
import type { Place, ProvisioningDeps } from './deps.ts';
import { entryOf, findResource, groupKey, membersOf, noteRefusal, readGroups, type Kept } from './directory.ts';
import * as queries from './queries.ts';
import type { ResourceRow } from './queries.ts';

/** Messages about one person at the same moment: each looks again at what the other has stored. */
const ROUNDS_MAX = 4;
/** So many people put out by one connection within this time are a wave, and somebody is called. */
const WAVE_PEOPLE_MIN = 10;
const WAVE_MS = 3_600_000;
/** Who says so: the directory, and this process carries it out. */
const BY = { actor: { service: 'issuer' } } as const;

/** The subject that a sign-in of this person would have, so that both find the same account. Never an address. */
function subjectOf({ settings, profile }: LoadedConnection, resource: ScimResource): string | undefined {
  const id = resource['externalId'];
  if (typeof id !== 'string') return undefined;
  if (profile !== 'entra' || settings?.kind !== 'oidc') return id;
  return `${entraTenant(settings.input.issuer)}/${id.toLowerCase()}`;
}

/** The member whom an account already names, in the caller's transaction; a person who is none yet has none. */
export async function memberOf(
  tx: ScopedTransaction,
  { connection }: Pick<Place, 'connection'>,
  resource: ScimResource,
): Promise<Uuid | null> {
  const subject = subjectOf(connection, resource);
  if (subject === undefined) return null;
  return (await accountOf(tx, { connectionId: connection.id, subject }))?.memberId ?? null;
}

interface Given {
  /** As at a sign-in: a role, null for none, undefined where no group is mapped. */
  readonly role: Role | null | undefined;
  readonly newRole: Role | undefined;
}

function givenBy({ groups, justInTime }: LoadedConnection, named: readonly string[]): Given {
  const without = justInTime.allowed ? justInTime.roleWithoutGroup : null;
  if (groups.length === 0) return { role: undefined, newRole: without ?? undefined };
  const role = roleOfGroups(named, groups) ?? without;
  return { role, newRole: role ?? undefined };
}

function shownOf(resource: ScimResource): string {
  // A user name has nothing that is not seen: the engine refuses it.
  return shownName((resource['displayName'] ?? '') as string) || (resource['userName'] as string);
}

function newcomerOf({ connection, tenantKind }: Place, resource: ScimResource, given: Given): Newcomer | undefined {
  const subject = subjectOf(connection, resource);
  if (subject === undefined) return undefined;
  const shown = shownOf(resource);
  return { connectionId: connection.id, subject, shown, tenantKind, ...given, isByDirectory: true };
}

/** Puts a member out, and remembers that this connection did. Returns the version that is stored then. */
async function putOut(deps: ProvisioningDeps, place: Place, row: ResourceRow): Promise<number> {
  const { context, connection } = place;
  await stayOut(deps, place, row.member_id!);
  // Whom somebody else had suspended before is not this connection's to let in again.
  if (row.suspended_at !== null || place.out.get(row.member_id!) !== true) return row.version;
  const now_ms = deps.clock.nowMs();
  return deps.tenant.transaction(context, async (tx) => {
    const [held] = await tx.query(queries.updateResource(context, { ...row, suspended_at: new Date(now_ms) }));
    if (held === undefined) return -1;
    await deps.recordAudit(tx, {
      ...entryOf(place, row.id, { facts: { member: row.member_id! } }),
      type: 'directory.person-suspended',
    });
    const since = new Date(now_ms - WAVE_MS);
    const [count] = await tx.query(queries.suspendedSince(context, { connectionId: connection.id, since }));
    const people = Number(count?.people ?? 0);
    if (people % WAVE_PEOPLE_MIN === 0)
      await deps.recordAudit(tx, { ...entryOf(place, row.id, { facts: { people } }), type: 'directory.wave' });
    return row.version + 1;
  });
}

/**
 * First of all, and before anything that could fail: whoever left is out. Twice in one message is once. A holder of theirs
 * that does not answer holds up nothing here; the directory is told to come again.
 */
export async function leave(deps: ProvisioningDeps, place: Place, memberId: Uuid | null): Promise<void> {
  if (memberId !== null && !place.out.has(memberId)) await putOutNow(deps, place, memberId);
}

async function putOutNow(deps: ProvisioningDeps, place: Place, memberId: Uuid): Promise<void> {
  const { context, out } = place;
  let wasIn = out.get(memberId) === true;
  // In the transaction that ends it: whom somebody else suspends a moment before is not this connection's to let in again.
  const lock = async (tx: ScopedTransaction) => {
    const [row] = await tx.query(memberForUpdate(context.tenantId, memberId));
    wasIn ||= row !== undefined && row.state !== 'suspended';
    return row;
  };
  try {
    await revokePrincipal(deps, context, { memberId, cause: 'scim', by: BY, lock });
  } catch (error) {
    if (!isAppError(error, 'revocation_incomplete')) throw error;
    place.unended.push(error);
  }
  out.set(memberId, wasIn);
}

/**
 * Puts a member out of whom it is stored by now that they have left. Where this message has done so before it was stored,
 * an administrator may have let them in in between, since nothing here said otherwise: the lock waits for one who is about
 * to, and whoever comes later reads what is stored.
 */
async function stayOut(deps: ProvisioningDeps, place: Place, memberId: Uuid): Promise<void> {
  const { context } = place;
  const isOut =
    place.out.has(memberId) &&
    (await deps.tenant.transaction(context, async (tx) => {
      const [row] = await tx.query(memberForUpdate(context.tenantId, memberId));
      return row === undefined || row.state === 'suspended';
    }));
  if (!isOut) await putOutNow(deps, place, memberId);
}

/**
 * Lets the member of a resource in, as `reinstatePrincipal`; false where the directory has said something newer of them
 * than `row`, which counts. What it says after that waits for the member here, and puts them out again.
 */
export async function reinstateUnlessChanged(
  deps: ProvisioningDeps,
  context: TenantContext,
  { row, by }: { readonly row: ResourceRow; readonly by: RevokedBy },
): Promise<boolean> {
  const memberId = row.member_id!;
  let isSame = false;
  const lock = async (tx: ScopedTransaction) => {
    const [member] = await tx.query(memberForUpdate(context.tenantId, memberId));
    // Not held: messages take the resource first and the person afterwards.
    const [now] = await tx.query(queries.versionOf(context, row.id));
    isSame = now?.version === row.version;
    return isSame ? member : undefined;
  };
  await reinstatePrincipal(deps, context, { memberId, cause: 'scim', by, lock });
  return isSame;
}

/**
 * Lets a member in whom this connection has put out; whom somebody else has suspended stays out. With the role that the
 * groups give. Returns the version that is stored then.
 */
async function letIn(deps: ProvisioningDeps, place: Place, of: Kept & { readonly given: Given }): Promise<number> {
  const { row, resource, given } = of;
  const { context, connection } = place;
  const memberId = row.member_id!;
  const out = await deps.tenant.scoped(
    context,
    queries.suspendedRows(context, { connectionId: connection.id, memberId }),
  );
  if (out.length > 0 && !(await reinstateUnlessChanged(deps, context, { row, by: BY }))) return -1;
  const newcomer = newcomerOf(place, resource, given);
  return deps.tenant.transaction(context, async (tx) => {
    let version = row.version;
    for (const one of out) {
      const isSame = one.id === row.id;
      if (isSame) {
        const [held] = await tx.query(queries.updateResource(context, { ...row, suspended_at: null }));
        if (held === undefined) return -1;
        version += 1;
      } else await tx.query(queries.deleteResource(context, one.id));
      await deps.recordAudit(tx, {
        ...entryOf(place, one.id, { facts: { member: memberId } }),
        type: isSame ? 'directory.person-reinstated' : 'directory.person-forgotten',
      });
    }
    if (newcomer !== undefined) await arriveIfActive(deps, tx, newcomer);
    // Whom it has let in is looked at once more: in its groups, too, the directory may have said otherwise meanwhile.
    return out.length > 0 ? -1 : version;
  });
}

/** Somebody whom an administrator has suspended keeps their role, and stays suspended. */
async function arriveIfActive(deps: ProvisioningDeps, tx: ScopedTransaction, newcomer: Newcomer): Promise<void> {
  try {
    await arrive(deps, tx, newcomer);
  } catch (error) {
    if (!isAppError(error, 'account_member_inactive')) throw error;
  }
}

/** Makes a member of somebody to whom a role is given. Returns the version that is stored then. */
async function admit(
  deps: ProvisioningDeps,
  place: Place,
  of: Kept & { readonly newcomer: Newcomer },
): Promise<number> {
  const { row, newcomer } = of;
  const { context } = place;
  return deps.tenant.transaction(context, async (tx) => {
    const { memberId } = await arrive(deps, tx, newcomer);
    const [held] = await tx.query(queries.updateResource(context, { ...row, member_id: memberId }));
    if (held === undefined) throw new Error('the person was changed while they arrived');
    await deps.recordAudit(tx, {
      ...entryOf(place, row.id, { facts: { member: memberId } }),
      type: 'directory.person-joined',
    });
    return row.version + 1;
  });
}

async function round(deps: ProvisioningDeps, place: Place, kept: Kept): Promise<number> {
  const { row, resource } = kept;
  const { connection, context } = place;
  const named = (await readGroups(deps, place)).filter((group) => membersOf(group).includes(row.id)).map(groupKey);
  const given = givenBy(connection, named);
  const newcomer = newcomerOf(place, resource, given);
  const isOff = connection.state === 'disabled';
  if (row.member_id === null) {
    const isWelcome = row.active && given.newRole !== undefined && newcomer !== undefined && !isOff;
    return isWelcome ? admit(deps, place, { ...kept, newcomer }) : row.version;
  }
  const account =
    newcomer === undefined ? undefined : await deps.tenant.transaction(context, (tx) => accountOf(tx, newcomer));
  // Whom an administrator let in keeps the place that the administrator gave, whatever the groups say.
  const hasLostRole = given.role === null && account?.isManaged !== false;
  if (!row.active || hasLostRole) return putOut(deps, place, row);
  return isOff ? row.version : letIn(deps, place, { ...kept, given });
}

/** The directory has named them active: so much is proof that they still work there. */
async function vouch(deps: ProvisioningDeps, { context }: Place, kept: Kept | undefined): Promise<void> {
  const { member_id: memberId, active, suspended_at } = kept?.row ?? {};
  if (memberId == null || active !== true || suspended_at !== null) return;
  await proveEmployment(deps, context, { memberId, source: 'scim' });
}

/**
 * Makes of a person here what their directory says now: a member with the role of their groups, or out. What refuses
 * somebody as a member (too many of them, say) is kept for the administrators; the resource stays. `isVouchedFor`: the
 * message itself names them active.
 */
export async function settle(
  deps: ProvisioningDeps,
  place: Place,
  { id, isVouchedFor = false }: { readonly id: string; readonly isVouchedFor?: boolean },
): Promise<void> {
  for (let left = ROUNDS_MAX; left > 0; left -= 1) {
    const kept = await findResource(deps, place, { kind: 'User', id });
    if (kept === undefined) return;
    try {
      const stored = await round(deps, place, kept);
      const now = await findResource(deps, place, { kind: 'User', id });
      if (now !== undefined && now.row.version !== stored) continue;
      if (isVouchedFor) await vouch(deps, place, now);
      return;
    } catch (error) {
      if (isAppError(error, 'account_again')) continue;
      if (!isAppError(error) || !error.code.startsWith('account_')) throw error;
      await noteRefusal(deps, place, { error, message: 'membership' });
      return;
    }
  }
}
