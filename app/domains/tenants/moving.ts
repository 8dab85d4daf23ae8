import { AppError, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import { requireManager } from '../access/index.ts';
import type { IdentityDeps } from '../identity/index.ts';
import { deletionOf, subjectById, subjectBySlug, type SubjectRow } from './deletion-queries.ts';
import type { Operator } from './deletion.ts';
import type { TenantsCode } from './errors.ts';
import * as queries from './move-queries.ts';
import type { MoveRow, ProgressRow } from './move-queries.ts';
import { MOVE_MACHINE, type MoveEvent, type MoveState } from './move-states.ts';
import { MOVES_SHOWN_MAX, type PlaceKind } from './placement-contract.ts';
import type { Placer, Region } from './placer.ts';

/** Never the operator's own tenant, which stays where the house is, nor the canaries that the claims are proven on. */
const MOVABLE: ReadonlySet<SubjectRow['kind']> = new Set(['customer', 'sample']);

export type MovingDeps = Pick<IdentityDeps, 'tenant' | 'system' | 'recordAudit' | 'clock' | 'random' | 'formatId'> & {
  readonly placer: Pick<Placer, 'regions'>;
};

/** Tables of their own or not, and where. */
export interface PlaceName {
  readonly kind: PlaceKind;
  readonly region: string;
}

export interface KnownMove {
  readonly row: MoveRow;
  readonly subject: SubjectRow;
  readonly progress: ProgressRow | undefined;
}

export function refusal(code: TenantsCode, message: string): AppError<TenantsCode> {
  return new AppError<TenantsCode>(code, message, { publicDetail: message });
}

/** The state after `event`. Throws `move_refused` with the machine's reason. */
export function nextMoveState(from: MoveState, event: MoveEvent): MoveState {
  const outcome = MOVE_MACHINE[from][event];
  if ('refused' in outcome) throw refusal('move_refused', outcome.refused);
  return outcome.to;
}

/**
 * Why a tenant of this tier cannot live at `place`; undefined when it can. Shared tables exist in the home region only,
 * a schema of its own as well; another region means a database of its own.
 */
export function placeRefusal(
  regions: readonly Region[],
  place: PlaceName,
  tier: SubjectRow['tier'],
): AppError<TenantsCode> | undefined {
  const region = regions.find(({ name }) => name === place.region);
  if (region === undefined) return refusal('place_unknown', `There is no region ${place.region} in this installation.`);
  if (place.kind !== 'database' && !region.isHome)
    return refusal('place_unknown', `In the region ${place.region} an organisation has a database of its own.`);
  if (place.kind !== 'shared' && tier !== 'enterprise')
    return refusal('place_refused', 'Tables of its own are for organisations of the Enterprise tier.');
  return undefined;
}

/** Where the tenant is now. */
export async function placeOf(deps: Pick<MovingDeps, 'system' | 'placer'>, tenantId: Uuid): Promise<PlaceName> {
  const [row] = await deps.system.system(queries.placementOf(tenantId));
  if (row !== undefined) return { kind: row.kind, region: row.region };
  const home = deps.placer.regions().find(({ isHome }) => isHome);
  return { kind: 'shared', region: home?.name ?? 'home' };
}

async function moveRefusal(
  deps: MovingDeps,
  tx: ScopedTransaction,
  asked: { readonly subject: SubjectRow; readonly from: PlaceName; readonly to: PlaceName },
): Promise<AppError<TenantsCode> | undefined> {
  const { subject, from, to } = asked;
  const operatorId = tx.context.tenantId;
  if (!MOVABLE.has(subject.kind))
    return refusal('move_refused', 'This organisation runs the installation or its proofs and stays where it is.');
  if (subject.closed_at !== null) return refusal('tenant_closed', 'This organisation is deleted already.');
  if (from.kind === to.kind && from.region === to.region)
    return refusal('move_refused', 'The organisation is there already.');
  if ((await tx.query(queries.openMoveOf(operatorId, subject.id))).length > 0)
    return refusal('move_open', 'This organisation is being moved already.');
  if ((await tx.query(deletionOf(operatorId, subject.id))).length > 0)
    return refusal('deletion_open', 'A deletion of this organisation is open. Cancel it first.');
  return placeRefusal(deps.placer.regions(), to, subject.tier);
}

/**
 * Asks for a move; the house carries it out at once. Throws `not_found`, `move_refused`, `move_open`, `place_unknown`,
 * `place_refused`, `deletion_open`, `tenant_closed`, `operation_refused`.
 */
export async function requestMove(
  deps: MovingDeps,
  who: Operator,
  asked: { readonly slug: string; readonly place: PlaceName },
): Promise<KnownMove> {
  const { caller } = who;
  const { tenantId } = caller.tenant;
  const [subject] = await deps.system.system(subjectBySlug(asked.slug));
  if (subject === undefined) throw new AppError<'not_found'>('not_found', `no tenant ${asked.slug}`);
  const from = await placeOf(deps, subject.id);
  const id = uuidV7(deps.clock, deps.random);
  const row = await deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    const refused = await moveRefusal(deps, tx, { subject, from, to: asked.place });
    if (refused !== undefined) throw refused;
    await tx.query(
      queries.insertMove(tenantId, {
        id,
        subject_id: subject.id,
        from_kind: from.kind,
        from_region: from.region,
        to_kind: asked.place.kind,
        to_region: asked.place.region,
        requested_by: caller.personId,
        requested_at: new Date(deps.clock.nowMs()),
      }),
    );
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'tenant.move-requested',
      resource: ['move', id],
      public: { ...moveFacts(subject, from, asked.place) },
    });
    return (await tx.query(queries.moveById(tenantId, id)))[0]!;
  });
  return { row, subject, progress: undefined };
}

