import { createHash } from 'node:crypto';
import { AppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { insertMember } from '../access/index.ts';
import {
  deleteLinksOf,
  findTenantBySlug,
  issueLink,
  memberById,
  reinstatePrincipal,
  removePasskeysOf,
  revokePrincipal,
  type IdentityDeps,
} from '../identity/index.ts';
import { longUnjudged } from '../privileged-access/index.ts';
import { canaryRoutes, type DrillPerson } from './canary-contract.ts';
import type { AccessReviewDeps, ReviewedTenant } from './deps.ts';
import { openReview } from './opening.ts';
import * as queries from './queries.ts';
import { tendReview } from './tend.ts';

const SENTINEL = { actor: { service: 'sentinel' } } as const;
/** The tenant of whoever operates the house, by the name that it is seeded with. */
const OPERATOR_SLUG = 'operator';

type Deps = AccessReviewDeps & IdentityDeps;

async function canaryTenant(deps: Deps, slug: string, requestId: string): Promise<ReviewedTenant> {
  const tenant = await findTenantBySlug(deps, slug, requestId);
  if (tenant?.kind === 'canary') return tenant;
  throw new AppError<'canary_tenant_required'>('canary_tenant_required', `${slug} is no canary tenant`);
}

const ROLES = { reviewer: 'lead', second: 'lead', undecided: 'auditor', removed: 'auditor' } as const;
const NAMES = Object.keys(ROLES) as readonly DrillPerson[];

/** The same four each time, so that drills leave no pile of people (RFC 9562, version 8). */
function idOf({ tenantId }: TenantContext, name: DrillPerson): Uuid {
  const hex = createHash('sha256').update(`access-review drill ${tenantId} ${name}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  ) as Uuid;
}

/** Makes the person, or lets them in again, without anything of earlier drills; gives an enrolment link. */
async function hire(deps: Deps, { context }: ReviewedTenant, name: DrillPerson): Promise<string> {
  const id = idOf(context, name);
  const [known] = await deps.tenant.scoped(context, memberById(context.tenantId, id));
  if (known === undefined) await makeMember(deps, context, name);
  else await reinstatePrincipal(deps, context, { memberId: id, cause: 'review', by: SENTINEL });
  return deps.tenant.transaction(context, async (tx) => {
    await tx.query(deleteLinksOf(context.tenantId, id));
    await removePasskeysOf(deps, tx, { memberId: id, actor: SENTINEL.actor });
    return (await issueLink(deps, tx, { kind: 'enrol', memberId: id, actor: SENTINEL.actor })).token;
  });
}

async function makeMember(deps: Deps, context: TenantContext, name: DrillPerson): Promise<void> {
  const id = idOf(context, name);
  const value = `Access review drill, ${name}`;
  const label = await deps.sealer.seal({ context, field: 'identity.member.label', rowId: id, value });
  await deps.tenant.transaction(context, async (tx) => {
    const role = ROLES[name];
    const row = { id, role, state: 'active', label, created_at: new Date(deps.clock.nowMs()) } as const;
    await tx.query(insertMember(context.tenantId, row));
    await deps.recordAudit(tx, {
      ...SENTINEL,
      type: 'member.created',
      resource: ['member', id],
      outcome: 'allowed',
      requestId: context.requestId,
      public: { role },
    });
  });
}

async function openDrill(deps: Deps, tenant: ReviewedTenant, seconds: number): Promise<Uuid> {
  const review = await openReview(deps, {
    tenant,
    dueAt: new Date(deps.clock.nowMs() + seconds * 1000),
    by: SENTINEL,
    openedBy: null,
    drillOn: new Set(NAMES.map((name) => idOf(tenant.context, name))),
  });
  return review!; // each drill has a place of its own
}

/** A drill that nobody finished would put out people who are let in again for the next. */
async function abandonDrills(deps: Deps, { context }: ReviewedTenant): Promise<void> {
  const closedAt = new Date(deps.clock.nowMs());
  for (const { id, is_drill } of await deps.tenant.scoped(context, queries.unclosedReviews(context))) {
    if (!is_drill) continue;
    await deps.tenant.transaction(context, async (tx) => {
      await tx.query(queries.setReviewState(context, { id, state: 'closed', closedAt }));
      await deps.recordAudit(tx, {
        ...SENTINEL,
        type: 'access-review.drill-abandoned',
        resource: ['access-review', id],
        outcome: 'failed',
        requestId: context.requestId,
      });
    });
  }
}

/** Whoever was kept in a drill has no more business there than those who were not. */
async function letGo(deps: Deps, { context }: ReviewedTenant): Promise<void> {
  for (const name of NAMES)
    await revokePrincipal(deps, context, { memberId: idOf(context, name), cause: 'review', by: SENTINEL });
}

async function tendDrills(deps: Deps, tenant: ReviewedTenant): Promise<number> {
  const rows = await deps.tenant.scoped(tenant.context, queries.unclosedReviews(tenant.context));
  const drills = rows.filter(({ is_drill }) => is_drill);
  for (const row of drills) {
    await tendReview(deps, tenant, row);
    const [after] = await deps.tenant.scoped(tenant.context, queries.reviewById(tenant.context, row.id));
    if (after?.state === 'closed') await letGo(deps, tenant);
  }
  return drills.length;
}

/** How the reviews of the operator's own tenant stand. */
async function standingOf(deps: Deps, requestId: string) {
  const tenant = await findTenantBySlug(deps, OPERATOR_SLUG, requestId);
  if (tenant?.kind !== 'operator') throw new AppError<'not_found'>('not_found', 'nobody operates this house');
  const { context } = tenant;
  const [last] = await deps.tenant.scoped(context, queries.lastClosed(context));
  const [open] = await deps.tenant.scoped(context, queries.unclosedReviews(context));
  const progress = await deps.tenant.scoped(context, queries.progressOf(context));
  const isPast = open !== undefined && open.due_at.getTime() + LATE_MS <= deps.clock.nowMs();
  return {
    closedAt: last?.closed_at.toISOString() ?? null,
    undecidedAtClose: Number(progress.find(({ review_id }) => review_id === last?.id)?.undecided ?? 0),
    dueAt: open?.due_at.toISOString() ?? null,
    isOverdue: open?.state === 'overdue' || isPast,
    stillThere: progress.reduce((sum, row) => sum + Number(row.still_there), 0),
    unjudged: (await longUnjudged(deps, context)).length,
  };
}

/** The chore comes every five minutes and looks at removals in the round after; an hour is none of it. */
const LATE_MS = 3_600_000;

/** For the sentinel: a review that it can carry out in seconds, and how the operator's own stand. */
export function accessReviewCanary(deps: Deps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async people({ body, requestId }) {
      const tenant = await canaryTenant(deps, body.tenant, requestId);
      await abandonDrills(deps, tenant);
      const people = [];
      for (const name of NAMES)
        people.push({ name, personId: idOf(tenant.context, name), token: await hire(deps, tenant, name) });
      return { status: 200 as const, body: { people } };
    },
    async open({ body, requestId }) {
      const tenant = await canaryTenant(deps, body.tenant, requestId);
      return { status: 200 as const, body: { reviewId: await openDrill(deps, tenant, body.seconds) } };
    },
    async tend({ body, requestId }) {
      const tenant = await canaryTenant(deps, body.tenant, requestId);
      return { status: 200 as const, body: { tended: await tendDrills(deps, tenant) } };
    },
    async standing({ requestId }) {
      return { status: 200 as const, body: await standingOf(deps, requestId) };
    },
  });
}
