import type { Caller } from './handler.ts';

/** Which rules of the policy text let a call through, as `room/rule-id`, and the revision of that text. */
export interface CallDecision {
  readonly policies: readonly string[];
  readonly revision: string;
}

/** Rules that one call names; a list of rows decided one by one needs no more to be understood. */
const POLICIES_MAX = 8;

/** A caller object lives as long as its call, and so does what was decided for it. */
const decided = new WeakMap<Caller, CallDecision>();

/** Remembers what the policies said for this call; called by the gates themselves, with nothing that a room could change. */
export function noteDecision(caller: Caller, { policies, revision }: CallDecision): void {
  const before = decided.get(caller)?.policies ?? [];
  const named = policies.map((id) => id.replace('.', '/'));
  decided.set(caller, { policies: [...new Set([...before, ...named])].slice(0, POLICIES_MAX), revision });
}

/** What was decided for this call so far; undefined where no gate was asked. */
export function decisionOf(caller: Caller): CallDecision | undefined {
  return decided.get(caller);
}
