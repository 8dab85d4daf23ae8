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
import type { Part } from './closure.ts';
import type { CompileScope } from './compile.ts';
import { actionMatches, compilePolicy } from './compile.ts';
import type { PolicyErrorCode } from './errors.ts';
import type { Fragment } from './fragment.ts';
import { fragment, joined, pieces } from './fragment.ts';
import { checkNodes, checkText, POLICIES_PER_SET_MAX } from './limits.ts';
import { toCedarRecord } from './marshal.ts';
import { compileRules, explainWith, judgeWith, scopeOf, type Rule } from './rulebook.ts';
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
  /**
   * Whether every permit has a compiled form. When not, `judge` and `compileFilter` allow less than `decide`; never
   * more.
   */
  readonly exact: boolean;
  /** Cedar's own decision: the reference. About a tenth of a millisecond. Throws `policy_request_invalid`. */
  decide(request: DecisionRequest): Decision;
  /** The compiled decision, about a microsecond: the same answer as `decide` when `exact`. Throws the same. */
  judge(request: DecisionRequest): boolean;
  /** Why: Cedar's decision, and for each policy that speaks of this action and type whether it applied. */
  explain(request: DecisionRequest): Explanation;
  compileFilter(input: FilterInput): RowFilter;
}

/** How one policy stood to a question. */
export interface PolicyOutcome {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** `unknown`: the policy has no compiled form, only Cedar knows. */
  readonly outcome: 'applied' | 'not-applied' | 'unknown';
  /** The conditions that did not hold, as Cedar text, in the order of the policy; empty unless `not-applied`. */
  readonly failed: readonly { readonly clause: Part['clause']; readonly text: string }[];
  /** Exactly one condition is missing. */
  readonly near: boolean;
}

/** Answer of `PolicySet.explain`: the decision, and every policy that could have had a say, nearest first. */
export interface Explanation extends Decision {
  readonly policies: readonly PolicyOutcome[];
}

interface Loaded {
  readonly id: string;
  readonly json: PolicyJson;
}

/** A set as Cedar keeps it, under a global name. */
interface Preparsed {
  readonly name: string;
  readonly schema: PolicySchema;
  readonly forbids: ReadonlySet<string>;
}

/** Plans are per action, type and column map; a program has a few dozen of them. */
const PLAN_CACHE_ENTRIES_MAX = 512;
let instances = 0;
// Cedar keeps what was handed to it under a name for ever. Tenants try and save rules all day, so the name of a set that
// nobody can reach any more is used again, and its place is overwritten.
const freeNames: string[] = [];
const unreachable = new FinalizationRegistry<string>((name) => freeNames.push(name));

function invalid(id: string, messages: readonly string[]): never {
  throw new AppError<PolicyErrorCode>('policy_invalid', `${id}: ${messages.join('; ')}`);
}

function parsePolicy(source: PolicySource): Loaded {
  checkText(source.id, source.text);
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
  checkNodes(source.id, answer.json);
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

function compilePlan(rules: readonly Rule[], scope: CompileScope): Fragment {
  const permits: Fragment[] = [];
  const forbids: Fragment[] = [];
  for (const { json } of rules) {
    const condition = compilePolicy(json, scope);
    if (condition === undefined) continue;
    if (json.effect === 'permit') permits.push(fragment`coalesce(${condition}, false)`);
    else forbids.push(fragment`coalesce(${condition}, true)`);
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

/** Hands a set to Cedar, which keeps it under a global name of ours. */
function preparse(set: { schema: string; texts: Record<string, string> }): string {
  const name = freeNames.pop() ?? `auditrax-${(instances += 1)}`;
  for (const answer of [preparseSchema(name, set.schema), preparsePolicySet(name, { staticPolicies: set.texts })]) {
    if (answer.type === 'failure')
      invalid(
        'policies',
        answer.errors.map((error) => error.message),
      );
  }
  return name;
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
  if (input.policies.length > POLICIES_PER_SET_MAX) {
    throw new AppError<PolicyErrorCode>('policy_limit_exceeded', `more than ${POLICIES_PER_SET_MAX} policies`);
  }
  const policies = input.policies.map(parsePolicy);
  const texts: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const { id, text } of input.policies) {
    if (id in texts) invalid(id, ['two policies share this id']);
    texts[id] = text;
  }
  validateStrictly(input.schema, { ...texts });
  const rulebook = compileRules(policies, schema);
  const hash = createHash('sha256')
    .update(JSON.stringify([input.schema, input.policies]))
    .digest('hex');
  const name = preparse({ schema: input.schema, texts: { ...texts } });
  const plans = new Map<string, Fragment>();
  const forbids = new Set(policies.filter(({ json }) => json.effect === 'forbid').map(({ id }) => id));
  const preparsed: Preparsed = { name, schema, forbids };
  unreachable.register(preparsed, name);
  return {
    hash,
    schema,
    granted: grantedActions(policies, schema),
    exact: rulebook.exact,
    decide: (request) => decideWith(preparsed, request),
    judge: (request) => judgeWith(scopeOf(rulebook, request), request),
    explain: (request) => ({
      ...decideWith(preparsed, request),
      policies: explainWith(scopeOf(rulebook, request), request),
    }),
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
        const { rules } = scopeOf(rulebook, {
          action: filter.action,
          principal: filter.principal,
          resource: { type: filter.resourceType },
        });
        plan = compilePlan(rules, {
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
      checkValues(schema, filter);
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

/** Typing the values again on each use keeps a badly typed principal from meaning something else in SQL. */
function checkValues(schema: PolicySchema, { principal, action, context }: FilterInput): void {
  toCedarRecord(principal.attributes, recordType(schema.entities.get(principal.type), principal.type), 'principal');
  toCedarRecord(context, recordType(schema.actions.get(action)?.context, action), 'context');
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

function decideWith(set: Preparsed, request: DecisionRequest): Decision {
  const { name, schema, forbids } = set;
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
  // Cedar skips a policy that errors. That is right for a permit; for a forbid it would open the door (SPEC P4).
  const broken = diagnostics.errors.filter(({ policyId }) => forbids.has(policyId));
  if (broken.length > 0) {
    return { allowed: false, reasons: broken.map((error) => `error:${error.policyId}`).sort() };
  }
  return { allowed: decision === 'allow', reasons: [...diagnostics.reason].sort() };
}

/**
 * Splits a file of several policies. Each must carry a unique `@id("…")`; the policy's id becomes `<prefix>.<id>`, so
 * that a reason names its place. Throws `policy_invalid`.
 */
export function splitPolicies(prefix: string, text: string): PolicySource[] {
  checkText(prefix, text);
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
