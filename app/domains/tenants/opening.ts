import { AppError, uuidV7 } from '@auditrax/base';
import { auditFromCall } from '../../platform/audit/index.ts';
import { insertMember } from '../access/index.ts';
import { type IdentityDeps, issueLink, memberByRole } from '../identity/index.ts';
import { subjectBySlug } from './deletion-queries.ts';
import type { Operator } from './deletion.ts';
import { placeRefusal, refusal, type PlaceName } from './moving.ts';
import type { Placer } from './placer.ts';
import type { TenantTier } from './queries.ts';
import { createTenant } from './service.ts';

export type OpeningDeps = IdentityDeps & {
  readonly placer: Placer;
  /** `sample` in a house for trying out, whose door without TLS carries sample data only. */
  readonly newTenants: 'customer' | 'sample';
};

export interface Opening {
  readonly slug: string;
  readonly name: string;
  readonly tier: TenantTier;
  readonly place: PlaceName;
  /** What the first lead auditor is called until they say otherwise. */
  readonly leadLabel: string;
}

export interface Opened {
  /** One-time; the secret is in the fragment. */
  readonly enrolmentPath: string;
  readonly expiresInSeconds: number;
}

/**
 * Opens a tenant for a customer where the operator says, with its first lead and the link by which they make a passkey.
 * Interrupted before the lead was there, asking again with the same slug finishes it. Throws `tenant_slug_taken`,
 * `place_unknown`, `place_refused`, and what making the place threw.
 */
export async function openTenant(deps: OpeningDeps, who: Operator, input: Opening): Promise<Opened> {
  const refused = placeRefusal(deps.placer.regions(), input.place, input.tier);
  if (refused !== undefined) throw refused;
  const [known] = await deps.system.system(subjectBySlug(input.slug));
  if (known?.closed_at)
    throw refusal('tenant_slug_taken', 'This short name belonged to an organisation that was deleted.');
  const wanted = { slug: input.slug, displayName: input.name, kind: deps.newTenants, tier: input.tier } as const;
  const { tenant, created } = await createTenant(deps, { ...wanted, place: input.place }, who.requestId);
  const { context } = tenant;
  // Without a lead nobody has ever been in there: an opening that was cut off goes on.
  if (!created && (await deps.tenant.scoped(context, memberByRole(context.tenantId, 'lead', 0))).length > 0)
    throw refusal('tenant_slug_taken', 'Another organisation has this short name.');
  await deps.tenant.transaction(who.caller.tenant, (tx) =>
    deps.recordAudit(tx, {
      ...auditFromCall(who),
      ...(who.stepUp === undefined ? {} : { stepUpHash: who.stepUp.assertionHash }),
      type: 'tenant.opened',
      resource: ['tenant', context.tenantId],
      outcome: 'allowed',
      public: { slug: input.slug, tier: input.tier, place: `${input.place.kind}/${input.place.region}` },
    }),
  );
  const link = await deps.tenant.transaction(context, async (tx) => {
    const id = uuidV7(deps.clock, deps.random);
    const label = await deps.sealer.seal({
      context,
      field: 'identity.member.label',
      rowId: id,
      value: input.leadLabel,
      tx,
    });
    const created_at = new Date(deps.clock.nowMs());
    await tx.query(insertMember(context.tenantId, { id, role: 'lead', state: 'invited', label, created_at }));
    await deps.recordAudit(tx, {
      type: 'member.created',
      actor: { service: 'issuer' },
      resource: ['member', id],
      outcome: 'allowed',
      requestId: who.requestId,
      public: { role: 'lead' },
      personal: { subject: id, values: { 'new.label': input.leadLabel } },
    });
    return issueLink(deps, tx, { kind: 'enrol', memberId: id, actor: { service: 'issuer' } });
  });
  const expiresInSeconds = Math.round((link.expiresAt.getTime() - deps.clock.nowMs()) / 1000);
  if (expiresInSeconds < 1) throw new AppError('unexpected', 'the link ended before it was shown');
  return { enrolmentPath: link.path, expiresInSeconds };
}
