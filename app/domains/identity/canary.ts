import { AppError } from '@auditrax/base';
import type { Role } from '../../platform/http/handler.ts';
import type { IdentityDeps } from './deps.ts';
import { doorAdmits } from './door-rules.ts';
import type { IdentityCode } from './errors.ts';
import { issueLink } from './links.ts';
import { removePasskeysOf } from './passkeys.ts';
import { deleteLinksOf, memberByRole, memberForUpdate } from './queries.ts';
import type { Arrival } from './service.ts';
import { openSession } from './sessions.ts';
import { findTenantBySlug } from './tenant-lookup.ts';

const SENTINEL = { service: 'sentinel' } as const;

/** Finds the canary person of a role. Any other tenant, and one that does not exist, give `canary_tenant_required`. */
async function canaryPerson(
  deps: IdentityDeps,
  arrival: Arrival,
  wanted: { readonly tenant: string; readonly role: Role },
) {
  const tenant = await findTenantBySlug(deps, wanted.tenant, arrival.requestId);
  if (tenant?.kind !== 'canary')
    throw new AppError<IdentityCode>('canary_tenant_required', `${wanted.tenant} is no canary tenant`);
  const member = (await deps.tenant.scoped(tenant.context, memberByRole(tenant.context.tenantId, wanted.role)))[0];
  if (member === undefined)
    throw new AppError<IdentityCode>('canary_tenant_required', `no ${wanted.role} in ${wanted.tenant}`);
  return { tenant, member };
}

/** A session for the sentinel's attempts, without proof of a person: canary tenants only, at the edge only. */
export async function openCanarySession(
  deps: IdentityDeps,
  arrival: Arrival,
  wanted: { readonly tenant: string; readonly role: Role },
) {
  const { tenant, member } = await canaryPerson(deps, arrival, wanted);
  if (!doorAdmits(arrival.door, 'canary', tenant.kind) || member.state !== 'active') {
    throw new AppError<IdentityCode>('canary_tenant_required', 'not open at this door');
  }
  const opened = await deps.tenant.transaction(tenant.context, async (tx) => {
    // As every sign-in: whoever closes old sessions first and meets the person's row afterwards gets into its way.
    await tx.query(memberForUpdate(tenant.context.tenantId, member.id));
    return openSession(deps, tx, { memberId: member.id, door: arrival.door, method: 'canary' });
  });
  return { opened, tenant, personId: member.id };
}

/**
 * A fresh enrolment link for a canary person, for probes that go through the real passkey ceremonies. Earlier passkeys
 * of that person are removed, so that probing all day leaves no pile.
 */
export async function issueCanaryEnrolment(
  deps: IdentityDeps,
  arrival: Arrival,
  wanted: { readonly tenant: string; readonly role: Role },
) {
  const { tenant, member } = await canaryPerson(deps, arrival, wanted);
  const link = await deps.tenant.transaction(tenant.context, async (tx) => {
    await tx.query(deleteLinksOf(tenant.context.tenantId, member.id));
    await removePasskeysOf(deps, tx, { memberId: member.id, actor: SENTINEL });
    return issueLink(deps, tx, { kind: 'enrol', memberId: member.id, actor: SENTINEL });
  });
  return { token: link.token, tenant, personId: member.id };
}
