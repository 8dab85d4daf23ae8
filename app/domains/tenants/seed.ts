import { uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { Role } from '../../platform/http/handler.ts';
import { insertMember } from '../access/index.ts';
import {
  deleteLinksOf,
  type IdentityDeps,
  issueLink,
  type KnownTenant,
  memberByRole,
  passkeysOfMember,
} from '../identity/index.ts';
import { closedSlugs } from './deletion-queries.ts';
import type { Placer } from './placer.ts';
import type { TenantKind } from './queries.ts';
import { createTenant } from './service.ts';

interface SeededTenant {
  readonly slug: string;
  readonly displayName: string;
  readonly kind: TenantKind;
  readonly roles: readonly Role[];
  /** Default: the shared tables. A database is made in another region where there is one. */
  readonly place?: 'schema' | 'database';
}

/** What every house needs: who runs it, and tenants for its own probes to attack, one of each kind of place. */
function foundation(operatorName: string, operators: readonly Role[]): readonly SeededTenant[] {
  return [
    { slug: 'operator', displayName: operatorName, kind: 'operator', roles: operators },
    { slug: 'canary-a', displayName: 'Canary A', kind: 'canary', roles: ['lead', 'auditor', 'client'] },
    { slug: 'canary-b', displayName: 'Canary B', kind: 'canary', roles: ['lead', 'auditor', 'client'] },
    { slug: 'canary-c', displayName: 'Canary C', kind: 'canary', roles: ['lead'], place: 'schema' },
    { slug: 'canary-d', displayName: 'Canary D', kind: 'canary', roles: ['lead'], place: 'database' },
  ];
}

/** The sample organisation: two tenants that must never see each other. */
const SAMPLE: readonly SeededTenant[] = [
  { slug: 'harbour', displayName: 'Harbour Street Audit', kind: 'sample', roles: ['lead', 'auditor', 'client'] },
  { slug: 'lakeside', displayName: 'Lakeside Internal Audit', kind: 'sample', roles: ['lead', 'auditor', 'client'] },
];
const SAMPLE_OPERATOR_NAME = 'Auditrax sample organisation';

/** Which one-time links people get: both kinds for trying out, a passkey's or none in earnest. */
type Links = 'all' | 'enrolment' | 'none';

/** These may bring a key source of their own; with canary B the probes rehearse it. */
const ENTERPRISE: ReadonlySet<string> = new Set(['lakeside', 'canary-b', 'canary-c', 'canary-d']);

/** Of a second person with the same role: what needs two operators can be tried. */
const SECOND_LABELS: Readonly<Partial<Record<Role, string>>> = { operator: 'Second operator' };
const LABELS: Readonly<Record<Role, string>> = {
  lead: 'Lead auditor',
  auditor: 'Auditor',
  client: 'Client contact',
  operator: 'Operator',
};

/** One sample person. The paths carry one-time secrets in their fragment and are returned this once. */
export interface SeededPerson {
  readonly tenantSlug: string;
  readonly tenantName: string;
  readonly tenantKind: TenantKind;
  readonly role: Role;
  readonly label: string;
  readonly personId: Uuid;
  /** Absent when the person has a passkey already, or when no links were asked for. */
  readonly enrolmentPath?: string;
  /** Absent when no links were asked for. */
  readonly signInPath?: string;
}

export interface SeedResult {
  readonly tenants: readonly KnownTenant[];
  readonly people: readonly SeededPerson[];
  /** True when anything was made now. */
  readonly created: boolean;
}

const ISSUER = { service: 'issuer' } as const;

async function findOrMakePerson(
  deps: IdentityDeps,
  tx: ScopedTransaction,
  wanted: { readonly role: Role; readonly label: string; readonly older: number; readonly active: boolean },
): Promise<{ readonly id: Uuid; readonly made: boolean }> {
  const { context } = tx;
  const found = (await tx.query(memberByRole(context.tenantId, wanted.role, wanted.older)))[0];
  if (found !== undefined) return { id: found.id, made: false };
  const id = uuidV7(deps.clock, deps.random);
  const label = await deps.sealer.seal({
    context,
    field: 'identity.member.label',
    rowId: id,
    value: wanted.label,
    tx,
  });
  const created_at = new Date(deps.clock.nowMs());
  await tx.query(
    insertMember(context.tenantId, {
      id,
      role: wanted.role,
      state: wanted.active ? 'active' : 'invited',
      label,
      created_at,
    }),
  );
  await deps.recordAudit(tx, {
    type: 'member.created',
    actor: ISSUER,
    resource: ['member', id],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { role: wanted.role },
    personal: { subject: id, values: { 'new.label': wanted.label } },
  });
  return { id, made: true };
}

/** Fresh links for a person; those printed before stop working. Whoever has a passkey needs no enrolment. */
async function issueLinks(
  deps: IdentityDeps,
  tx: ScopedTransaction,
  person: { readonly id: Uuid; readonly hasPasskey: boolean; readonly links: Links },
) {
  const link = async (kind: 'sign-in' | 'enrol') =>
    (await issueLink(deps, tx, { kind, memberId: person.id, actor: ISSUER })).path;
  const wanted = { signIn: person.links === 'all', enrol: !person.hasPasskey && person.links !== 'none' };
  if (!wanted.signIn && !wanted.enrol) return {};
  await tx.query(deleteLinksOf(tx.context.tenantId, person.id));
  return {
    ...(wanted.signIn && { signInPath: await link('sign-in') }),
    ...(wanted.enrol && { enrolmentPath: await link('enrol') }),
  };
}

/** Without a placer, as where rooms are tried alone, there are no places to make. */
export type SeedDeps = IdentityDeps & { readonly placer?: Placer };

function placeFor({ placer }: SeedDeps, kind: NonNullable<SeededTenant['place']>) {
  const regions = placer?.regions() ?? [];
  const home = regions.find(({ isHome }) => isHome);
  const region = (kind === 'database' ? regions.find(({ isHome }) => !isHome) : home) ?? home;
  return region === undefined ? undefined : { kind, region: region.name };
}

async function seedTenant(
  deps: SeedDeps,
  sample: SeededTenant,
  options: { readonly links: Links; readonly requestId: string },
): Promise<{ readonly tenant: KnownTenant; readonly people: SeededPerson[]; readonly created: boolean }> {
  const tier = ENTERPRISE.has(sample.slug) ? 'enterprise' : 'standard';
  const { place: kind, ...known } = sample;
  const place = kind === undefined ? undefined : placeFor(deps, kind);
  const wanted = { ...known, tier, ...(place === undefined ? {} : { place }) } as const;
  const { tenant, created } = await createTenant(deps, wanted, options.requestId);
  const people: SeededPerson[] = [];
  let made = created;
  for (const [at, role] of sample.roles.entries()) {
    const older = sample.roles.slice(0, at).filter((other) => other === role).length;
    const label = (older > 0 ? SECOND_LABELS[role] : undefined) ?? LABELS[role];
    // A canary person proves nothing about a person: it is active at once and never gets a link.
    const canary = sample.kind === 'canary';
    const person = await deps.tenant.transaction(tenant.context, async (tx) => {
      const found = await findOrMakePerson(deps, tx, { role, label, older, active: canary });
      const links = canary ? 'none' : options.links;
      if (links === 'none') return { ...found, links: {} };
      const passkeys = found.made ? [] : await passkeysOfMember(deps, tenant.context.tenantId, found.id);
      return { ...found, links: await issueLinks(deps, tx, { id: found.id, hasPasskey: passkeys.length > 0, links }) };
    });
    made ||= person.made;
    people.push({
      tenantSlug: sample.slug,
      tenantName: sample.displayName,
      tenantKind: sample.kind,
      role,
      label,
      personId: person.id,
      ...person.links,
    });
  }
  return { tenant, people, created: made };
}

async function seedTenants(
  deps: SeedDeps,
  tenants: readonly SeededTenant[],
  options: { readonly links: Links; readonly requestId: string },
): Promise<SeedResult> {
  const seeded = [];
  // A sample tenant that somebody has deleted stays deleted.
  const closed = new Set((await deps.system.system(closedSlugs())).map(({ slug }) => slug));
  const possible = tenants.filter(({ slug, place }) => !closed.has(slug) && (place === undefined || deps.placer));
  for (const tenant of possible) seeded.push(await seedTenant(deps, tenant, options));
  return {
    tenants: seeded.map(({ tenant }) => tenant),
    people: seeded.flatMap(({ people }) => people),
    created: seeded.some(({ created }) => created),
  };
}

/**
 * Seeds the sample organisation; running it again changes nothing but, with `links`, the one-time links, which are
 * replaced. For trying the product out only: a production house never calls it.
 */
export function seedSample(
  deps: SeedDeps,
  options: { readonly links: boolean; readonly requestId: string },
): Promise<SeedResult> {
  const tenants = [...foundation(SAMPLE_OPERATOR_NAME, ['operator', 'operator']), ...SAMPLE];
  return seedTenants(deps, tenants, { links: options.links ? 'all' : 'none', requestId: options.requestId });
}

/**
 * What a house in earnest begins with: the operator's tenant and the canaries that its probes attack. The operator gets
 * an enrolment link, a fresh one at each call, until they have a passkey; never a link that signs in without one.
 */
export function seedFoundation(
  deps: SeedDeps,
  options: { readonly operatorName: string; readonly requestId: string },
): Promise<SeedResult> {
  return seedTenants(deps, foundation(options.operatorName, ['operator']), {
    links: 'enrolment',
    requestId: options.requestId,
  });
}
