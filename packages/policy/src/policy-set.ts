import { createHash } from 'node:crypto';
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import {
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  preparseSchema,
  statefulIsAuthorized,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import type { CompileScope } from './compile.ts';
import { actionMatches, compilePolicy, Unsupported } from './compile.ts';
import type { PolicyErrorCode } from './errors.ts';
import type { Fragment } from './fragment.ts';
import { fragment, joined, pieces } from './fragment.ts';
import { toCedarRecord } from './marshal.ts';
import type { AttributeType, PolicySchema } from './schema.ts';
import { readSchema } from './schema.ts';

/** One policy of the set; `id` is what decisions name as their reason. */
export interface PolicySource {
  readonly id: string;
  readonly text: string;
}

export interface EntityInput {
  readonly type: string;
  readonly id: string;
  /** Plain values, see `AttributeValue`; undeclared ones are ignored. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

export interface DecisionRequest {
  readonly principal: EntityInput;
  readonly action: string;
  readonly resource: EntityInput;
  readonly context: Readonly<Record<string, unknown>>;
}

export interface Decision {
  readonly allowed: boolean;
  /** Ids of the policies that decided, sorted; empty when nothing permitted. */
  readonly reasons: readonly string[];
}

export interface FilterInput {
  readonly action: string;
  readonly principal: EntityInput;
  readonly context: Readonly<Record<string, unknown>>;
  readonly resourceType: string;
  /** Attribute of the resource -> column, e.g. `{ contacts: 'e.contact_ids' }`. */
  readonly columns: Readonly<Record<string, string>>;
  /** Column of the resource's own id, when policies compare the resource itself. */
  readonly idColumn?: string;
}

/**
 * A row condition. `sql` counts its parameters from $1; `strings` and `values` are the same as template pieces, for
 * composing into a larger statement by a tagged template (`tag(strings, ...values)`).
 */
export interface RowFilter {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly strings: readonly string[];
  readonly values: readonly unknown[];
}

export interface PolicySet {
  /** SHA-256 (hex) of schema and policies: the version that a decision was taken under. */
  readonly hash: string;
  readonly schema: PolicySchema;
  /** Actions that at least one permit may grant. */
  readonly granted: ReadonlySet<string>;
  decide(request: DecisionRequest): Decision;
  compileFilter(input: FilterInput): RowFilter;
}

interface Loaded {
  readonly id: string;
  readonly json: PolicyJson;
}

/** Plans are per action, type and column map; a program has a few dozen of them. */
const PLAN_CACHE_ENTRIES_MAX = 512;
let instances = 0;

function invalid(id: string, messages: readonly string[]): never {
  throw new AppError<PolicyErrorCode>('policy_invalid', `${id}: ${messages.join('; ')}`);
}

/** Refuses integers beyond 2^53: the JSON bridge rounds them, so the compiler would decide on another number. */
function checkNumbers(id: string, value: unknown): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    invalid(id, [`integer literal beyond 2^53 - 1 (${value})`]);
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) checkNumbers(id, item);
}

function parsePolicy(source: PolicySource): Loaded {
  const parts = policySetTextToParts(source.text);
  if (parts.type === 'failure')
    invalid(
      source.id,
      parts.errors.map((error) => error.message),
    );
  if (parts.policies.length !== 1 || parts.policy_templates.length !== 0)
    invalid(source.id, ['expected exactly one policy and no template']);
  const answer = policyToJson(source.text);
  if (answer.type === 'failure')
    invalid(
      source.id,
      answer.errors.map((error) => error.message),
    );
  checkNumbers(source.id, answer.json);
  return { id: source.id, json: answer.json };
}

function validateStrictly(schema: string, policies: Record<string, string>): void {
  const answer = validate({ validationSettings: { mode: 'strict' }, schema, policies: { staticPolicies: policies } });
  if (answer.type === 'failure')
    invalid(
      'policies',
      answer.errors.map((error) => error.message),
    );
  const first = answer.validationErrors[0] ?? answer.validationWarnings[0];
  if (first !== undefined) invalid(first.policyId, [first.error.message, first.error.help ?? '']);
}

/** All attribute paths of a type, each standing for itself: enough to find out whether a policy has a SQL form. */
function placeholderColumns(type: AttributeType | undefined, prefix = ''): Record<string, string> {
  if (type?.kind !== 'record') return {};
  return Object.assign(
    {},
    ...Object.entries(type.attributes).map(([name, attribute]) =>
      attribute.type.kind === 'record'
        ? placeholderColumns(attribute.type, `${prefix}${name}.`)
        : { [`${prefix}${name}`]: 'placeholder' },
    ),
  ) as Record<string, string>;
}

