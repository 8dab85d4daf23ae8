import { fromBase64Url, toBase64Url } from '@auditrax/base';
import type { Uuid } from '@auditrax/base';
import type { DekContext, WrappedDek } from '@auditrax/seal';
import { stepUpAction } from '../access/index.ts';
import { auditFromCall } from '../../platform/audit/index.ts';
import { bindRoutes } from '../../platform/http/handler.ts';
import type { RoomRoutes } from '../../platform/http/handler.ts';
import { consoleContract, DEK_AGE_DAYS_MAX, vaultContract } from './contract.ts';
import type { KeyPurpose } from './contract.ts';
import { keysError } from './errors.ts';
import { rotationContract } from './rotation-contract.ts';
import type { Rotation } from './rotation.ts';
import { listedKeys } from './service.ts';
import type { KeyDeps } from './service.ts';
import { keyRings } from './key-rings.ts';
import { sourceContract } from './source-contract.ts';
import {
  changeSource,
  checkSource,
  finishSource,
  importMaterial,
  importParameters,
  readSources,
  returnSource,
} from './source-service.ts';
import type { SourceDeps } from './source-service.ts';
import type { SuiteBook } from './suite-book.ts';
import type { Vault } from './vault.ts';

/** A reply that holds a key must not outlive its reading. */
const NO_STORE = { 'cache-control': 'no-store' } as const;

/** Routes of the `keys` service. */
export function keysRoutes({ vault, suites }: { vault: Vault; suites: Pick<SuiteBook, 'of'> }): RoomRoutes {
  return bindRoutes(vaultContract, {
    async generate(call) {
      const made = await vault.generate(contextOf(call.body), call);
      const body = {
        kekRef: made.kekRef,
        wrapped: toBase64Url(made.wrapped),
        commitment: toBase64Url(made.commitment),
      };
      return { status: 201, body, headers: NO_STORE };
    },
    async unwrap(call) {
      const dek = await vault.unwrap(wrappedOf(call.body), contextOf(call.body), call);
      const text = toBase64Url(dek);
      dek.fill(0);
      const allowed = suites.of(contextOf(call.body).tenantId);
      const body = { dek: text, suites: allowed === undefined ? null : [...allowed] };
      return { status: 200, body, headers: NO_STORE };
    },
    async rewrap(call) {
      const moved = await vault.rewrap(wrappedOf(call.body), contextOf(call.body), call);
      return { status: 200, body: { kekRef: moved.kekRef, wrapped: toBase64Url(moved.wrapped) }, headers: NO_STORE };
    },
    async describe() {
      const { health, ...facts } = await vault.describe();
      const healthCode = health.ok ? null : health.code;
      return {
        status: 200 as const,
        body: { ...facts, details: { ...facts.details }, healthy: health.ok, healthCode },
      };
    },
  });
}

/** Routes of the `workspace` service: a tenant looks at its own keys. */
export function keyConsoleRoutes(deps: Pick<KeyDeps, 'tenantDoor' | 'clock'>): RoomRoutes {
  return bindRoutes(consoleContract, {
    async list(call) {
      const keys = await listedKeys(deps, { ...call.caller.tenant, requestId: call.requestId });
      return { status: 200 as const, body: { keys, ageDaysMax: DEK_AGE_DAYS_MAX } };
    },
  });
}

/** Routes of the `workspace` service: a lead looks after the organisation's own key source, the operator after all. */
export function keySourceRoutes(deps: SourceDeps): RoomRoutes {
  return bindRoutes(sourceContract, {
    read: async (call) => ({ status: 200 as const, body: await readSources(deps, call) }),
    check: async (call) => ({ status: 200 as const, body: await checkSource(deps, call, call.body.source) }),
    change: async (call) => ({ status: 200 as const, body: await changeSource(deps, call, call.body) }),
    giveBack: async (call) => ({ status: 200 as const, body: await returnSource(deps, call, call.body) }),
    finish: async (call) => ({ status: 200 as const, body: await finishSource(deps, call) }),
    importParameters: async (call) => ({
      status: 200 as const,
      body: await importParameters(deps, call, call.body.source),
    }),
    import: async (call) => ({ status: 200 as const, body: await importMaterial(deps, call, call.body) }),
    keyRings: async (call) => ({ status: 200 as const, body: { rings: await keyRings(deps, call.requestId) } }),
  });
}

/** Routes of the `workspace` service: a tenant sees its rotation, and a lead orders one. */
export function rotationRoutes(rotation: Pick<Rotation, 'progress' | 'rotateNow'>): RoomRoutes {
  return bindRoutes(rotationContract, {
    async rotation(call) {
      const body = await rotation.progress({ ...call.caller.tenant, requestId: call.requestId });
      return { status: 200 as const, body };
    },
    async rotate(call) {
      const { assertionHash } = await call.stepUp(stepUpAction(call.caller, 'keys.rotate', {}));
      const { actor, tokenHash, decision } = auditFromCall(call);
      const context = { ...call.caller.tenant, requestId: call.requestId };
      const versions = await rotation.rotateNow(context, {
        actor,
        tokenHash,
        decision,
        stepUpHash: assertionHash,
      });
      return { status: 202 as const, body: { versions } };
    },
  });
}

function wrappedOf(body: { kekRef: string; wrapped: string }): WrappedDek {
  const wrapped = fromBase64Url(body.wrapped);
  if (wrapped === undefined) throw keysError('unwrap_refused', 'the wrapped key is not canonical base64url');
  return { kekRef: body.kekRef, wrapped };
}

function contextOf(body: { tenantId: string; purpose: KeyPurpose; dekId: string; version: number }): DekContext {
  // The contract has checked the form of both ids.
  return { tenantId: body.tenantId as Uuid, purpose: body.purpose, dekId: body.dekId as Uuid, version: body.version };
}
