import { setImmediate } from 'node:timers/promises';
import type { RouteContract, Uuid } from '@auditrax/base';
import type { Caller, CallMethod, Role } from '../../platform/http/handler.ts';
import type { RoutePolicy } from '../../platform/http/policy-gate.ts';
import type { KnownTenant } from '../identity/index.ts';

/** An operation that somebody with a session may reach, as its contract declares it. */
export interface SessionOperation {
  readonly operation: string;
  readonly class: 'read' | 'write' | 'privileged';
  readonly service: string;
  /** Whether it asks for a passkey each time. */
  readonly stepUp: boolean;
}

/** Every operation that asks for a session, out of the contracts of the house, each once and in order. */
export function sessionOperations(routes: readonly RouteContract[]): readonly SessionOperation[] {
  const found = routes.flatMap(({ operation, service, access }) =>
    access.kind === 'session'
      ? [[operation, { operation, service, class: access.class, stepUp: access.stepUp === true }] as const]
      : [],
  );
  return [...new Map(found).values()].toSorted((a, b) => (a.operation < b.operation ? -1 : 1));
}

export interface Judge {
  readonly policy: Pick<RoutePolicy, 'allows'>;
  readonly operations: readonly SessionOperation[];
}

/** Somebody who might ask. */
interface Asker {
  readonly tenant: Pick<KnownTenant, 'context' | 'kind'>;
  readonly memberId: Uuid;
  readonly role: Role;
}

function callerBy({ tenant, memberId, role }: Asker, method: CallMethod): Caller {
  return {
    tenant: tenant.context,
    tenantKind: tenant.kind,
    personId: memberId,
    role,
    sessionId: memberId,
    method,
    door: 'edge',
    routeClass: 'read',
    tokenHash: '',
  };
}

/** Kept answers of one set of policies; of many organisations the oldest are asked for again. */
const KEPT_MAX = 1_000;
const kept = new WeakMap<Judge, Map<string, readonly string[]>>();

/**
 * What Cedar lets somebody of this role do who comes in this way. Asked once for all of them: the role gate is told of nobody
 * in person that could make a difference (no policy names a person), and a list of hundreds would be asked for minutes.
 */
function allowedBy(judge: Judge, who: Asker, method: CallMethod): readonly string[] {
  const answers = kept.get(judge) ?? new Map<string, readonly string[]>();
  kept.set(judge, answers);
  const key = [who.tenant.context.tenantId, who.tenant.kind, who.role, method].join(' ');
  let allowed = answers.get(key);
  if (allowed === undefined) {
    const caller = callerBy(who, method);
    allowed = judge.operations.flatMap(({ operation }) => (judge.policy.allows(operation, caller) ? [operation] : []));
    const oldest = answers.keys().next();
    if (answers.size >= KEPT_MAX && oldest.value !== undefined) answers.delete(oldest.value);
    answers.set(key, allowed);
  }
  return allowed;
}

function allowedTo(judge: Judge, who: Asker, methods: readonly CallMethod[]): Set<string> {
  const found = new Set(methods.flatMap((method) => allowedBy(judge, who, method)));
  return new Set(judge.operations.flatMap(({ operation }) => (found.has(operation) ? [operation] : [])));
}

/**
 * What the policies of the house let a person do, by any of the ways in which they come in: each operation is asked of
 * Cedar as the gate would. Rules that the organisation wrote itself only take away from this (`app/domains/rules`), so it
 * is the most that anybody can do.
 */
export async function operationsOfPerson(judge: Judge, who: Asker, methods: readonly CallMethod[]): Promise<string[]> {
  // Hundreds of people are asked about one after the other: other requests go between two of them.
  await setImmediate();
  return [...allowedTo(judge, who, methods)];
}

/** What a key or program of a person can do: the workspace alone, nothing that asks for a passkey, and no more than its scope. */
export function operationsOfProgram(
  judge: Judge,
  who: Asker,
  by: { readonly method: 'api-key' | 'oauth'; readonly scope: 'read' | 'write' },
): string[] {
  const allowed = allowedTo(judge, who, [by.method]);
  const isInScope = (one: SessionOperation) =>
    one.service === 'workspace' &&
    !one.stepUp &&
    (one.class === 'read' || (by.scope === 'write' && one.class === 'write'));
  return judge.operations.flatMap((one) => (allowed.has(one.operation) && isInScope(one) ? [one.operation] : []));
}
