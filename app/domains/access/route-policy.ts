import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { AppError } from '@auditrax/base';
import {
  type Decision,
  loadPolicies,
  namedIn,
  splitPolicies,
  type PolicySet,
  type Explanation,
  type PolicySource,
  type RowFilter,
} from '@auditrax/policy';
import { noteDecision } from '../../platform/http/decisions.ts';
import type { Caller } from '../../platform/http/handler.ts';
import type { RoutePolicy } from '../../platform/http/policy-gate.ts';

/** Decides on rows: the second half of authorisation, after the role has been let through. */
export interface RowPolicy {
  /** May the caller do `operation` to this row? Attributes that the room's schema does not declare are ignored. */
  decide(operation: string, caller: Caller, resource: RowResource): boolean;
  /** Why: see `PolicySet.explain`. */
  explain(operation: string, caller: Caller, resource: RowResource): Explanation;
  /**
   * The same question for a list, as a condition to be put into a statement: `sql(filter.strings, ...filter.values)`.
   * `columns` maps attributes to columns (`contacts` -> `e.contact_ids`).
   */
  filter(operation: string, caller: Caller, rows: RowScope): RowFilter;
}

export interface RowResource {
  readonly type: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface RowScope {
  readonly type: string;
  readonly columns: Readonly<Record<string, string>>;
  /** Column of the row's own id, for policies that compare the row itself. */
  readonly idColumn?: string;
}

/** Decisions of the role gate depend on nothing but who asks for what, so they can be kept. */
const GATE_CACHE_ENTRIES_MAX = 10_000;

/** What every room's policies may speak of. Rooms add their row types in `policy.cedarschema` beside `policy.cedar`. */
const HOUSE_SCHEMA = `
entity Tenant = { kind: String };
entity Person = { role: String, tenant: String, tenantKind: String, method: String, door: String };
`;

function personOf(caller: Caller) {
  return {
    type: 'Person',
    id: caller.personId,
    attributes: {
      role: caller.role,
      tenant: caller.tenant.tenantId,
      tenantKind: caller.tenantKind,
      method: caller.method,
      door: caller.door,
    },
  };
}

function readRoom(file: string): { policies: PolicySource[]; schema: string } {
  const schemaFile = join(dirname(file), 'policy.cedarschema');
  return {
    policies: splitPolicies(basename(dirname(file)), readFileSync(file, 'utf8')),
    schema: existsSync(schemaFile) ? readFileSync(schemaFile, 'utf8') : '',
  };
}

/**
 * Declares each action for the Tenant (the role gate) and for every row type that some policy names it with. A policy
 * that names no action would speak for all rooms at once: refused.
 */
function declareActions(policies: readonly PolicySource[]): string {
  const types = new Map<string, Set<string>>();
  for (const policy of policies) {
    const { actions, resourceType } = namedIn(policy);
    if (actions.length === 0 || resourceType === undefined) {
      throw new AppError('policy_invalid', `${policy.id}: name the actions and the resource type`);
    }
    for (const action of actions) types.set(action, (types.get(action) ?? new Set(['Tenant'])).add(resourceType));
  }
  return [...types]
    .map(([action, resources]) => {
      const list = [...resources].join(', ');
      return `action ${JSON.stringify(action)} appliesTo { principal: [Person], resource: [${list}], context: {} };`;
    })
    .join('\n');
}

/** The house's schema and policies as text, built out of the rooms' files. Throws `policy_invalid`. */
export function readRoutePolicies(policyFiles: readonly string[]): { schema: string; policies: PolicySource[] } {
  const rooms = policyFiles.map(readRoom);
  const policies = rooms.flatMap((room) => room.policies);
  return { policies, schema: [HOUSE_SCHEMA, ...rooms.map((room) => room.schema), declareActions(policies)].join('\n') };
}

/**
 * Loads the policies of all rooms into one set: the role gate of every service (`has`, `allows`) and the row decisions
 * of the rooms (`decide`, `filter`). `operations`, when given, are all operations there are: a policy for an unknown
 * one is a typing error and refused. Throws what `loadPolicies` throws; a house without valid policies does not start.
 */
export function loadRoutePolicy(
  policyFiles: readonly string[],
  options: { readonly operations?: ReadonlySet<string> } = {},
): RoutePolicy & RowPolicy & { readonly hash: string } {
  const set = loadPolicies(readRoutePolicies(policyFiles));
  // Lists and the second opinion go by the compiled form; in the house's own policies nothing may be missing from it.
  if (!set.exact) throw new AppError('policy_invalid', 'a policy has no compiled form');
  for (const action of set.schema.actions.keys()) {
    if (options.operations !== undefined && !options.operations.has(action)) {
      throw new AppError('policy_invalid', `a policy names ${action}, which is no operation of any route`);
    }
  }
  return {
    hash: set.hash,
    has: (operation) => set.granted.has(operation),
    allows: roleGate(set),
    decide: rowGate(set),
    explain: (operation, caller, resource) =>
      set.explain({ principal: personOf(caller), action: operation, resource, context: {} }),
    filter(operation, caller, { type, columns, idColumn }) {
      return set.compileFilter({
        action: operation,
        principal: personOf(caller),
        context: {},
        resourceType: type,
        columns,
        ...(idColumn === undefined ? {} : { idColumn }),
      });
    },
  };
}

/** A decision is a pure function of what it is asked about, so the same question gets the same answer once. */
function remembered(decide: (key: string) => Decision): (key: string) => Decision {
  const decisions = new Map<string, Decision>();
  return (key) => {
    const known = decisions.get(key);
    if (known !== undefined) return known;
    const allowed = decide(key);
    if (decisions.size >= GATE_CACHE_ENTRIES_MAX) decisions.clear();
    decisions.set(key, allowed);
    return allowed;
  };
}

/** What let the call through goes into its audit entries. */
function noted(set: Pick<PolicySet, 'hash'>, caller: Caller, { allowed, reasons }: Decision): boolean {
  if (allowed) noteDecision(caller, { policies: reasons, revision: set.hash });
  return allowed;
}

/** May the caller do the operation to this row? Deny by default, and for operations that no policy names. */
export function rowGate(set: PolicySet): RowPolicy['decide'] {
  type Question = Parameters<PolicySet['decide']>[0];
  const decide = remembered((key) => set.decide(JSON.parse(key) as Question));
  return (operation, caller, resource) => {
    if (!set.schema.actions.has(operation)) return false;
    const { type, id, attributes } = resource;
    const question = {
      principal: personOf(caller),
      action: operation,
      resource: { type, id, attributes },
      context: {},
    };
    return noted(set, caller, decide(JSON.stringify(question)));
  };
}

/** May this role do the operation at all? Deny by default, and for operations that no policy names. */
export function roleGate(set: PolicySet): RoutePolicy['allows'] {
  type Question = Parameters<PolicySet['decide']>[0];
  const decide = remembered((key) => set.decide(JSON.parse(key) as Question));
  return (operation, caller) => {
    if (!set.schema.actions.has(operation)) return false;
    const resource = { type: 'Tenant', id: caller.tenant.tenantId, attributes: { kind: caller.tenantKind } };
    const question = { principal: personOf(caller), action: operation, resource, context: {} };
    return noted(set, caller, decide(JSON.stringify(question)));
  };
}
