import { loadModule, parseSync } from 'libpg-query';
import { analyse, type Demands } from './analysis.ts';
import { Refused, type Node, type RefusalReason } from './grammar.ts';

export type { RefusalReason } from './grammar.ts';

/** No statement of a room comes near; a longer one is generated text or an attack on the parser. */
export const STATEMENT_CHARACTERS_MAX = 65_536;
/** Decisions kept per set of demands; a program has a few hundred statements. */
const DECISIONS_MAX = 2_000;

export type Decision =
  | {
      readonly allowed: true;
      readonly relations: readonly string[];
      /** Numbers (from 1) of the parameters that must be the context's tenant. */
      readonly tenantParameters: readonly number[];
    }
  | { readonly allowed: false; readonly reason: RefusalReason; readonly subject: string };

// The parser is WebAssembly; once it is loaded every decision is synchronous.
await loadModule();

const NOTHING: ReadonlySet<string> = new Set();
const TENANT_DEMANDS: Demands = { tables: undefined, functions: NOTHING };
const decisions = new WeakMap<Demands, Map<string, Decision>>();
const demandsByFunctions = new WeakMap<ReadonlySet<string>, Demands>();

/**
 * Decides whether a statement may pass the tenant door, on PostgreSQL's own grammar. Every relation must carry its own
 * `tenant_id = $n` where the condition really filters it, every inserted row a parameter in `tenant_id`; nothing else
 * than SELECT, INSERT, UPDATE and DELETE over listed functions and types passes. Whatever is unknown is refused.
 * `functions`: schema-qualified functions of the application that statements may call.
 */
export function checkStatement(text: string, functions: ReadonlySet<string> = NOTHING): Decision {
  return decide(text, tenantDemands(functions));
}

function tenantDemands(functions: ReadonlySet<string>): Demands {
  if (functions.size === 0) return TENANT_DEMANDS;
  let demands = demandsByFunctions.get(functions);
  if (demands === undefined) demandsByFunctions.set(functions, (demands = { tables: undefined, functions }));
  return demands;
}

/** The decision for these demands, from the cache when this text was seen before. Keep `demands` to keep the cache. */
export function decide(text: string, demands: Demands): Decision {
  let cache = decisions.get(demands);
  if (cache === undefined) decisions.set(demands, (cache = new Map()));
  const known = cache.get(text);
  if (known !== undefined) return known;
  const decision = analyseText(text, demands);
  if (cache.size >= DECISIONS_MAX) cache.delete(cache.keys().next().value!);
  cache.set(text, decision);
  return decision;
}

function analyseText(text: string, demands: Demands): Decision {
  if (text.length > STATEMENT_CHARACTERS_MAX)
    return { allowed: false, reason: 'too_long', subject: String(text.length) };
  // The parser stops at a NUL, and so does the wire; what comes after it must not depend on who reads it how.
  if (text.includes('\0') || !text.isWellFormed())
    return { allowed: false, reason: 'syntax', subject: 'NUL or broken text' };
  let statements: readonly { stmt?: unknown }[];
  try {
    statements = parseSync(text).stmts ?? [];
  } catch {
    return { allowed: false, reason: 'syntax', subject: 'the statement does not parse' };
  }
  if (statements.length !== 1) return { allowed: false, reason: 'statement_count', subject: String(statements.length) };
  try {
    const found = analyse(statements[0]!.stmt as Node, demands);
    return { allowed: true, relations: [...found.relations], tenantParameters: [...found.tenantParameters] };
  } catch (error) {
    if (error instanceof Refused) return { allowed: false, reason: error.reason, subject: error.subject };
    // Too deep for the walk, or a shape that the grammar's authors changed: what is not understood does not pass.
    return { allowed: false, reason: 'expression', subject: (error as Error).name };
  }
}

/**
 * True when every tenant parameter of an allowed statement is this very tenant. Anything else than the same 36
 * characters counts as foreign, so that no second spelling of a UUID slips through.
 */
export function checkParameters(decision: Decision, parameters: readonly unknown[], tenantId: string): boolean {
  if (!decision.allowed) return false;
  return decision.tenantParameters.every((number) => parameters[number - 1] === tenantId);
}
