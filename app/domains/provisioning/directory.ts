import { isAppError, parseUuid, uuidV7, type Uuid } from '@auditrax/base';
import {
  branchOf,
  foldCase,
  refusal,
  type Branch,
  type Node,
  type ResourceKind,
  type ScimResource,
} from '@auditrax/scim';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { holdConnection } from '../connections/index.ts';
import { providerHash } from '../identity/index.ts';
import type { Place, ProvisioningDeps } from './deps.ts';
import * as queries from './queries.ts';
import type { ResourceRow } from './queries.ts';

/** Of one connection: as many as a tenant may have members, and again as many who wait for a role. */
export const PEOPLE_MAX = 1_000;
/** Directories push the groups that are assigned here, not all that they have. */
export const GROUPS_MAX = 200;

const FIELD = 'identity.scim_resource.content' as const;

/** A stored resource, opened. People have their `groups`. */
export interface Kept {
  readonly row: ResourceRow;
  readonly resource: ScimResource;
}

/** What was sealed was checked against the schema when it came; here it only becomes what the engine works on. */
function revived(value: unknown): Node | undefined {
  if (Array.isArray(value)) return Object.freeze(value.map((each) => revived(each) as Branch));
  if (typeof value === 'object' && value !== null)
    return branchOf(Object.entries(value).map(([name, inner]) => [name, revived(inner)]));
  return typeof value === 'string' || typeof value === 'boolean' ? value : undefined;
}

interface Reading {
  readonly context: TenantContext;
  readonly tx?: ScopedTransaction;
}

/** Opens rows in their order. */
export async function openResources(
  deps: Pick<ProvisioningDeps, 'sealer'>,
  at: Reading,
  rows: readonly ResourceRow[],
): Promise<Kept[]> {
  const values = rows.map(({ id, content }) => ({ field: FIELD, rowId: id, sealed: content }));
  const texts = await deps.sealer.openTexts({ ...at, values });
  return rows.map((row, index) => ({ row, resource: revived(JSON.parse(texts[index]!)) as ScimResource }));
}

/** The ids of a group's members. */
export function membersOf({ resource }: Pick<Kept, 'resource'>): readonly string[] {
  const members = resource['members'] as readonly Branch[] | undefined;
  return (members ?? []).map((each) => each['value']).filter((value): value is string => typeof value === 'string');
}

/** What a group mapping names: the provider's immutable id, or the name where a provider has none, like Okta. */
export function groupKey({ resource }: Pick<Kept, 'resource'>): string {
  return (resource['externalId'] ?? resource['displayName']) as string;
}

/** All groups of the connection, in the order they came. */
export async function readGroups(
  deps: Pick<ProvisioningDeps, 'sealer' | 'tenant'>,
  { context, connection }: Pick<Place, 'context' | 'connection'>,
): Promise<Kept[]> {
  const rows = await deps.tenant.scoped(
    context,
    queries.resourcesOf(context, { connectionId: connection.id, kind: 'Group' }),
  );
  return openResources(deps, { context }, rows);
}

/** A person as they are shown: with the groups that name them. */
function withGroups({ row, resource }: Kept, groups: readonly Kept[]): Kept {
  const mine = groups
    .filter((group) => membersOf(group).includes(row.id))
    .map((group) =>
      branchOf([
        ['value', group.row.id],
        ['display', group.resource['displayName']],
      ]),
    );
  return { row, resource: branchOf([...Object.entries(resource), ['groups', mine]]) };
}

/** All resources of a kind. */
export async function readAll(
  deps: Pick<ProvisioningDeps, 'sealer' | 'tenant'>,
  place: Pick<Place, 'context' | 'connection'>,
  kind: ResourceKind,
): Promise<Kept[]> {
  const groups = await readGroups(deps, place);
  if (kind === 'Group') return groups;
  const { context, connection } = place;
  const rows = await deps.tenant.scoped(context, queries.resourcesOf(context, { connectionId: connection.id, kind }));
  return (await openResources(deps, { context }, rows)).map((one) => withGroups(one, groups));
}

/** One resource of this connection by the id in an address or a group; undefined for every other text. */
export async function findResource(
  deps: Pick<ProvisioningDeps, 'sealer' | 'tenant'>,
  place: Pick<Place, 'context' | 'connection'>,
  { kind, id: text }: { readonly kind: ResourceKind; readonly id: string },
): Promise<Kept | undefined> {
  const id = parseUuid(text);
  if (id === undefined) return undefined;
  const { context, connection } = place;
  const of = queries.resourceById(context, { connectionId: connection.id, kind, id });
  const [kept] = await openResources(deps, { context }, await deps.tenant.scoped(context, of));
  if (kept === undefined || kind === 'Group') return kept;
  return withGroups(kept, await readGroups(deps, place));
}