function auditOf(who: Operator) {
  const base = { ...auditFromCall(who), outcome: 'allowed' } as const;
  return who.stepUp === undefined ? base : { ...base, stepUpHash: who.stepUp.assertionHash };
}

/** What every entry about a move says. */
export function moveFacts(subject: Pick<SubjectRow, 'id' | 'slug'>, from: PlaceName, to: PlaceName) {
  return {
    tenant: subject.id,
    slug: subject.slug,
    from: `${from.kind}/${from.region}`,
    to: `${to.kind}/${to.region}`,
  };
}

/** Any operator stops a move until the place is switched. Throws `not_found`, `move_refused`, `operation_refused`. */
export async function cancelMove(deps: MovingDeps, who: Operator, id: Uuid): Promise<KnownMove> {
  const { caller } = who;
  const at = { tenantId: caller.tenant.tenantId, id };
  const row = await deps.tenant.transaction(caller.tenant, async (tx) => {
    await requireManager(tx, caller);
    const [found] = await tx.query(queries.moveForUpdate(at.tenantId, id));
    if (found === undefined) throw new AppError<'not_found'>('not_found', 'no such move');
    const state = nextMoveState(found.state, 'cancel');
    const now = new Date(deps.clock.nowMs());
    await tx.query(
      state === 'cancelled'
        ? queries.endMove(at, { state, now, proof: null, frozenMs: null, failure: null })
        : queries.setMoveState(at, state),
    );
    await deps.recordAudit(tx, {
      ...auditOf(who),
      type: 'tenant.move-cancelled',
      resource: ['move', id],
      public: { tenant: found.subject_id },
    });
    return (await tx.query(queries.moveById(at.tenantId, id)))[0]!;
  });
  return (await withSubjects(deps, [row]))[0]!;
}

/** Every move, newest first. */
export async function listMoves(deps: MovingDeps, caller: Caller): Promise<KnownMove[]> {
  const { tenantId } = caller.tenant;
  return withSubjects(deps, await deps.tenant.scoped(caller.tenant, queries.listMoves(tenantId, MOVES_SHOWN_MAX)));
}

async function withSubjects(deps: Pick<MovingDeps, 'system'>, rows: readonly MoveRow[]): Promise<KnownMove[]> {
  const progress = new Map(
    (await deps.system.system(queries.progressOf(rows.map(({ id }) => id)))).map((row) => [row.move_id, row]),
  );
  const known: KnownMove[] = [];
  for (const row of rows) {
    const [subject] = await deps.system.system(subjectById(row.subject_id));
    if (subject !== undefined) known.push({ row, subject, progress: progress.get(row.id) });
  }
  return known;
}
