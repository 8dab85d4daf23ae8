import { uuidV7, type Uuid } from '@auditrax/base';
import {
  createResource,
  patchResource,
  refusal,
  replaceResource,
  withEntry,
  type Branch,
  type ChangeOrder,
  type ResourceKind,
  type ScimResource,
  type Verdict,
} from '@auditrax/scim';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { Place, ProvisioningDeps } from './deps.ts';
import {
  checkTaken,
  entryOf,
  externalHash,
  groupKey,
  membersOf,
  readGroups,
  resourceOf,
  sealContent,
  type Kept,
} from './directory.ts';
import { leave, memberOf, settle } from './membership.ts';
import * as queries from './queries.ts';

/** Messages about one resource at the same moment: each is judged by what the other has stored. */
const ROUNDS_MAX = 4;

/** A message about one kind of resource. */
export interface Message {
  readonly kind: ResourceKind;
  /** As it arrived, not parsed by anybody. */
  readonly body: Uint8Array;
}

/** A message about the resource that its address names. */
export interface Change extends Message {
  readonly id: string;
  readonly by: 'PUT' | 'PATCH';
  readonly ifMatch: string | undefined;
}

type Accepted = Extract<Verdict, { kind: 'accepted' }>;

/** Of a connection that is switched off only leavers are heard. */
function requireOn({ connection }: Place): void {
  if (connection.state === 'disabled') throw refusal('scim_off');
}

/** Members of a group are people of this connection. Throws `scim_member_unknown`. */
async function checkMembers(tx: ScopedTransaction, place: Place, resource: ScimResource): Promise<void> {
  const members = membersOf({ resource });
  if (members.length === 0) return;
  const of = { connectionId: place.connection.id, kind: 'User' } as const;
  const known = new Set<string>((await tx.query(queries.resourcesOf(tx.context, of))).map(({ id }) => id));
  if (members.some((id) => !known.has(id))) throw refusal('scim_member_unknown', { field: 'members' });
}

/** A new person or group. Throws what the engine found, `scim_taken`, `scim_full`, `scim_member_unknown`, `scim_off`. */
export async function create(deps: ProvisioningDeps, place: Place, { kind, body }: Message): Promise<Kept> {
  requireOn(place);
  const { context, connection, dialect } = place;
  const verdict = createResource({ kind, dialect, body });
  if (verdict.kind === 'refused') throw verdict.error;
  const id = uuidV7(deps.clock, deps.random);
  const resource = withEntry(verdict.resource, 'id', id);
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    await checkTaken(deps, tx, { connectionId: connection.id, kind, id, resource });
    await checkMembers(tx, place, resource);
    await tx.query(
      queries.insertResource(context, {
        id,
        connection_id: connection.id,
        kind,
        external_hash: externalHash(resource),
        member_id: kind === 'User' ? await memberOf(tx, place, resource) : null,
        active: resource['active'] !== false,
        content: await sealContent(deps, tx, { id, resource }),
        created_at: at,
        modified_at: at,
        suspended_at: null,
      }),
    );
    const paths = Object.keys(resource);
    await deps.recordAudit(tx, {
      ...entryOf(place, id, { paths }),
      type: kind === 'User' ? 'directory.person-created' : 'directory.group-created',
    });
  });
  const people = kind === 'User' ? [id] : membersOf({ resource });
  for (const person of people) await settle(deps, place, { id: person, isVouchedFor: kind === 'User' });
  return resourceOf(deps, place, { kind, id });
}

/** Stores a resource as the engine made it; false when somebody else has changed it since it was read. */
function store(deps: ProvisioningDeps, place: Place, { kept, made }: { kept: Kept; made: Accepted }): Promise<boolean> {
  const { row } = kept;
  const { resource } = made;
  return deps.tenant.transaction(place.context, async (tx) => {
    const { id, kind } = row;
    await checkTaken(deps, tx, { connectionId: place.connection.id, kind, id, resource });
    await checkMembers(tx, place, resource);
    const external_hash = externalHash(resource);
    const isSame = row.external_hash === null || external_hash?.equals(row.external_hash) === true;
    // Another id is another person: theirs would be the account of whoever was here before.
    if (row.member_id !== null && !isSame) throw refusal('scim_mutability', { field: 'externalId' });
    const after = {
      ...row,
      external_hash,
      member_id: row.member_id ?? (kind === 'User' ? await memberOf(tx, place, resource) : null),
      active: resource['active'] !== false,
      content: await sealContent(deps, tx, { id, resource }),
      modified_at: new Date(deps.clock.nowMs()),
    };
    const [held] = await tx.query(queries.updateResource(tx.context, after));
    if (held === undefined) return false;
    const paths = made.changes.map(({ path }) => path);
    await deps.recordAudit(tx, {
      ...entryOf(place, id, { paths }),
      type: kind === 'User' ? 'directory.person-changed' : 'directory.group-changed',
    });
    return true;
  });
}

/** A refused message that says all the same that somebody has left: that much of it is stored. */
function storeLeaving(deps: ProvisioningDeps, place: Place, { row, resource }: Kept): Promise<boolean> {
  if (!row.active) return Promise.resolve(true);
  return deps.tenant.transaction(place.context, async (tx) => {
    const content = await sealContent(deps, tx, { id: row.id, resource: withEntry(resource, 'active', false) });
    const after = { ...row, active: false, content, modified_at: new Date(deps.clock.nowMs()) };
    const [held] = await tx.query(queries.updateResource(tx.context, after));
    if (held === undefined) return false;
    await deps.recordAudit(tx, {
      ...entryOf(place, row.id, { paths: ['active'] }),
      type: 'directory.person-changed',
    });
    return true;
  });
}

