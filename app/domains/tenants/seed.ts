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
import type { TenantKind } from './queries.ts';
import { createTenant } from './service.ts';

interface SampleTenant {
  readonly slug: string;
  readonly displayName: string;
  readonly kind: TenantKind;
  readonly roles: readonly Role[];
}

/** The sample organisation: two tenants that must never see each other, the operator, and two tenants to attack. */
const SAMPLE: readonly SampleTenant[] = [
  { slug: 'operator', displayName: 'Auditrax sample organisation', kind: 'operator', roles: ['operator'] },
  { slug: 'harbour', displayName: 'Harbour Street Audit', kind: 'sample', roles: ['lead', 'auditor', 'client'] },
  { slug: 'lakeside', displayName: 'Lakeside Internal Audit', kind: 'sample', roles: ['lead', 'auditor', 'client'] },
  { slug: 'canary-a', displayName: 'Canary A', kind: 'canary', roles: ['lead', 'auditor', 'client'] },
  { slug: 'canary-b', displayName: 'Canary B', kind: 'canary', roles: ['lead', 'auditor', 'client'] },
];

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
  wanted: { readonly role: Role; readonly active: boolean },
): Promise<{ readonly id: Uuid; readonly made: boolean }> {
  const { context } = tx;
  const found = (await tx.query(memberByRole(context.tenantId, wanted.role)))[0];
  if (found !== undefined) return { id: found.id, made: false };
  const id = uuidV7(deps.clock, deps.random);
  const label = await deps.sealer.seal({
    context,
    field: 'identity.member.label',
    rowId: id,
    value: LABELS[wanted.role],
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
  });
  return { id, made: true };
}

/** Fresh links for a sample person; those printed before stop working. */
async function issueLinks(
  deps: IdentityDeps,
  tx: ScopedTransaction,
  person: { readonly id: Uuid; readonly hasPasskey: boolean },
) {
  await tx.query(deleteLinksOf(tx.context.tenantId, person.id));
  const signIn = await issueLink(deps, tx, { kind: 'sign-in', memberId: person.id, actor: ISSUER });
  if (person.hasPasskey) return { signInPath: signIn.path };
  const enrol = await issueLink(deps, tx, { kind: 'enrol', memberId: person.id, actor: ISSUER });
  return { signInPath: signIn.path, enrolmentPath: enrol.path };
}

async function seedTenant(
  deps: IdentityDeps,
  sample: SampleTenant,
  options: { readonly links: boolean; readonly requestId: string },
): Promise<{ readonly tenant: KnownTenant; readonly people: SeededPerson[]; readonly created: boolean }> {
  const { tenant, created } = await createTenant(deps, sample, options.requestId);
  const people: SeededPerson[] = [];
  let made = created;
  for (const role of sample.roles) {
    // A canary person proves nothing about a person: it is active at once and never gets a link.
    const canary = sample.kind === 'canary';
    const person = await deps.tenant.transaction(tenant.context, async (tx) => {
      const found = await findOrMakePerson(deps, tx, { role, active: canary });
      if (canary || !options.links) return { ...found, links: {} };
      const passkeys = found.made ? [] : await passkeysOfMember(deps, tenant.context.tenantId, found.id);
      return { ...found, links: await issueLinks(deps, tx, { id: found.id, hasPasskey: passkeys.length > 0 }) };
    });
    made ||= person.made;
    people.push({
      tenantSlug: sample.slug,
      tenantName: sample.displayName,
      tenantKind: sample.kind,
      role,
      label: LABELS[role],
      personId: person.id,
      ...person.links,
    });
  }
  return { tenant, people, created: made };
}

/**
 * Seeds the sample organisation; running it again changes nothing but, with `links`, the one-time links, which are
 * replaced. For trying the product out only: a production house never calls it.
 */
export async function seedSample(
  deps: IdentityDeps,
  options: { readonly links: boolean; readonly requestId: string },
): Promise<SeedResult> {
  const seeded = [];
  for (const sample of SAMPLE) seeded.push(await seedTenant(deps, sample, options));
  return {
    tenants: seeded.map(({ tenant }) => tenant),
    people: seeded.flatMap(({ people }) => people),
    created: seeded.some(({ created }) => created),
  };
}
