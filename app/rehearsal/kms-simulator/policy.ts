import { refusal } from './refusal.ts';

type OneOrMore = string | readonly string[];

/** A statement of a key policy or of a principal's own policy. */
export interface Statement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  /** Absent in a principal's own policy. */
  readonly Principal?: '*' | { readonly AWS: OneOrMore };
  readonly Action: OneOrMore;
  readonly Resource?: OneOrMore;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, OneOrMore>>>>;
}

export interface PolicyDocument {
  readonly Version?: string;
  readonly Id?: string;
  readonly Statement: readonly Statement[];
}

export interface Grant {
  readonly id: string;
  readonly token: string;
  readonly name: string | undefined;
  readonly grantee: string;
  readonly retiring: string | undefined;
  readonly operations: readonly string[];
  readonly equals: Readonly<Record<string, string>> | undefined;
  readonly subset: Readonly<Record<string, string>> | undefined;
  readonly createdMs: number;
}

/** Who asks, as policies see it. */
export interface Caller {
  /** Of the user, or of the assumed role's session. */
  readonly arn: string;
  /** All names that a policy may call this caller: itself, and for a session its role. */
  readonly names: readonly string[];
  readonly account: string;
  readonly identity: readonly Statement[];
}

export interface Ask {
  readonly caller: Caller;
  /** Without the `kms:`. */
  readonly operation: string;
  readonly keyArn: string;
  readonly keyAccount: string;
  readonly encryptionContext: Readonly<Record<string, string>> | undefined;
}

const OPERATORS = new Set([
  'StringEquals',
  'StringNotEquals',
  'StringLike',
  'ForAllValues:StringEquals',
  'ForAnyValue:StringEquals',
  'Null',
]);
const CONDITION_KEYS = /^(kms:encryptioncontext:.+|kms:encryptioncontextkeys|kms:calleraccount|aws:principalarn)$/i;

function list(value: OneOrMore): readonly string[] {
  return typeof value === 'string' ? [value] : value;
}

function isLike(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(text);
}

/** Values of a condition key in this request; undefined when the request has no such key. */
function valuesOf(key: string, ask: Ask): readonly string[] | undefined {
  const lower = key.toLowerCase();
  const context = ask.encryptionContext ?? {};
  if (lower === 'kms:calleraccount') return [ask.caller.account];
  if (lower === 'aws:principalarn') return [ask.caller.names.at(-1)!];
  if (lower === 'kms:encryptioncontextkeys') return Object.keys(context).length > 0 ? Object.keys(context) : undefined;
  const name = lower.slice('kms:encryptioncontext:'.length);
  const found = Object.entries(context).find(([one]) => one.toLowerCase() === name);
  return found === undefined ? undefined : [found[1]];
}

function holds(operator: string, wanted: readonly string[], found: readonly string[] | undefined): boolean {
  switch (operator) {
    case 'StringEquals':
      return found !== undefined && wanted.includes(found[0]!);
    case 'StringNotEquals':
      return found === undefined || !wanted.includes(found[0]!);
    case 'StringLike':
      return found !== undefined && wanted.some((pattern) => isLike(pattern, found[0]!));
    case 'ForAllValues:StringEquals':
      return (found ?? []).every((value) => wanted.includes(value));
    case 'ForAnyValue:StringEquals':
      return (found ?? []).some((value) => wanted.includes(value));
    case 'Null':
      return (found === undefined) === (wanted[0] === 'true');
    default:
      return false;
  }
}

function applies(statement: Statement, ask: Ask): boolean {
  const action = `kms:${ask.operation}`;
  if (!list(statement.Action).some((pattern) => isLike(pattern, action))) return false;
  if (!list(statement.Resource ?? '*').some((pattern) => isLike(pattern, ask.keyArn))) return false;
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => holds(operator, list(wanted), valuesOf(key, ask))),
  );
}

/** How a key policy's statement names the caller: itself, by its whole account, or not. */
function naming(statement: Statement, caller: Caller): 'self' | 'account' | undefined {
  const principals = statement.Principal === '*' ? ['*'] : list(statement.Principal?.AWS ?? []);
  if (principals.some((one) => one === '*' || caller.names.includes(one))) return 'self';
  const account = [caller.account, `arn:aws:iam::${caller.account}:root`];
  return principals.some((one) => account.includes(one)) ? 'account' : undefined;
}

function grantAllows(grant: Grant, ask: Ask): boolean {
  if (!ask.caller.names.includes(grant.grantee) || !grant.operations.includes(ask.operation)) return false;
  // Constraints bind the operations that have a context; looking at a key has none.
  if (ask.encryptionContext === undefined) return true;
  const given = ask.encryptionContext;
  const isIn = (wanted: Readonly<Record<string, string>>) =>
    Object.entries(wanted).every(([name, value]) => given[name] === value);
  if (grant.subset && !isIn(grant.subset)) return false;
  if (!grant.equals) return true;
  return isIn(grant.equals) && Object.keys(grant.equals).length === Object.keys(given).length;
}

/**
 * The decision of AWS over key policy, grants and the caller's own policies: a denial anywhere wins; within the account
 * the key policy may name the caller, or leave it to the caller's own policies; from another account both must allow.
 */
export function isAllowed(ask: Ask, policy: PolicyDocument, grants: readonly Grant[]): boolean {
  const relevant = policy.Statement.filter((one) => applies(one, ask));
  const own = ask.caller.identity.filter((one) => applies(one, ask));
  const named = relevant.map((one) => ({ effect: one.Effect, by: naming(one, ask.caller) })).filter(({ by }) => by);
  if (named.some(({ effect }) => effect === 'Deny') || own.some((one) => one.Effect === 'Deny')) return false;
  const ownAllows = own.some((one) => one.Effect === 'Allow');
  const byGrant = grants.some((grant) => grantAllows(grant, ask));
  const bySelf = named.some(({ effect, by }) => effect === 'Allow' && by === 'self');
  const byAccount = named.some(({ effect, by }) => effect === 'Allow' && by === 'account');
  if (ask.caller.account === ask.keyAccount) return bySelf || byGrant || (byAccount && ownAllows);
  return (bySelf || byAccount || byGrant) && ownAllows;
}

/** Reads a key policy. What this simulator could not decide on it refuses, so that no condition is silently ignored. */
export function parsePolicy(text: string): PolicyDocument {
  const bad = (why: string) => refusal('MalformedPolicyDocumentException', why);
  let document: PolicyDocument;
  try {
    document = JSON.parse(text) as PolicyDocument;
  } catch {
    throw bad('The policy is not JSON.');
  }
  if (!Array.isArray(document.Statement) || document.Statement.length === 0) throw bad('The policy has no statement.');
  for (const statement of document.Statement as readonly Statement[]) {
    if (!['Allow', 'Deny'].includes(statement.Effect)) throw bad('A statement has no effect.');
    if (statement.Principal !== '*' && !statement.Principal?.AWS) throw bad('A statement has no AWS principal.');
    if (!statement.Action) throw bad('A statement has no action.');
    for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
      if (!OPERATORS.has(operator)) throw bad(`The simulator does not know the operator ${operator}.`);
      const unknown = Object.keys(keys).find((key) => !CONDITION_KEYS.test(key));
      if (unknown !== undefined) throw bad(`The simulator does not know the condition key ${unknown}.`);
    }
  }
  return document;
}

/** What AWS gives a key without a policy of its own: the account decides by its principals' policies. */
export function defaultPolicy(account: string): PolicyDocument {
  return {
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' },
    ],
  };
}
