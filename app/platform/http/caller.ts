import type { Json, Uuid } from '@auditrax/base';
import { parseUuid } from '@auditrax/base';
import { PRODUCTION_SCOPES } from '@auditrax/base/route';
import type { TokenClaims } from '@auditrax/workload';
import type { Caller, ProductionGrant } from './handler.ts';

/** Who the issuer vouches for in a token. */
export interface CallerFacts {
  readonly tenantId: Uuid;
  readonly tenantPart: number;
  readonly tenantKind: Caller['tenantKind'];
  readonly personId: Uuid;
  readonly role: Caller['role'];
  readonly sessionId: Uuid;
  readonly method: Caller['method'];
  readonly door: Caller['door'];
  readonly agents?: readonly Uuid[] | undefined;
  readonly production?: ProductionGrant | undefined;
}

/** Agents through which work may be handed on (RFC 8693 4.1): a chain that nobody can follow is nobody's responsibility. */
export const AGENTS_MAX = 3;

/**
 * The claims that carry `facts`; the issuer adds `aud`, `azp`, `txn` and `scope`, and may add members to `tctx` (what
 * its step-up verifier needs later).
 */
export function callerClaims(facts: CallerFacts): Pick<TokenClaims, 'sub' | 'tctx' | 'rctx'> {
  return {
    sub: facts.personId,
    tctx: {
      tenant: facts.tenantId,
      part: facts.tenantPart,
      kind: facts.tenantKind,
      role: facts.role,
      ...(facts.agents === undefined || facts.agents.length === 0 ? {} : { agents: [...facts.agents] }),
      ...(facts.production === undefined ? {} : { production: grantClaim(facts.production) }),
    },
    rctx: { sid: facts.sessionId, amr: facts.method, door: facts.door },
  };
}

function grantClaim({ id, scopes, endsAtMs }: ProductionGrant): Json {
  return { id, scopes: [...scopes], ends: endsAtMs };
}

/** `'unknown'`: something is there that this program does not understand. */
function readGrant(value: Json | undefined): ProductionGrant | undefined | 'unknown' {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null) return 'unknown';
  const { id: given, scopes, ends } = value as Readonly<Record<string, Json | undefined>>;
  const id = uuidOf(given);
  if (id === undefined || !Array.isArray(scopes) || !Number.isSafeInteger(ends)) return 'unknown';
  const known = scopes.map((scope) => oneOf(PRODUCTION_SCOPES, scope));
  if (known.includes(undefined)) return 'unknown';
  return { id, scopes: known.filter((scope) => scope !== undefined), endsAtMs: Number(ends) };
}

const TENANT_KINDS = ['sample', 'canary', 'operator', 'customer'] as const;
const ROLES = ['lead', 'auditor', 'client', 'operator'] as const;
const METHODS = ['passkey', 'link', 'canary', 'sso', 'api-key', 'oauth'] as const;
const DOORS = ['edge', 'tryout'] as const;

function oneOf<T extends string>(allowed: readonly T[], value: Json | undefined): T | undefined {
  return allowed.find((candidate) => candidate === value);
}

function uuidOf(value: Json | undefined): Uuid | undefined {
  return typeof value === 'string' ? parseUuid(value) : undefined;
}

/** Undefined: not what the issuer writes. */
function agentsOf(value: Json | undefined): readonly Uuid[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length === 0 || value.length > AGENTS_MAX) return undefined;
  const ids = value.flatMap((one: Json) => uuidOf(one) ?? []);
  return ids.length === value.length ? ids : undefined;
}

/**
 * Reads the caller out of verified claims; undefined when a fact is missing or of a kind this program does not know
 * (a newer issuer must not be half understood). `requestId` is this request's, since a token serves many.
 */
export function callerFromClaims(claims: TokenClaims, hash: string, requestId: string): Caller | undefined {
  const tenantId = uuidOf(claims.tctx['tenant']);
  const part = claims.tctx['part'];
  const tenantKind = oneOf(TENANT_KINDS, claims.tctx['kind']);
  const role = oneOf(ROLES, claims.tctx['role']);
  const personId = uuidOf(claims.sub);
  const sessionId = uuidOf(claims.rctx['sid']);
  const method = oneOf(METHODS, claims.rctx['amr']);
  const door = oneOf(DOORS, claims.rctx['door']);
  const agents = agentsOf(claims.tctx['agents']);
  if (typeof part !== 'number' || !Number.isInteger(part) || part < 0 || part > 0xffff_ffff) return undefined;
  if (!tenantId || !tenantKind || !role || !personId || !sessionId || !method || !door || !agents) return undefined;
  const production = readGrant(claims.tctx['production']);
  if (production === 'unknown') return undefined;
  return {
    tenant: { tenantId, tenantPart: part, requestId },
    tenantKind,
    personId,
    role,
    sessionId,
    method,
    door,
    routeClass: claims.scope,
    ...(production === undefined ? {} : { production }),
    tokenHash: hash,
    ...(agents.length === 0 ? {} : { agents }),
  };
}
