import type { Uuid } from '@auditrax/base';
import type { CallMethod, Role } from '../../platform/http/handler.ts';
import { openApiKeys } from '../api-access/index.ts';
import { openProgramGrants } from '../authorisation-server/index.ts';
import { holdingsOf, type Holding } from '../identity/index.ts';
import { listGrants, unreviewedBreakGlass } from '../privileged-access/index.ts';
import { liveDirectoryTokens } from '../provisioning/index.ts';
import { rulesInForce } from '../rules/index.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { operationsOfPerson, operationsOfProgram } from './effective.ts';
import type { ItemKind } from './contract.ts';

/** Something by which somebody or something gets in, as it stands now. Ids and instants; no name. */
export interface Holder {
  readonly kind: ItemKind;
  readonly target: Uuid;
  /** Whose it is; null where it is nobody's in person. */
  readonly holder: Uuid | null;
  readonly role: Role | null;
  readonly scope: 'read' | 'write' | null;
  /** Ways of signing in. */
  readonly methods: readonly string[];
  readonly passkeys: number;
  readonly connections: readonly Uuid[];
  /** Keys and programs of a person. */
  readonly holds: readonly Uuid[];
  /** The program, the connection of a directory, or who let somebody in by breaking the glass. */
  readonly of: Uuid | null;
  readonly operations: readonly string[];
  /** Where the person belongs, or whose key or program it is: the organisation's own rules may ask. */
  readonly office: Uuid | null;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly provedAt: Date | null;
  /** Of the operator's people: whether they may ask for production access, and when they last had it. */
  readonly production?: { readonly mayAsk: boolean; readonly lastAt: Date | null };
}

const NOTHING = {
  role: null,
  scope: null,
  methods: [],
  passkeys: 0,
  connections: [],
  holds: [],
  of: null,
  operations: [],
  office: null,
  expiresAt: null,
  lastUsedAt: null,
  provedAt: null,
} as const;

function methodsOf({ passkeys, connections }: Holding): CallMethod[] {
  const methods: CallMethod[] = [
    ...(passkeys > 0 ? (['passkey'] as const) : []),
    ...(connections.length > 0 ? (['sso'] as const) : []),
  ];
  // Whoever has neither comes in by a link that somebody gives them.
  return methods.length > 0 ? methods : ['link'];
}

interface Program {
  readonly kind: 'api-key' | 'program';
  readonly id: Uuid;
  readonly member_id: Uuid;
  readonly of: Uuid | null;
  readonly scope: 'read' | 'write';
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly last_used_at: Date | null;
}

/** API keys, and what people have allowed programs. */
async function programsOf(deps: AccessReviewDeps, { context }: ReviewedTenant): Promise<Program[]> {
  const keys = (await openApiKeys(deps, context)).map((key) => ({ ...key, kind: 'api-key' as const, of: null }));
  const grants = (await openProgramGrants(deps, context)).map((grant) => ({
    ...grant,
    kind: 'program' as const,
    of: grant.client_id,
    scope: grant.access,
    created_at: grant.given_at,
    last_used_at: null,
  }));
  return [...keys, ...grants];
}

async function personHolder(
  { judge }: AccessReviewDeps,
  tenant: ReviewedTenant,
  of: { readonly person: Holding; readonly programs: readonly Program[]; readonly lastIn: ReadonlyMap<Uuid, Date> },
): Promise<Holder> {
  const { person, programs, lastIn } = of;
  const methods = methodsOf(person);
  const who = { tenant, memberId: person.id, role: person.role };
  return {
    ...NOTHING,
    kind: person.state === 'invited' ? 'invitation' : 'member',
    target: person.id,
    holder: person.id,
    role: person.role,
    methods,
    passkeys: person.passkeys,
    connections: person.connections,
    holds: programs.flatMap(({ id, member_id }) => (member_id === person.id ? [id] : [])).toSorted(),
    operations: await operationsOfPerson(judge, who, methods),
    createdAt: person.created_at,
    lastUsedAt: person.last_used_at,
    provedAt: person.proved_at,
    ...(tenant.kind === 'operator' && {
      production: { mayAsk: person.role === 'operator', lastAt: lastIn.get(person.id) ?? null },
    }),
  };
}

