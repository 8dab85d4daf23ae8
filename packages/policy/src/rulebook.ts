import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import { compileRule, type Node, type Part, type Question } from './closure.ts';
import { actionMatches, compilePolicy, Unsupported } from './compile.ts';
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

/** A policy for one place: its conditions, `unknown` to all but Cedar, or undefined when it never applies there. */
type Outcome = Rule | 'unknown' | undefined;

interface Source {
  readonly id: string;
  readonly json: PolicyJson;
}

function compileAt({ id, json }: Source, place: Place): Outcome {
  try {
    const parts = compileRule(json, place);
    if (parts === undefined) return undefined;
    compilePolicy(json, { ...place, idColumn: 'placeholder' });
    return { id, json, parts };
  } catch (error) {
    if (!(error instanceof Unsupported)) throw error;
    // A forbid without compiled form would be missing from every list, so the list would show what a point read
    // refuses. A permit without one shows nothing.
    if (json.effect === 'forbid') {
      throw new AppError<PolicyErrorCode>('policy_forbid_unsupported', `${id}: ${error.message} has no SQL form`);
    }
    return 'unknown';
  }
}

function mentionsAction(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false;
  return (node as Node)['Var'] === 'action' || Object.values(node).some(mentionsAction);
}

/**
 * Compiles one policy for one place after the other. Of an action only three things can change the result: whether the
 * policy speaks of it, the type of its context, and its name where a condition mentions it. Places that are equal in
 * these share what was compiled.
 */
function compilerOf(source: Source): (place: Place, shape: string) => Outcome {
  const known = new Map<string, Outcome>();
  const isNamed = source.json.conditions.some(({ body }) => mentionsAction(body));
  return (place, shape) => {
    const declaration = place.schema.actions.get(place.action);
    if (!declaration || !actionMatches(source.json.action, declaration.ancestors, place.action)) return undefined;
    const key = isNamed ? `${shape} ${JSON.stringify(place.action)}` : shape;
    if (known.has(key)) return known.get(key);
    const outcome = compileAt(source, place);
    known.set(key, outcome);
    return outcome;
  };
}

function compileScope(
  sources: readonly { readonly id: string; readonly compile: ReturnType<typeof compilerOf> }[],
  place: Place,
  shape: string,
): Omit<Scope, 'check'> {
  const rules: Rule[] = [];
  const unknown: string[] = [];
  for (const { id, compile } of sources) {
    const outcome = compile(place, shape);
    if (outcome === 'unknown') unknown.push(id);
    else if (outcome !== undefined) rules.push(outcome);
  }
  const permits = rules.filter(({ json }) => json.effect === 'permit');
  return { rules, permits, forbids: rules.filter(({ json }) => json.effect === 'forbid'), unknown };
}

/** Compiles a whole set. Throws `policy_forbid_unsupported` for a forbid that has no form in JavaScript or in SQL. */
export function compileRules(policies: readonly Source[], schema: PolicySchema): Rulebook {
  const scopes = new Map<string, Map<string, Scope>>();
  const checks = new Map([...schema.entities].map(([name, type]) => [name, checkOf(type)]));
  const columns = new Map([...schema.entities].map(([name, type]) => [name, placeholderColumns(type)]));
  const sources = policies.map((source) => ({ id: source.id, compile: compilerOf(source) }));
  let exact = true;
  for (const [action, declaration] of schema.actions) {
    const context = checkOf(declaration.context);
    const contextShape = JSON.stringify(declaration.context);
    const byTypes = new Map<string, Scope>();
    for (const principalType of declaration.principalTypes) {
      const principal = checks.get(principalType);
      for (const resourceType of declaration.resourceTypes) {
        const resource = checks.get(resourceType);
        const place = { schema, action, principalType, resourceType, columns: columns.get(resourceType) ?? {} };
        const types = `${principalType} ${resourceType}`;
        const compiled = compileScope(sources, place, `${types} ${contextShape}`);
        exact &&= compiled.unknown.length === 0;
        byTypes.set(types, {
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
