import { validate, type DetailedError, type ValidationAnswer } from '@cedar-policy/cedar-wasm/nodejs';
import { isAppError } from '@auditrax/base';
import { checkText } from './limits.ts';

/** What is wrong with a text that a person wrote, and where. Lines and columns begin at 1. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly help: string | null;
}

/** More than these are no help to anybody. */
const PROBLEMS_SHOWN_MAX = 20;

/** Cedar counts bytes of UTF-8. */
function placeOf(text: string, offset_bytes: number): { line: number; column: number } {
  const before = Buffer.from(text).subarray(0, offset_bytes).toString();
  const start = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: before.length - start + 1 };
}

/** A text of several policies has no names of its own for them; those that Cedar gives would confuse its writer. */
function worded(message: string): string {
  const plain = message
    .replace(/^failed to parse policies from string: /u, '')
    .replace(/^for policy `policy\d+`, /u, '');
  return plain.slice(0, 1).toUpperCase() + plain.slice(1);
}

function problemOf(text: string, error: DetailedError): Problem {
  const place = error.sourceLocations?.[0];
  const help = error.help ?? place?.label ?? null;
  return {
    ...placeOf(text, place?.start ?? 0),
    message: worded(error.message),
    help: help === null ? null : worded(help),
  };
}

/** A warning beside an error says the same once more, at a worse place. */
function foundBy(answer: Extract<ValidationAnswer, { type: 'success' }>): DetailedError[] {
  const found = answer.validationErrors.length > 0 ? answer.validationErrors : answer.validationWarnings;
  return found.map(({ error }) => error);
}

/**
 * Every problem that Cedar has with a text of policies, by place: for an editor. Empty means that it parses and passes
 * the strict validator without a warning; `loadPolicies` may still refuse it for what only the compiler knows.
 */
export function diagnose(schema: string, text: string): Problem[] {
  try {
    checkText('', text);
  } catch (error) {
    if (!isAppError(error)) throw error;
    return [{ line: 1, column: 1, message: worded(error.message.replace(/^: /u, '')), help: null }];
  }
  const answer = validate({ validationSettings: { mode: 'strict' }, schema, policies: { staticPolicies: text } });
  const errors = answer.type === 'failure' ? answer.errors : foundBy(answer);
  const problems = errors.map((error) => problemOf(text, error));
  const seen = new Set<string>();
  return problems
    .filter(({ line, column, message }) => {
      const key = `${line} ${column} ${message}`;
      return !seen.has(key) && seen.add(key);
    })
    .sort((left, right) => left.line - right.line || left.column - right.column)
    .slice(0, PROBLEMS_SHOWN_MAX);
}
