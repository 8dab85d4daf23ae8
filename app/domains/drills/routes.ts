import { AppError, uuidV7, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { CertificateAuthority, TokenMinter } from '@auditrax/workload';
import type { recordMint } from '../../platform/audit/index.ts';
import { callerClaims } from '../../platform/http/caller.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import type { CoreCode } from '../../platform/http/problems.ts';
import { findSession, type IdentityDeps } from '../identity/index.ts';
import type { KeySourcesClient } from '../keys/index.ts';
import { keySourceDrill } from './key-source-drill.ts';
import { issuerRoutes, routes } from './contract.ts';
import type { DrillsCode } from './errors.ts';
import { ownEngagement } from './queries.ts';
import { runDrill, type DrillDeps } from './service.ts';

/** Routes of the `workspace`. */
export function drillRoutes(deps: DrillDeps & { readonly sourcesClient: KeySourcesClient }): RoomRoutes {
  const keySource = keySourceDrill(deps);
  return bindRoutes(routes, {
    async run(call) {
      const { name, tenant, other } = call.body;
      const rowId = call.body.rowId as Uuid | undefined; // the contract has checked its form
      const result = await runDrill(deps, { name, tenant, other, rowId, requestId: call.requestId });
      return { status: 200 as const, body: result };
    },
    async keySource(call) {
      const { tenant, step, source } = call.body;
      if (step === 'read') return { status: 200 as const, body: await keySource.read() };
      if (step === 'end') return { status: 200 as const, body: await keySource.end(tenant, call.requestId) };
      if (source === undefined) throw new AppError<DrillsCode>('drill_row_required', 'a rehearsal needs a source');
      return { status: 200 as const, body: await keySource.begin(tenant, source, call.requestId) };
    },
    async knock(call) {
      const { tenant } = call.caller;
      const id = call.ids['params.engagementId'];
      const [row] = await deps.tenant.scoped(tenant, ownEngagement(tenant.tenantId, id));
      if (row === undefined) throw new AppError<CoreCode>('not_found', 'no such engagement');
      return { status: 200 as const, body: { uuid: row.id } };
    },
    knockToWrite: (call) => Promise.resolve({ status: 200 as const, body: { role: call.caller.role } }),
  });
}

export interface DrillTokenDeps extends Pick<IdentityDeps, 'system' | 'tenant'> {
  readonly clock: Clock;
  readonly random: Random;
  /** A minter with the issuer's key whose clock stands at `clock`. */
  readonly minterAt: (clock: Clock) => TokenMinter;
  readonly recordMint: typeof recordMint;
  /** The house's authority as it would sign at `clock`, for this long. */
  readonly authorityAt: (clock: Clock, life_seconds: number) => Promise<Pick<CertificateAuthority, 'sign'>>;
}

/** Past the life of any certificate of the house, and past what clocks may differ by. */
const EXPIRED_SECONDS = 3_600;
/** Long enough for one run of the probe. */
const WRONG_LIFE_SECONDS = 60;
/** No process is called that, and none can be: it is in no list of callers. */
const NOBODY = 'nobody';

/** Routes of the `issuer`: tokens for canary sessions, to be presented wrongly and rightly. */
export function drillTokenRoutes(deps: DrillTokenDeps): RoomRoutes {
  return bindRoutes(issuerRoutes, {
    async token(call) {
      const { cookie, destination, presenter, age_seconds, class: scope } = call.body;
      const session = await findSession(deps, cookie, { door: 'edge', requestId: call.requestId });
      if (session?.tenant.kind !== 'canary') {
        throw new AppError<DrillsCode>('drill_canary_required', 'no canary session behind this cookie');
      }
      const { tenantId, tenantPart } = session.tenant.context;
      const { personId, role, sessionId, method, door } = session;
      const tenantKind = session.tenant.kind;
      const claims = callerClaims({ tenantId, tenantPart, tenantKind, personId, role, sessionId, method, door });
      const then: Clock = { nowMs: () => deps.clock.nowMs() - age_seconds * 1000 };
      const txn = uuidV7(deps.clock, deps.random);
      const minted = await deps.minterAt(then).mint({ ...claims, aud: destination, azp: presenter, txn, scope });
      const mint = { tokenHash: minted.hash, tenantId, personId, sessionId, expiresAtMs: minted.expiresAtMs };
      await deps.recordMint({ query: (statement) => deps.system.at(tenantId).system(statement) }, mint);
      return { status: 200 as const, body: { token: minted.compact } };
    },
    async certificate(call) {
      const { csrPem, fault } = call.body;
      const age_ms = fault === 'expired' ? (EXPIRED_SECONDS + WRONG_LIFE_SECONDS) * 1000 : 0;
      const then: Clock = { nowMs: () => deps.clock.nowMs() - age_ms };
      const authority = await deps.authorityAt(then, WRONG_LIFE_SECONDS);
      // Never in the name of another process: whoever took the sentinel over would have asked for just that.
      const service = fault === 'expired' ? call.peer : NOBODY;
      return { status: 200 as const, body: { ...(await authority.sign({ csrPem, service })) } };
    },
    knock: (call) => Promise.resolve({ status: 200 as const, body: { role: call.caller.role } }),
    knockToWrite: (call) => Promise.resolve({ status: 200 as const, body: { role: call.caller.role } }),
  });
}
