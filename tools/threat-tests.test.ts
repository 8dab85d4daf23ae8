import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const FOLDER = `${ROOT}docs/threat-model/`;

interface Threat {
  readonly document: string;
  readonly id: string;
  readonly tests: readonly string[];
  readonly open: boolean;
}

/** Rows of the threat tables: `| TEN-1 | threat | defence | tests or "open: why" |`. */
function threatsIn(document: string, text: string): Threat[] {
  return text.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    if (!/^[A-Z]{3}-\d+$/.test(cells[1] ?? '')) return [];
    const last = cells.at(-2) ?? '';
    return [
      {
        document,
        id: cells[1]!,
        tests: [...last.matchAll(/`([^`]+ › [^`]+)`/g)].map(([, name]) => name!),
        open: /^open: \S/.test(last),
      },
    ];
  });
}

/** What is wrong with a reference `file › test name`; undefined when the test is there. */
function faultOf(reference: string): string | undefined {
  const [file, name] = reference.split(' › ') as [string, string];
  const path = ROOT + file;
  if (!existsSync(path)) return `${reference}: there is no such file`;
  const spellings = [name, name.replaceAll("'", "\\'")].flatMap((text) => [`'${text}'`, `"${text}"`, `\`${text}\``]);
  const source = readFileSync(path, 'utf8');
  return spellings.some((text) => source.includes(text)) ? undefined : `${reference}: there is no test of that name`;
}

describe('the threat model', () => {
  const documents = readdirSync(FOLDER).filter((name) => name.endsWith('.md'));
  const threats = documents.flatMap((name) => threatsIn(name, readFileSync(FOLDER + name, 'utf8')));

  it('names for each threat the test that covers it, or says that it is open and why', () => {
    expect(threats.length).toBeGreaterThan(40);
    expect(
      threats
        .filter((threat) => threat.tests.length === 0 && !threat.open)
        .map((threat) => `${threat.document} ${threat.id}`),
    ).toEqual([]);
  });

  it('names only tests that exist', () => {
    expect(
      threats.flatMap((threat) =>
        threat.tests
          .map((one) => faultOf(one))
          .filter((fault) => fault !== undefined)
          .map((fault) => `${threat.id}: ${fault}`),
      ),
    ).toEqual([]);
  });

  it('uses each threat id once', () => {
    expect(new Set(threats.map((threat) => threat.id)).size).toBe(threats.length);
  });

  it('would notice a test or a file that is gone', () => {
    const own = 'tools/threat-tests.test.ts';
    // Put together here, so that this very line is not the match.
    expect(faultOf(`${own} › ${['uses each threat', 'id twice'].join(' ')}`)).toContain('no test');
    expect(faultOf('tools/gone.test.ts › a')).toContain('no such file');
    expect(faultOf(`${own} › uses each threat id once`)).toBeUndefined();
  });
});
