import type { Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { IdentityDeps } from './deps.ts';
import * as queries from './holding-queries.ts';
import type { MemberRow } from './queries.ts';

/** How somebody can come in, and when they last did. */
export interface Holding extends MemberRow {
  readonly passkeys: number;
  /** Connections that know them, by which a provider or directory manages them. */
  readonly connections: readonly Uuid[];
  readonly sessions: number;
  /** Links that would open something. */
  readonly links: number;
  readonly last_used_at: Date | null;
  /** When their organisation last vouched for them. */
  readonly proved_at: Date | null;
}

/** Everybody of the tenant who is not suspended, with what lets them in. Read anew, each kind by a statement of its own. */
export async function holdingsOf(
  deps: Pick<IdentityDeps, 'tenant' | 'clock'>,
  context: TenantContext,
): Promise<Holding[]> {
  const now = new Date(deps.clock.nowMs());
  const members = await deps.tenant.scoped(context, queries.membersInUse(context));
  const counted = (rows: readonly queries.CountRow[]) =>
    new Map(rows.map(({ member_id, count }) => [member_id, Number(count)]));
  const passkeys = counted(await deps.tenant.scoped(context, queries.passkeysByMember(context)));
  const links = counted(await deps.tenant.scoped(context, queries.linksByMember(context, now)));
  const accounts = Map.groupBy(
    await deps.tenant.scoped(context, queries.accountsIn(context)),
    ({ member_id }) => member_id,
  );
  const uses = new Map(
    (await deps.tenant.scoped(context, queries.sessionUse(context))).map((row) => [row.member_id, row]),
  );
  const proofs = new Map(
    (await deps.tenant.scoped(context, queries.proofsIn(context))).map((row) => [row.member_id, row.proved_at]),
  );
  return members.map((member) => ({
    ...member,
    passkeys: passkeys.get(member.id) ?? 0,
    connections: (accounts.get(member.id) ?? []).map(({ connection_id }) => connection_id),
    sessions: Number(uses.get(member.id)?.open ?? 0),
    links: links.get(member.id) ?? 0,
    last_used_at: uses.get(member.id)?.last_used_at ?? null,
    proved_at: proofs.get(member.id) ?? null,
  }));
}

/** What is left of somebody; `none`: there is no such member. */
export interface Remains {
  readonly state: MemberRow['state'] | 'none';
  readonly role: MemberRow['role'] | undefined;
  readonly links: number;
}

/** What the rows of this room say of somebody, whoever they are: read after their access was taken away. */
export async function remainsOf(
  deps: Pick<IdentityDeps, 'tenant' | 'clock'>,
  context: TenantContext,
  memberId: Uuid,
): Promise<Remains> {
  const now = new Date(deps.clock.nowMs());
  const [member] = await deps.tenant.scoped(context, queries.memberState(context, memberId));
  const links = await deps.tenant.scoped(context, queries.linksByMember(context, now));
  return {
    state: member?.state ?? 'none',
    role: member?.role,
    links: Number(links.find(({ member_id }) => member_id === memberId)?.count ?? 0),
  };
}