/** As {@link findResource}. Throws `scim_not_found`. */
export async function resourceOf(
  deps: Pick<ProvisioningDeps, 'sealer' | 'tenant'>,
  place: Pick<Place, 'context' | 'connection'>,
  which: { readonly kind: ResourceKind; readonly id: string },
): Promise<Kept> {
  const kept = await findResource(deps, place, which);
  if (kept === undefined) throw refusal('scim_not_found');
  return kept;
}

/** What is stored of a resource: not what others say of it, and of members nothing but who they are. */
function storable(resource: ScimResource): ScimResource {
  return branchOf(
    Object.entries(resource)
      .filter(([name]) => name !== 'groups' && name !== 'meta')
      .map(([name, node]) => {
        if (name !== 'members') return [name, node];
        return [name, (node as readonly Branch[]).map((each) => branchOf([['value', each['value']]]))];
      }),
  );
}

export function sealContent(
  deps: Pick<ProvisioningDeps, 'sealer'>,
  tx: ScopedTransaction,
  { id, resource }: { readonly id: Uuid; readonly resource: ScimResource },
): Promise<Buffer> {
  const { context } = tx;
  return deps.sealer.seal({ context, field: FIELD, rowId: id, value: JSON.stringify(storable(resource)), tx });
}

export function externalHash(resource: ScimResource): Buffer | null {
  const id = resource['externalId'];
  return typeof id === 'string' ? providerHash('subject', id) : null;
}

const keyOf = (resource: ScimResource): string | undefined => {
  const name = resource['userName'];
  return typeof name === 'string' ? foldCase(name) : undefined;
};

/**
 * Holds the connection, so that its messages are stored one after the other, and checks that nobody else has the name or
 * the provider's id. Throws `scim_taken`, and `scim_full` when there are too many.
 */
export async function checkTaken(
  deps: Pick<ProvisioningDeps, 'sealer'>,
  tx: ScopedTransaction,
  given: {
    readonly connectionId: Uuid;
    readonly kind: ResourceKind;
    readonly id: Uuid;
    readonly resource: ScimResource;
  },
): Promise<void> {
  const { connectionId, kind, id, resource } = given;
  const { context } = tx;
  await holdConnection(tx, connectionId);
  const rows = (await tx.query(queries.resourcesOf(context, { connectionId, kind }))).filter((row) => row.id !== id);
  if (rows.length >= (kind === 'User' ? PEOPLE_MAX : GROUPS_MAX)) throw refusal('scim_full');
  const external = externalHash(resource);
  if (external !== null && rows.some((row) => row.external_hash?.equals(external)))
    throw refusal('scim_taken', { field: 'externalId' });
  const name = keyOf(resource);
  if (name === undefined) return;
  const others = await openResources(deps, { context, tx }, rows);
  if (others.some((other) => keyOf(other.resource) === name)) throw refusal('scim_taken', { field: 'userName' });
}

/** What entries say of a directory's message beside their type: which attributes it changed, never their values. */
export function entryOf(
  { context, connection }: Pick<Place, 'context' | 'connection'>,
  id: Uuid,
  said: { readonly facts?: Readonly<Record<string, string | number>>; readonly paths?: readonly string[] } = {},
) {
  const { facts, paths = [] } = said;
  return {
    actor: { service: 'issuer' },
    resource: ['scim-resource', id],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { connection: connection.id, ...facts },
    ...(paths.length === 0 ? {} : { disclosures: { attributes: paths.join('\n') } }),
  } as const;
}

/** Kept of a connection. */
const REFUSALS_KEPT = 50;

/** Writes down which check failed, for the connection's administrators. */
export async function noteRefusal(
  deps: Pick<ProvisioningDeps, 'sealer' | 'tenant' | 'clock' | 'random'>,
  { context, connection }: Pick<Place, 'context' | 'connection'>,
  { error, message }: { readonly error: unknown; readonly message: string },
): Promise<void> {
  if (!isAppError(error)) return;
  const id = uuidV7(deps.clock, deps.random);
  const { code, publicDetail } = error;
  const value = JSON.stringify({ code, sentence: publicDetail ?? code, message, requestId: context.requestId });
  const report = await deps.sealer.seal({ context, field: 'identity.scim_refusal.report', rowId: id, value });
  const at = new Date(deps.clock.nowMs());
  await deps.tenant.transaction(context, async (tx) => {
    await tx.query(queries.insertRefusal(context, { id, connectionId: connection.id, report, at }));
    await tx.query(queries.forgetRefusals(context, { connectionId: connection.id, kept: REFUSALS_KEPT }));
  });
}
