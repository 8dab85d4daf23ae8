import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '@auditrax/base';
import type { PolicyErrorCode } from './errors.ts';

// Cedar runs as WebAssembly on a stack of one mebibyte. A text nested too deeply overruns it, and from then on every
// call of this process fails: one line of a policy would take all decisions down. So the size of a text is judged here,
// before Cedar sees it. Measured with 4.13: 64 brackets with an operator each, or 256 chained operators, still pass, 128
// and 512 do not; brackets and operators share the stack, and the two limits together use at most four fifths of it.

/** Brackets of any kind open at once in one policy. */
export const POLICY_NESTING_MAX = 24;
/** Operators that nest (`&&`, `||`, `.`, `else`, `+`, `-`, `*`, `!`) in one policy. */
export const POLICY_OPERATORS_MAX = 100;
/** Bytes of one policy's text. */
export const POLICY_TEXT_BYTES_MAX = 16_384;
/** Nodes of one policy's JSON form; bounds the SQL condition and the time of one decision. */
export const POLICY_NODES_MAX = 512;
/** Policies of one set; Cedar's cost of a decision grows with them (about 0.3 ms at 50, 1.5 ms at 200). */
export const POLICIES_PER_SET_MAX = 256;

function refuse(id: string, message: string): never {
  throw new AppError<PolicyErrorCode>('policy_limit_exceeded', `${id}: ${message}`);
}

// Strings and comments first, so that nothing inside them counts.
const TOKEN = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|&&|\|\||\belse\b|[.+\-*!]|[([{}\])]|;/gu;

/**
 * Judges the size of policies before they are parsed. Throws `policy_limit_exceeded`. A text that does not parse may
 * count differently here than there, but never deeper there: every bracket and operator of the grammar is a token here.
 */
export function checkText(id: string, text: string): void {
  if (text.length > POLICY_TEXT_BYTES_MAX * POLICIES_PER_SET_MAX) refuse(id, 'the text is too long');
  let depth = 0;
  let operators = 0;
  let start = 0;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === ';' && depth <= 0) {
      checkLength(id, text.slice(start, index));
      operators = 0;
      start = index;
    } else if ('([{'.includes(token)) {
      depth += 1;
      if (depth > POLICY_NESTING_MAX) refuse(id, `brackets are nested deeper than ${POLICY_NESTING_MAX}`);
    } else if (')]}'.includes(token)) {
      depth -= 1;
    } else if (!token.startsWith('"') && !token.startsWith('//') && token !== ';') {
      operators += 1;
      if (operators > POLICY_OPERATORS_MAX) refuse(id, `more than ${POLICY_OPERATORS_MAX} operators in one policy`);
    }
  }
  checkLength(id, text.slice(start));
}

function checkLength(id: string, text: string): void {
  if (Buffer.byteLength(text) > POLICY_TEXT_BYTES_MAX) refuse(id, `more than ${POLICY_TEXT_BYTES_MAX} bytes`);
}

/**
 * Judges a parsed policy: at most `POLICY_NODES_MAX` nodes, no `*` (the validator does not catch an overflow: Cedar
 * would skip the policy, SQL would fail the whole list) and no integer beyond 2^53 - 1 (the JSON bridge rounds it, so
 * two engines would decide on two numbers). Throws `policy_limit_exceeded`, `policy_invalid`.
 */
export function checkNodes(id: string, policy: PolicyJson): void {
  let nodes = 0;
  const open: unknown[] = policy.conditions.map(({ body }) => body);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    nodes += 1;
    if (nodes > POLICY_NODES_MAX) refuse(id, `more than ${POLICY_NODES_MAX} nodes`);
    if (typeof next === 'number' && !Number.isSafeInteger(next)) {
      throw new AppError<PolicyErrorCode>('policy_invalid', `${id}: integer literal beyond 2^53 - 1 (${next})`);
    }
    if (typeof next !== 'object' || next === null) continue;
    if (Object.hasOwn(next, '*')) {
      throw new AppError<PolicyErrorCode>('policy_invalid', `${id}: * can overflow and is not used`);
    }
    for (const item of Object.values(next)) if (item !== undefined) open.push(item);
  }
}
