import { AppError, isAppError } from '@auditrax/base';
import { diagnose, loadPolicies, splitPolicies, type PolicySet, type PolicySource } from '@auditrax/policy';
import { RULES_CHARS_MAX, RULES_MAX, type RuleProblem } from './contract.ts';
import type { RulesCode } from './errors.ts';

/** Verbs that show an engagement or something of it. */
export const SEEING = [
  'engagements.list',
  'engagements.read',
  'engagements.criteria',
  'engagements.criterion',
  'evidence.list',
  'evidence.download',
] as const;

/** Verbs that change an engagement or add to it. */
export const WORKING = [
  'engagements.record-result',
  'engagements.move',
  'engagements.finalise',
  'engagements.assign-contact',
  'engagements.remove-contact',
  'evidence.start-upload',
  'evidence.write-part',
  'evidence.upload-position',
  'evidence.complete-upload',
  'evidence.abort-upload',
] as const;

const verbs = (group: string, names: readonly string[]): string =>
  names
    .map(
      (name) =>
        `action "${name}" in [Action::"${group}"] appliesTo { principal: [Person], resource: [Engagement], context: {} };`,
    )
    .join('\n');

/** Everything that a tenant's rule may speak of. The tenant, its keys, its people and the rules are not in it. */
export const SANDBOX_SCHEMA = `
entity Office;
entity Person = { role: String, office?: Office };
entity Engagement = { state: String, contacts: Set<Person>, office?: Office };
action "see";
action "work";
${verbs('see', SEEING)}
${verbs('work', WORKING)}
`;

/** What the product allows is decided elsewhere; here everything is allowed that no rule takes away. */
const NOTHING_TAKEN_AWAY: PolicySource = {
  id: 'product',
  text: 'permit (principal is Person, action, resource is Engagement);',
};
const PREFIX = 'rules';

function invalid(problems: readonly RuleProblem[]): AppError<RulesCode> {
  const [first] = problems;
  return new AppError<RulesCode>('rules_invalid', `${problems.length} problems`, {
    field: 'body.text',
    publicDetail: first === undefined ? 'The rules are not valid.' : `Line ${first.line}: ${first.message}.`,
  });
}

function lineOf(text: string, part: string): number {
  const at = text.indexOf(part);
  return at < 0 ? 1 : text.slice(0, at).split('\n').length;
}

const at = (line: number, message: string, help: string | null = null): RuleProblem => ({
  line,
  column: 1,
  message,
  help,
});

/** A rule that names one person or one office by its id would mean nothing to whoever reads it, and rot unseen. */
const NAMED_ENTITY = /\b(?:Person|Office|Engagement)\s*::\s*"/u;

function houseRules(text: string, policies: readonly PolicySource[]): RuleProblem[] {
  const problems: RuleProblem[] = [];
  if (policies.length > RULES_MAX) problems.push(at(1, `There are more than ${RULES_MAX} rules`));
  for (const policy of policies) {
    const line = lineOf(text, policy.text);
    if (!/^(?:\s|@\w+\s*\("(?:[^"\\]|\\.)*"\)|\/\/[^\n]*\n)*forbid\b/u.test(policy.text)) {
      const help = 'Write what is taken away: forbid (…) when { … } unless { … };';
      problems.push(at(line, 'A rule can only take away what Auditrax allows', help));
    }
    if (NAMED_ENTITY.test(policy.text)) {
      problems.push(
        at(line, 'A rule cannot name a single person, office or engagement', 'Compare attributes instead.'),
      );
    }
  }
  return problems;
}

function namedPolicies(text: string): PolicySource[] | RuleProblem[] {
  try {
    return splitPolicies(PREFIX, text);
  } catch (error) {
    if (!isAppError(error)) throw error;
    return [at(1, 'Each rule needs a name', 'Begin it with @id("a-name-of-your-own").')];
  }
}

/**
 * Reads a tenant's rules. Gives the compiled set, undefined when the text holds no rule, or what is wrong with it. Only
 * forbids over the sandbox's schema pass, so a set can only ever take away.
 */
export function readTenantRules(text: string): { set: PolicySet | undefined; problems: readonly RuleProblem[] } {
  if (text.length > RULES_CHARS_MAX) {
    return { set: undefined, problems: [at(1, `The text is longer than ${RULES_CHARS_MAX} characters`)] };
  }
  const found = diagnose(SANDBOX_SCHEMA, text);
  if (found.length > 0) return { set: undefined, problems: found };
  const named = namedPolicies(text);
  if (named.some((one) => 'line' in one)) return { set: undefined, problems: named as RuleProblem[] };
  const policies = named as PolicySource[];
  const broken = houseRules(text, policies);
  if (broken.length > 0) return { set: undefined, problems: broken };
  if (policies.length === 0) return { set: undefined, problems: [] };
  try {
    return { set: loadPolicies({ schema: SANDBOX_SCHEMA, policies: [NOTHING_TAKEN_AWAY, ...policies] }), problems: [] };
  } catch (error) {
    if (!isAppError(error)) throw error;
    const [, id = '', message = error.message] = /^([\w.-]+): (.*)$/su.exec(error.message) ?? [];
    const part = policies.find((policy) => policy.id === id);
    return { set: undefined, problems: [at(part === undefined ? 1 : lineOf(text, part.text), message)] };
  }
}

/** The same for a text that is to be put in force. Throws `rules_invalid` with the first problem and its line. */
export function requireTenantRules(text: string): PolicySet | undefined {
  const { set, problems } = readTenantRules(text);
  if (problems.length > 0) throw invalid(problems);
  return set;
}
