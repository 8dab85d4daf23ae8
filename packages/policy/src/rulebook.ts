import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import { compileRule, type Node, type Part, type Question } from './closure.ts';
import { compilePolicy, Unsupported } from './compile.ts';
import type { PolicyErrorCode } from './errors.ts';
import { checkOf } from './marshal.ts';
import type { DecisionRequest, PolicyOutcome } from './policy-set.ts';
import type { AttributeType, PolicySchema } from './schema.ts';

/** A policy that can apply to a question of one scope, as conditions that must all hold. */
export interface Rule {
  readonly id: string;
  readonly json: PolicyJson;
  readonly parts: readonly Part[];
}

interface Scope {
  readonly rules: readonly Rule[];
  readonly permits: readonly Rule[];
  readonly forbids: readonly Rule[];
  /** Permits that only Cedar understands. */
  readonly unknown: readonly string[];
  readonly check: (request: DecisionRequest) => void;
}

/** Every policy of a set, compiled for each action, principal type and resource type that the schema declares. */
export interface Rulebook {
  readonly exact: boolean;
  readonly scopes: ReadonlyMap<string, ReadonlyMap<string, Scope>>;
}

/** All attribute paths of a type, each standing for itself: enough to find out whether a policy has a SQL form. */
function placeholderColumns(type: AttributeType | undefined, prefix = ''): Record<string, string> {
  const columns: Record<string, string> = {};
  if (type?.kind !== 'record') return columns;
  for (const [name, attribute] of Object.entries(type.attributes)) {
    if (attribute.type.kind === 'record')
      Object.assign(columns, placeholderColumns(attribute.type, `${prefix}${name}.`));
    else columns[`${prefix}${name}`] = 'placeholder';
  }
  return columns;
}

interface Place {
  readonly schema: PolicySchema;
  readonly action: string;
  readonly principalType: string;
  readonly resourceType: string;
  readonly columns: Readonly<Record<string, string>>;
}

function compileScope(policies: readonly { id: string; json: PolicyJson }[], place: Place): Omit<Scope, 'check'> {
  const rules: Rule[] = [];
  const unknown: string[] = [];
  for (const { id, json } of policies) {
    try {
      const parts = compileRule(json, place);
      if (parts === undefined) continue;
      compilePolicy(json, { ...place, idColumn: 'placeholder' });
      rules.push({ id, json, parts });
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      // A forbid without compiled form would be missing from every list, so the list would show what a point read
      // refuses. A permit without one shows nothing.
      if (json.effect === 'forbid') {
        throw new AppError<PolicyErrorCode>('policy_forbid_unsupported', `${id}: ${error.message} has no SQL form`);
      }
      unknown.push(id);
    }
  }
  const permits = rules.filter(({ json }) => json.effect === 'permit');
  return { rules, permits, forbids: rules.filter(({ json }) => json.effect === 'forbid'), unknown };
}

/** Compiles a whole set. Throws `policy_forbid_unsupported` for a forbid that has no form in JavaScript or in SQL. */
export function compileRules(
  policies: readonly { readonly id: string; readonly json: PolicyJson }[],
  schema: PolicySchema,
): Rulebook {
  const scopes = new Map<string, Map<string, Scope>>();
  const checks = new Map([...schema.entities].map(([name, type]) => [name, checkOf(type)]));
  const columns = new Map([...schema.entities].map(([name, type]) => [name, placeholderColumns(type)]));
  let exact = true;
  for (const [action, declaration] of schema.actions) {
    const context = checkOf(declaration.context);
    const byTypes = new Map<string, Scope>();
    for (const principalType of declaration.principalTypes) {
      const principal = checks.get(principalType);
      for (const resourceType of declaration.resourceTypes) {
        const resource = checks.get(resourceType);
        const place = { schema, action, principalType, resourceType, columns: columns.get(resourceType) ?? {} };
        const compiled = compileScope(policies, place);
        exact &&= compiled.unknown.length === 0;
        byTypes.set(`${principalType} ${resourceType}`, {
          ...compiled,
          check(request) {
            if (!request.principal.id.isWellFormed() || !request.resource.id.isWellFormed()) {
              throw new AppError<PolicyErrorCode>('policy_request_invalid', 'an id is no well-formed text');
            }
            principal?.(request.principal.attributes, 'principal');
            resource?.(request.resource.attributes, 'resource');
            context(request.context, 'context');
          },
        });
      }
    }
    scopes.set(action, byTypes);
  }
  return { exact, scopes };
}

/** The compiled policies that speak of this action and these types. Throws `policy_request_invalid`. */
export function scopeOf(
  { scopes }: Rulebook,
  about: { readonly action: string; readonly principal: { type: string }; readonly resource: { type: string } },
): Scope {
  const scope = scopes.get(about.action)?.get(`${about.principal.type} ${about.resource.type}`);
  if (scope !== undefined) return scope;
  throw new AppError<PolicyErrorCode>(
    'policy_request_invalid',
    `${about.action} is not declared for ${about.principal.type} on ${about.resource.type}`,
  );
}

function questionOf({ principal, resource, context }: DecisionRequest): Question {
  return {
    principalId: principal.id,
    principal: principal.attributes,
    resourceId: resource.id,
    resource: resource.attributes,
    context,
  };
}

function applies({ parts }: Rule, question: Question): boolean {
  for (const { test } of parts) if (!test(question)) return false;
  return true;
}

/** Deny by default, forbid wins. Throws `policy_request_invalid` on values that do not fit the schema. */
export function judgeWith(scope: Scope, request: DecisionRequest): boolean {
  scope.check(request);
  const question = questionOf(request);
  for (const rule of scope.forbids) if (applies(rule, question)) return false;
  for (const rule of scope.permits) if (applies(rule, question)) return true;
  return false;
}

/** One condition as Cedar text. */
function wordsOf(node: Node | undefined): string {
  const answer = policyToText({
    effect: 'permit',
    principal: { op: 'All' },
    action: { op: 'All' },
    resource: { op: 'All' },
    conditions: [{ kind: 'when', body: node as never }],
  });
  if (answer.type === 'failure') return '';
  return /when\s*\{([^]*)\};?\s*$/u.exec(answer.text)?.[1]?.trim() ?? '';
}

/** Each condition is tried on its own: which others would have failed helps whoever asks why. */
function failedParts({ parts }: Rule, question: Question): Part[] {
  return parts.filter(({ test }) => {
    try {
      return !test(question);
    } catch {
      // A condition behind a failed `has` may meet a value that is not there; the policy stopped before it.
      return false;
    }
  });
}

/** Every policy of the scope with its outcome: those that applied first, then by how little they miss. */
export function explainWith(scope: Scope, request: DecisionRequest): PolicyOutcome[] {
  scope.check(request);
  const question = questionOf(request);
  const outcomes = scope.rules.map(({ id, json, ...rule }): PolicyOutcome => {
    const failed = failedParts({ id, json, ...rule }, question);
    return {
      id,
      effect: json.effect,
      outcome: failed.length === 0 ? 'applied' : 'not-applied',
      failed: failed.map(({ clause, node }) => ({ clause, text: wordsOf(node) })),
      near: failed.length === 1,
    };
  });
  const unknown = scope.unknown.map((id): PolicyOutcome => ({
    id,
    effect: 'permit',
    outcome: 'unknown',
    failed: [],
    near: false,
  }));
  return [...outcomes.sort((left, right) => left.failed.length - right.failed.length), ...unknown];
}