function programHolder(
  { judge }: AccessReviewDeps,
  tenant: ReviewedTenant,
  { program, owner }: { readonly program: Program; readonly owner: Holding },
): Holder {
  const { kind, id, of, scope } = program;
  const who = { tenant, memberId: owner.id, role: owner.role };
  const method = kind === 'program' ? 'oauth' : kind;
  return {
    ...NOTHING,
    kind,
    target: id,
    holder: owner.id,
    of,
    role: owner.role,
    scope,
    operations: operationsOfProgram(judge, who, { method, scope }),
    createdAt: program.created_at,
    expiresAt: program.expires_at,
    lastUsedAt: program.last_used_at,
  };
}

/** When each of the operator's people was last let into production, as far as the list goes back. */
async function lastInProduction(deps: AccessReviewDeps, { context, kind }: ReviewedTenant): Promise<Map<Uuid, Date>> {
  if (kind !== 'operator') return new Map();
  const begun = (await listGrants(deps, context)).flatMap(({ member_id, starts_at }) =>
    starts_at === null ? [] : [[member_id, starts_at] as const],
  );
  // The newest come first; of each person the last entry of a map counts.
  return new Map(begun.toReversed());
}

/** Directories' tokens, and glass that was broken and that nobody has judged yet: what is not of one person's doing alone. */
async function othersOf(deps: AccessReviewDeps, { context, kind }: ReviewedTenant): Promise<Holder[]> {
  const tokens = (await liveDirectoryTokens(deps, context)).map((token) => ({
    ...NOTHING,
    kind: 'directory-token' as const,
    target: token.id,
    // It speaks for the organisation's directory, not for whoever made it.
    holder: null,
    of: token.connection_id,
    createdAt: token.created_at,
    expiresAt: token.expires_at,
  }));
  const broken = kind === 'operator' ? await unreviewedBreakGlass(deps, context) : [];
  const uses = broken.map((use) => ({
    ...NOTHING,
    kind: 'break-glass' as const,
    target: use.id,
    holder: use.member_id,
    // Whoever let them in judges it as little as they do.
    of: use.confirmed_by,
    methods: use.scopes,
    createdAt: use.asked_at,
    expiresAt: use.ends_at,
    lastUsedAt: use.starts_at,
  }));
  return [...tokens, ...uses];
}

/**
 * Everybody and everything with access to the tenant now, people first: members and invitations, API keys, programs that
 * people have allowed, directories' tokens, glass that was broken. `only`: people to look at, with what is theirs, and nothing else.
 */
export async function holdersOf(
  deps: AccessReviewDeps,
  tenant: ReviewedTenant,
  only?: ReadonlySet<Uuid>,
): Promise<Holder[]> {
  const { context } = tenant;
  const { officeOf } = await rulesInForce(deps.tenant, context);
  const placed = (holder: Holder): Holder =>
    holder.holder === null ? holder : { ...holder, office: officeOf.get(holder.holder) ?? null };
  const people = (await holdingsOf(deps, context)).filter(({ id }) => only === undefined || only.has(id));
  const programs = await programsOf(deps, tenant);
  const found: Holder[] = [];
  const lastIn = await lastInProduction(deps, tenant);
  for (const person of people) found.push(placed(await personHolder(deps, tenant, { person, programs, lastIn })));
  for (const program of programs) {
    // Of somebody who is out nothing works: it is refused at each use, and ends with them.
    const owner = people.find(({ id }) => id === program.member_id);
    if (owner !== undefined) found.push(placed(programHolder(deps, tenant, { program, owner })));
  }
  return only === undefined ? [...found, ...(await othersOf(deps, tenant))] : found;
}
