import type { Uuid } from '@auditrax/base';
import { SCIM_CHECKS, type Node, type ScimCode } from '@auditrax/scim';
import type { TenantContext } from '@auditrax/tenancy';
import { loadConnection, type LoadedConnection } from '../connections/index.ts';
import type { Directory, DirectoryPerson, DirectoryRefusal, DirectoryToken } from './console-contract.ts';
import type { ProvisioningDeps } from './deps.ts';
import { groupKey, membersOf, readAll, type Kept } from './directory.ts';
import { notFound } from './errors.ts';
import * as queries from './queries.ts';
import { TOKENS_MAX } from './tokens.ts';
import { undoSince } from './wave.ts';

/** Ended tokens that are still shown. */
const TOKENS_SHOWN_MAX = 10;

interface At {
  readonly context: TenantContext;
  readonly connection: LoadedConnection;
}

type Heard = ReadonlyMap<Uuid, string>;

async function tokensIn(deps: ProvisioningDeps, { context, connection }: At, heard: Heard): Promise<DirectoryToken[]> {
  const rows = await deps.tenant.scoped(context, queries.tokensOf(context, connection.id));
  return rows.slice(0, TOKENS_SHOWN_MAX).map((row) => ({
    id: deps.formatId('stk', context, row.id),
    createdAt: row.created_at.toISOString(),
    createdBy: deps.formatId('mem', context, row.created_by),
    expiresAt: row.expires_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    state: row.ended_at !== null ? 'ended' : row.expires_at.getTime() > deps.clock.nowMs() ? 'live' : 'expired',
    usedAt: heard.get(row.id) ?? null,
  }));
}

type Standings = ReadonlyMap<Uuid, { readonly role: string; readonly state: string }>;

function stateOf({ row, resource }: Kept, members: Standings): DirectoryPerson['state'] {
  if (row.member_id !== null) {
    if (row.suspended_at !== null) return 'out';
    return members.get(row.member_id)?.state === 'active' ? 'in' : 'suspended';
  }
  if (!row.active) return 'inactive';
  return resource['externalId'] === undefined ? 'no-external-id' : 'no-role';
}

/** What is required of every resource, and so is there. */
const textOf = (node: Node | undefined): string => (typeof node === 'string' ? node : '');

function personOf(kept: Kept, of: { members: Standings; groups: readonly Kept[]; heard: Heard }): DirectoryPerson {
  const { row, resource } = kept;
  const named = of.groups.filter((group) => membersOf(group).includes(row.id));
  return {
    userName: textOf(resource['userName']),
    name: typeof resource['displayName'] === 'string' ? resource['displayName'] : null,
    state: stateOf(kept, of.members),
    role: row.member_id === null ? null : (of.members.get(row.member_id)?.role ?? null),
    groups: named.map((group) => textOf(group.resource['displayName'])),
    changedAt: row.modified_at.toISOString(),
    heardAt: of.heard.get(row.id) ?? null,
  };
}

async function refusalsIn(deps: ProvisioningDeps, { context, connection }: At): Promise<DirectoryRefusal[]> {
  const rows = await deps.tenant.scoped(context, queries.refusalsOf(context, connection.id));
  const field = 'identity.scim_refusal.report' as const;
  const values = rows.map(({ id, report }) => ({ field, rowId: id, sealed: report }));
  const texts = await deps.sealer.openTexts({ context, values });
  return rows.map(({ refused_at }, index) => {
    const said = JSON.parse(texts[index]!) as Pick<DirectoryRefusal, 'code' | 'sentence' | 'message' | 'requestId'>;
    const check = Object.hasOwn(SCIM_CHECKS, said.code) ? SCIM_CHECKS[said.code as ScimCode].check : null;
    return { ...said, at: refused_at.toISOString(), check };
  });
}

/** What is known of a connection's directory. Throws `not_found`. */
export async function readDirectory(
  deps: ProvisioningDeps,
  context: TenantContext,
  connectionId: Uuid,
): Promise<Directory> {
  const connection = await loadConnection(deps, context, connectionId);
  if (connection === undefined) throw notFound();
  const at: At = { context, connection };
  const heard: Heard = new Map(
    (await deps.tenant.scoped(context, queries.heardOf(context, connectionId))).map(
      ({ id, heard_at }): [Uuid, string] => [id, heard_at.toISOString()],
    ),
  );
  const members: Standings = new Map(
    (await deps.tenant.scoped(context, queries.standings(context))).map((row) => [row.id, row]),
  );
  const groups = await readAll(deps, at, 'Group');
  const people = await readAll(deps, at, 'User');
  const since = undoSince(deps);
  const wave = await deps.tenant.scoped(context, queries.waveRows(context, { connectionId, since }));
  const [origin] = deps.doors.edge.origins;
  return {
    base: `${origin}/scim/v2/${connectionId}`,
    tokensMax: TOKENS_MAX,
    tokens: await tokensIn(deps, at, heard),
    people: people.map((kept) => personOf(kept, { members, groups, heard })),
    groups: groups.map((group) => ({
      name: textOf(group.resource['displayName']),
      key: groupKey(group),
      role: connection.groups.find((mapping) => mapping.group === groupKey(group))?.role ?? null,
      members: membersOf(group).length,
      heardAt: heard.get(group.row.id) ?? null,
    })),
    refusals: await refusalsIn(deps, at),
    wave: wave.length === 0 ? null : { people: wave.length, since: wave[0]!.suspended_at!.toISOString() },
  };
}