/** A forbid without SQL form would be missing from every list, so the list would show what a point read refuses. */
function checkForbids(policies: readonly Loaded[], schema: PolicySchema): void {
  for (const { id, json } of policies) {
    if (json.effect !== 'forbid') continue;
    for (const [action, declaration] of schema.actions) {
      for (const principalType of declaration.principalTypes) {
        for (const resourceType of declaration.resourceTypes) {
          const columns = placeholderColumns(schema.entities.get(resourceType));
          try {
            compilePolicy(json, { schema, action, principalType, resourceType, columns, idColumn: 'placeholder' });
          } catch (error) {
            if (!(error instanceof Unsupported)) throw error;
            throw new AppError<PolicyErrorCode>('policy_forbid_unsupported', `${id}: ${error.message} has no SQL form`);
          }
        }
      }
    }
  }
}

function compilePlan(policies: readonly Loaded[], scope: CompileScope): Fragment {
  const permits: Fragment[] = [];
  const forbids: Fragment[] = [];
  for (const { json } of policies) {
    try {
      const condition = compilePolicy(json, scope);
      if (condition === undefined) continue;
      if (json.effect === 'permit') permits.push(fragment`coalesce(${condition}, false)`);
      else forbids.push(fragment`coalesce(${condition}, true)`);
    } catch (error) {
      // A permit that cannot be said in SQL shows nothing; forbids were checked at load.
      if (!(error instanceof Unsupported) || json.effect === 'forbid') throw error;
    }
  }
  if (permits.length === 0) return ['false'];
  const allowed = joined(permits, ' or ', 'false');
  return forbids.length === 0 ? allowed : fragment`(${allowed} and not ${joined(forbids, ' or ', 'false')})`;
}

function toFilter(plan: Fragment, input: FilterInput): RowFilter {
  const request = { principalId: input.principal.id, principal: input.principal.attributes, context: input.context };
  const { strings, values } = pieces(plan, request);
  const sql = strings.map((text, index) => (index === 0 ? text : `$${index}${text}`)).join('');
  return { sql, parameters: values, strings, values };
}

function recordType(type: AttributeType | undefined, name: string): AttributeType & { kind: 'record' } {
  if (type?.kind === 'record') return type;
  throw new AppError<PolicyErrorCode>('policy_request_invalid', `${name} is not declared in the schema`);
}

/**
 * Loads a policy set, fail closed: every policy parses, passes Cedar's strict validator against the schema, and every
 * forbid has a SQL form for each action and type it reaches. Throws `policy_invalid`, `policy_hierarchy_unsupported`,
 * `policy_forbid_unsupported`.
 */
export function loadPolicies(input: {
  readonly schema: string;
  readonly policies: readonly PolicySource[];
}): PolicySet {
  const schema = readSchema(input.schema);
  const policies = input.policies.map(parsePolicy);
  const texts: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const { id, text } of input.policies) {
    if (id in texts) invalid(id, ['two policies share this id']);
    texts[id] = text;
  }
  validateStrictly(input.schema, { ...texts });
  checkForbids(policies, schema);
  const hash = createHash('sha256')
    .update(JSON.stringify([input.schema, input.policies]))
    .digest('hex');
  // Cedar keeps parsed sets under a global name; a number of our own keeps two sets of one process apart.
  const name = `auditrax-${hash}-${(instances += 1)}`;
  for (const answer of [
    preparseSchema(name, input.schema),
    preparsePolicySet(name, { staticPolicies: { ...texts } }),
  ]) {
    if (answer.type === 'failure')
      invalid(
        'policies',
        answer.errors.map((error) => error.message),
      );
  }
  const plans = new Map<string, Fragment>();
  return {
    hash,
    schema,
    granted: grantedActions(policies, schema),
    decide: (request) => decideWith(name, schema, request),
    compileFilter: (filter) => {
      const key = JSON.stringify([
        filter.action,
        filter.principal.type,
        filter.resourceType,
        filter.columns,
        filter.idColumn,
      ]);
      let plan = plans.get(key);
      if (plan === undefined) {
        checkFilter(schema, filter);
        plan = compilePlan(policies, {
          schema,
          action: filter.action,
          principalType: filter.principal.type,
          resourceType: filter.resourceType,
          columns: filter.columns,
          idColumn: filter.idColumn,
        });
        if (plans.size >= PLAN_CACHE_ENTRIES_MAX) plans.clear();
        plans.set(key, plan);
      }
      // Typing the values again on each use keeps a badly typed principal from meaning something else in SQL.
      toCedarRecord(
        filter.principal.attributes,
        recordType(schema.entities.get(filter.principal.type), filter.principal.type),
        'principal',
      );
      toCedarRecord(filter.context, recordType(schema.actions.get(filter.action)?.context, filter.action), 'context');
      return toFilter(plan, filter);
    },
  };
}