/** Whose place here may be another one after a change of a group. */
function touchedBy(before: ScimResource, after: ScimResource | undefined): readonly string[] {
  const [old, young] = [membersOf({ resource: before }), after === undefined ? [] : membersOf({ resource: after })];
  const isRenamed = after !== undefined && groupKey({ resource: before }) !== groupKey({ resource: after });
  const [from, to] = [new Set(old), new Set(young)];
  if (isRenamed) return [...new Set([...old, ...young])];
  return [...old.filter((id) => !to.has(id)), ...young.filter((id) => !from.has(id))];
}

const judge = (by: Change['by'], asked: ChangeOrder): Verdict =>
  by === 'PUT' ? replaceResource(asked) : patchResource(asked);

/** Whether a message says itself that its person is active: somebody who were not would be by it. */
function namesActive({ by }: Change, asked: ChangeOrder): boolean {
  const verdict = judge(by, { ...asked, current: withEntry(asked.current, 'active', false), ifMatch: undefined });
  return verdict.kind === 'accepted' && verdict.resource['active'] === true;
}

/**
 * Changes a resource. What the message says of somebody's leaving is carried out first, and stays when the rest is
 * refused. Throws as `create` does, `scim_not_found`, `scim_version`.
 */
export async function change(deps: ProvisioningDeps, place: Place, order: Change): Promise<Kept> {
  const { kind, body, ifMatch, id, by } = order;
  for (let left = ROUNDS_MAX; left > 0; left -= 1) {
    const kept = await resourceOf(deps, place, { kind, id });
    const asked: ChangeOrder = { kind, dialect: place.dialect, body, current: kept.resource, ifMatch };
    const verdict = judge(by, asked);
    if (verdict.standing === 'suspend') await leave(deps, place, kept.row.member_id);
    if (verdict.kind === 'refused') {
      if (verdict.standing === 'suspend' && !(await storeLeaving(deps, place, kept))) continue;
      if (verdict.standing === 'suspend') await settle(deps, place, { id });
      throw verdict.error;
    }
    if (verdict.standing !== 'suspend') requireOn(place);
    if (verdict.changes.length > 0 && !(await storeOrLeave(deps, place, { kept, made: verdict }))) continue;
    const people = kind === 'User' ? [id] : touchedBy(kept.resource, verdict.resource);
    const isVouchedFor = kind === 'User' && namesActive(order, asked);
    for (const person of people) await settle(deps, place, { id: person, isVouchedFor });
    return resourceOf(deps, place, { kind, id });
  }
  throw refusal('scim_version');
}

/** What cannot be stored as a whole (a name that is taken, say) is refused, but whoever left is out. */
async function storeOrLeave(
  deps: ProvisioningDeps,
  place: Place,
  given: { readonly kept: Kept; readonly made: Accepted },
): Promise<boolean> {
  try {
    return await store(deps, place, given);
  } catch (error) {
    const { kept, made } = given;
    if (made.standing !== 'suspend') throw error;
    if (!(await storeLeaving(deps, place, kept))) return false;
    await settle(deps, place, { id: kept.row.id });
    throw error;
  }
}

/** Takes a person out of the groups that name them. */
async function leaveGroups(deps: ProvisioningDeps, place: Place, id: Uuid): Promise<void> {
  for (const { row, resource } of await readGroups(deps, place)) {
    const members = (resource['members'] ?? []) as readonly Branch[];
    const rest = members.filter((member) => member['value'] !== id);
    if (rest.length === members.length) continue;
    await deps.tenant.transaction(place.context, async (tx) => {
      const content = await sealContent(deps, tx, { id: row.id, resource: withEntry(resource, 'members', rest) });
      const [held] = await tx.query(queries.updateResource(tx.context, { ...row, content }));
      if (held !== undefined)
        await deps.recordAudit(tx, {
          ...entryOf(place, row.id, { paths: ['members'] }),
          type: 'directory.group-changed',
        });
    });
  }
}

async function removeRow(deps: ProvisioningDeps, place: Place, { row }: Kept): Promise<boolean> {
  const { context } = place;
  return deps.tenant.transaction(context, async (tx) => {
    // Of a member it stays known that this connection has put them out: a wave of deletions is a wave, and can be undone.
    if (row.member_id === null) await tx.query(queries.deleteResource(context, row.id));
    else {
      const now = new Date(deps.clock.nowMs());
      const content = await sealContent(deps, tx, { id: row.id, resource: withEntry({}, 'id', row.id) });
      const blank = { ...row, external_hash: null, active: false, content, modified_at: now, deleted_at: now };
      if ((await tx.query(queries.updateResource(context, blank))).length === 0) return false;
    }
    await tx.query(queries.forgetHeard(context, row.id));
    await deps.recordAudit(tx, {
      ...entryOf(place, row.id),
      type: row.kind === 'User' ? 'directory.person-deleted' : 'directory.group-deleted',
    });
    return true;
  });
}

/** Removes a resource; a person is out with it. Throws `scim_not_found`. */
export async function remove(
  deps: ProvisioningDeps,
  place: Place,
  which: { readonly kind: ResourceKind; readonly id: string },
): Promise<void> {
  for (let left = ROUNDS_MAX; left > 0; left -= 1) {
    const kept = await resourceOf(deps, place, which);
    await leave(deps, place, kept.row.member_id);
    if (which.kind === 'User') {
      if (!(await storeLeaving(deps, place, kept))) continue;
      await settle(deps, place, { id: which.id });
      if (!(await removeRow(deps, place, await resourceOf(deps, place, which)))) continue;
      await leaveGroups(deps, place, kept.row.id);
      return;
    }
    requireOn(place);
    if (!(await removeRow(deps, place, kept))) continue;
    for (const person of touchedBy(kept.resource, undefined)) await settle(deps, place, { id: person });
    return;
  }
  throw refusal('scim_version');
}
