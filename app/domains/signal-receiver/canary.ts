import { AppError, toBase64Url, uuidV4, type Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { canaryConnection, holdConnection } from '../connections/index.ts';
import { accountOf, findTenantBySlug, reinstatePrincipal } from '../identity/index.ts';
import type { StandIn, StandIns } from '../sso/index.ts';
import { CANARY_ISSUER, canaryRoutes, type CanaryStream } from './canary-contract.ts';
import type { SignalReceiverDeps } from './deps.ts';
import { authorizationHash } from './door.ts';
import * as queries from './queries.ts';
import { sealSettings, type StoredSettings } from './settings.ts';
import { STREAMS_MAX } from './setup.ts';

const SENTINEL = { service: 'sentinel' } as const;
const TOKEN_BYTES = 32;

type Deps = Omit<SignalReceiverDeps, 'counter' | 'log' | 'keysOfStreams'> & { readonly standIns: StandIns };

const refuse = (detail: string): AppError<'canary_tenant_required'> =>
  new AppError<'canary_tenant_required'>('canary_tenant_required', detail);

async function canaryTenant(deps: Deps, slug: string, requestId: string): Promise<TenantContext> {
  const tenant = await findTenantBySlug(deps, slug, requestId);
  if (tenant?.kind !== 'canary') throw refuse(`${slug} is no canary tenant`);
  return tenant.context;
}

/** As an administrator would type it of a transmitter that pushes. */
function settingsOf(audience: string, { origin }: StandIn): StoredSettings {
  return {
    issuer: CANARY_ISSUER,
    audience,
    streamId: audience,
    jwksUri: `${origin}/keys`,
    algorithm: 'ES256',
    opaqueSubjects: false,
    criticalMembers: [],
    pollUrl: null,
    authorization: null,
    management: null,
    eventsMissing: [],
  };
}

/** The streams of the connection that are in use, as many as an organisation may have; new ones are made. */
async function streamIds(deps: Deps, tx: ScopedTransaction, connectionId: Uuid): Promise<Uuid[]> {
  const { context } = tx;
  const rows = await tx.query(queries.streamsOf(context, connectionId));
  const known = rows.filter(({ state }) => state !== 'off').map(({ id }) => id);
  while (known.length < STREAMS_MAX) {
    const id = uuidV4(deps.random);
    const settings = await sealSettings(deps, tx, { id, settings: null });
    const created_at = new Date(deps.clock.nowMs());
    const push_hash = authorizationHash(id);
    const row = { id, connection_id: connectionId, delivery: 'push', settings, push_hash, created_at } as const;
    await tx.query(queries.insertStream(context, row));
    await tx.query(queries.insertPulse(context, id));
    known.push(id);
  }
  return known.slice(0, STREAMS_MAX);
}

/** Leads a stream to the stand-in as it is now, with another authorization. */
async function leadThere(
  deps: Deps,
  tx: ScopedTransaction,
  { id, standIn }: { readonly id: Uuid; readonly standIn: StandIn },
): Promise<CanaryStream> {
  const { context } = tx;
  const authorization = `Bearer ${toBase64Url(deps.random.bytes(TOKEN_BYTES))}`;
  const audience = `canary-stream-${id}`;
  const [row] = await tx.query(queries.streamForUpdate(context, id));
  const settings = await sealSettings(deps, tx, { id, settings: settingsOf(audience, standIn) });
  const push_hash = authorizationHash(authorization);
  await tx.query(queries.updateStream(context, { ...row!, state: 'on', settings, push_hash }));
  await deps.recordAudit(tx, {
    type: 'signals.canary-set',
    actor: SENTINEL,
    resource: ['received-stream', id],
    outcome: 'allowed',
    requestId: context.requestId,
    public: { connection: row!.connection_id },
  });
  return { id, audience, authorization };
}

async function setStreams(deps: Deps, context: TenantContext, standIn: StandIn): Promise<[CanaryStream, CanaryStream]> {
  const connectionId = await canaryConnection(deps, context);
  const streams = await deps.tenant.transaction(context, async (tx) => {
    await holdConnection(tx, connectionId);
    const set: CanaryStream[] = [];
    for (const id of await streamIds(deps, tx, connectionId)) set.push(await leadThere(deps, tx, { id, standIn }));
    return set;
  });
  const cell = deps.system.at(context.tenantId);
  for (const { id } of streams) {
    const stream_id = id as Uuid;
    const [found] = await cell.system(queries.indexById(stream_id));
    const row = { stream_id, tenant_id: context.tenantId, due_at: new Date(deps.clock.nowMs()) };
    if (found === undefined) await cell.system(queries.insertIndex(row));
    deps.standIns.let(stream_id, standIn);
  }
  return [streams[0]!, streams[1]!];
}

/** As a lead does afterwards: whom a signal has suspended nobody but a person of the house lets in again. */
async function letIn(deps: Deps, context: TenantContext, subject: string): Promise<boolean> {
  const connectionId = await canaryConnection(deps, context);
  const account = await deps.tenant.transaction(context, (tx) => accountOf(tx, { connectionId, subject }));
  if (account === undefined) throw refuse('the directory names nobody so');
  const { memberId } = account;
  return reinstatePrincipal(deps, context, { memberId, cause: 'administrator', by: { actor: SENTINEL } });
}

/**
 * Streams of a canary that lead to the sentinel's stand-in for a minute, and the way back for whom a signal has put out.
 * Any other tenant gives `canary_tenant_required`: nobody else's stream is ever let past the guard, and nobody else is
 * ever let in.
 */
export function canarySignals(deps: Deps): RoomRoutes {
  return bindRoutes(canaryRoutes, {
    async streams({ body, requestId }) {
      const context = await canaryTenant(deps, body.tenant, requestId);
      return { status: 200 as const, body: { streams: await setStreams(deps, context, body.standIn) } };
    },
    async letIn({ body, requestId }) {
      const context = await canaryTenant(deps, body.tenant, requestId);
      return { status: 200 as const, body: { isBack: await letIn(deps, context, body.subject) } };
    },
  });
}