function grantedActions(policies: readonly Loaded[], schema: PolicySchema): Set<string> {
  const permits = policies.filter(({ json }) => json.effect === 'permit');
  return new Set(
    [...schema.actions]
      .filter(([action, { ancestors }]) => permits.some(({ json }) => actionMatches(json.action, ancestors, action)))
      .map(([action]) => action),
  );
}

function checkFilter(schema: PolicySchema, filter: FilterInput): void {
  const declaration = schema.actions.get(filter.action);
  if (
    declaration?.principalTypes.includes(filter.principal.type) &&
    declaration.resourceTypes.includes(filter.resourceType)
  )
    return;
  throw new AppError<PolicyErrorCode>(
    'policy_request_invalid',
    `${filter.action} is not declared for ${filter.principal.type} on ${filter.resourceType}`,
  );
}

function decideWith(name: string, schema: PolicySchema, request: DecisionRequest): Decision {
  const entities = [request.principal, request.resource].map(({ type, id, attributes }) => ({
    uid: { type, id },
    attrs: toCedarRecord(attributes, recordType(schema.entities.get(type), type), type),
    parents: [],
  }));
  const answer = statefulIsAuthorized({
    principal: { type: request.principal.type, id: request.principal.id },
    action: { type: 'Action', id: request.action },
    resource: { type: request.resource.type, id: request.resource.id },
    context: toCedarRecord(
      request.context,
      recordType(schema.actions.get(request.action)?.context, request.action),
      'context',
    ),
    preparsedSchemaName: name,
    validateRequest: true,
    preparsedPolicySetId: name,
    entities,
  });
  if (answer.type === 'failure') {
    const message = answer.errors.map((error) => error.message).join('; ');
    throw new AppError<PolicyErrorCode>('policy_request_invalid', `${request.action}: ${message}`);
  }
  const { decision, diagnostics } = answer.response;
  // Cedar skips a policy that errors. For a forbid that would open the door, so any error denies (SPEC P4).
  if (diagnostics.errors.length > 0) {
    return { allowed: false, reasons: diagnostics.errors.map((error) => `error:${error.policyId}`).sort() };
  }
  return { allowed: decision === 'allow', reasons: [...diagnostics.reason].sort() };
}

/**
 * Splits a file of several policies. Each must carry a unique `@id("…")`; the policy's id becomes `<prefix>.<id>`, so
 * that a reason names its place. Throws `policy_invalid`.
 */
export function splitPolicies(prefix: string, text: string): PolicySource[] {
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure')
    return invalid(
      prefix,
      parts.errors.map((error) => error.message),
    );
  if (parts.policy_templates.length > 0) return invalid(prefix, ['templates are not used']);
  return parts.policies.map((policy) => {
    const answer = policyToJson(policy);
    if (answer.type === 'failure')
      return invalid(
        prefix,
        answer.errors.map((error) => error.message),
      );
    const id = answer.json.annotations?.['id'];
    if (id === undefined || id === '') return invalid(prefix, [`a policy has no @id: ${policy.slice(0, 80)}`]);
    return { id: `${prefix}.${id}`, text: policy };
  });
}

/** Actions and resource types that the clauses of a policy name; for building a schema from rooms' files. */
export function namedIn(source: PolicySource): {
  readonly actions: readonly string[];
  readonly resourceType: string | undefined;
} {
  const { json } = parsePolicy(source);
  const constraint = json.action;
  const uids =
    constraint.op === 'All'
      ? []
      : 'entities' in constraint
        ? constraint.entities
        : 'entity' in constraint
          ? [constraint.entity]
          : [];
  const resource = json.resource;
  return {
    actions: uids.map((uid) => ('__entity' in uid ? uid.__entity.id : uid.id)),
    resourceType: resource.op === 'is' ? resource.entity_type : undefined,
  };
}
