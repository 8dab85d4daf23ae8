import { refuse } from './errors.ts';

/** As many as a tenant has members. */
export const LINES_MAX = 500;
/** What packages/saml and packages/oidc take at most for a name of a person. */
export const SUBJECT_CHARACTERS_MAX = 1024;
const LINE_CHARACTERS_MAX = 2 * SUBJECT_CHARACTERS_MAX + 8;

export interface ListLine {
  /** From 1, as an editor counts. */
  readonly line: number;
  /** The old subject, or an address: what the person is looked up by. */
  readonly key: string;
  readonly subject: string;
}

/** One field, with the quotes of a spreadsheet taken away. */
function unquoted(field: string): string {
  const text = field.trim();
  return /^".*"$/s.test(text) ? text.slice(1, -1).replaceAll('""', '"') : text;
}

/** Whether a text can be a provider's name for somebody: as it is compared, to the last character. */
export function isSubject(text: string): boolean {
  return text !== '' && text.length <= SUBJECT_CHARACTERS_MAX && text === text.trim() && !/[\p{Cc}\p{Cs}]/u.test(text);
}

/**
 * Reads a list of two columns, with a comma, semicolon or tab between them, one person a line; empty lines are passed
 * over. Throws `connection_setting_invalid` with the line that is wrong.
 */
export function readList(text: string): ListLine[] {
  const found: ListLine[] = [];
  for (const [index, raw] of text.split(/\r\n?|\n/).entries()) {
    if (raw.trim() === '') continue;
    const line = index + 1;
    const wrong = (why: string) => refuse('connection_setting_invalid', `Line ${line}: ${why}`, 'text');
    if (raw.length > LINE_CHARACTERS_MAX) throw wrong('too long.');
    const parts = /^("(?:[^"]|"")*"|[^",;\t]*)[,;\t](.*)$/s.exec(raw.trim());
    if (parts === null) throw wrong('two columns, with a comma between them.');
    const [key, subject] = [unquoted(parts[1]!), unquoted(parts[2]!)];
    if (!isSubject(key) || !isSubject(subject)) throw wrong('an empty, padded or overlong name.');
    found.push({ line, key, subject });
    if (found.length > LINES_MAX) throw refuse('connections_full', `At most ${LINES_MAX} lines.`, 'text');
  }
  return found;
}

export interface Suggestion<Person> {
  readonly person: Person;
  readonly subject: string;
}

/** Why a line suggests nobody. */
export type Unmatched = 'nobody' | 'several' | 'moved';

/**
 * Whom each line is about, where that is exactly one person and nobody else is suggested for the same name. `peopleOf`
 * gives everybody whom a key fits. Nothing is decided by it: each suggestion waits for an administrator.
 */
export function suggest<Person extends { readonly isMoved: boolean }>(
  lines: readonly ListLine[],
  peopleOf: (key: string) => readonly Person[],
): { readonly suggestions: Suggestion<Person>[]; readonly unmatched: { line: number; why: Unmatched }[] } {
  const suggestions: Suggestion<Person>[] = [];
  const unmatched: { line: number; why: Unmatched }[] = [];
  for (const { line, key, subject } of lines) {
    const [person, ...others] = peopleOf(key);
    const isTwice = lines.some((one) => one.line !== line && (one.key === key || one.subject === subject));
    if (person === undefined) unmatched.push({ line, why: 'nobody' });
    else if (others.length > 0 || isTwice) unmatched.push({ line, why: 'several' });
    else if (person.isMoved) unmatched.push({ line, why: 'moved' });
    else suggestions.push({ person, subject });
  }
  return { suggestions, unmatched };
}
