import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
const texts = tracked
  .filter((path) => existsSync(join(ROOT, path)) && !/\.(woff2?|png|jpg|ico|gz)$/.test(path))
  .map((path) => ({ path, text: read(path) }));
const sources = texts.filter(({ path }) => /\.(ts|tsx|mjs|mts|js)$/.test(path));
const tests = sources.filter(({ path }) => path.endsWith('.test.ts'));

/** The numbered invariants of a SPEC.md: `- **S4** …` or a row `| T3 | …`. */
function invariantsOf(spec: string): string[] {
  return [...spec.matchAll(/^(?:- \*\*|\| )([A-Z]\d{1,2})\b/gm)].map(([, id]) => id!);
}

/** The ids that titles of tests begin with: `describe('T10 T11: …')`. */
function citedInTitles(text: string): string[] {
  return [...text.matchAll(/\(\s*['"`]((?:[A-Z]\d{1,2}[ ,:]+)+)/g)].flatMap(([, ids]) => ids!.match(/[A-Z]\d{1,2}/g)!);
}

describe.each(globSync('packages/*', { cwd: ROOT }))('%s', (folder) => {
  const own = tests.filter(({ path }) => path.startsWith(`${folder}/`));
  const spec = existsSync(join(ROOT, folder, 'SPEC.md')) ? read(`${folder}/SPEC.md`) : '';
  const invariants = invariantsOf(spec);

  it('has a README and numbered invariants, each number once', () => {
    expect(read(`${folder}/README.md`)).toContain('SPEC.md');
    expect(invariants.length).toBeGreaterThan(2);
    expect(new Set(invariants).size).toBe(invariants.length);
  });

  it('cites every invariant in a test', () => {
    const name = `@auditrax/${basename(folder)}`;
    const outside = tests.filter(({ path, text }) => path.startsWith('app/') && text.includes(name));
    const uncited = invariants.filter(
      (id) => ![...own, ...outside].some(({ text }) => new RegExp(`\\b${id}\\b`).test(text)),
    );
    expect(uncited).toEqual([]);
  });

  it('cites no invariant that is not written down', () => {
    expect(own.length).toBeGreaterThan(0);
    expect(own.flatMap(({ text }) => citedInTitles(text)).filter((id) => !invariants.includes(id))).toEqual([]);
  });
});

describe('rooms and floor', () => {
  const folders = globSync('app/{domains,platform}/*', { cwd: ROOT }).filter((folder) =>
    tracked.some((path) => path.startsWith(`${folder}/`)),
  );

  it('each have a README', () => {
    expect(folders.length).toBeGreaterThan(15);
    expect(folders.filter((folder) => !existsSync(join(ROOT, folder, 'README.md')))).toEqual([]);
  });

  it('have a door, and a contract where they have routes', () => {
    const rooms = folders.filter((folder) => folder.startsWith('app/domains/'));
    const has = (folder: string, file: string) => existsSync(join(ROOT, folder, file));
    expect(rooms.filter((room) => !has(room, 'index.ts'))).toEqual([]);
    expect(rooms.filter((room) => has(room, 'routes.ts') && !has(room, 'contract.ts'))).toEqual([]);
    expect(rooms.filter((room) => has(room, 'routes.ts')).length).toBeGreaterThan(6);
  });
});

describe('decisions', () => {
  it('are all in their index, with consecutive numbers', () => {
    const files = globSync('docs/adr/[0-9]*.md', { cwd: ROOT })
      .map((path) => basename(path))
      .sort();
    const linked = [...read('docs/adr/README.md').matchAll(/\]\((\d{4}-[a-z0-9-]+\.md)\)/g)].map(([, file]) => file!);
    expect(linked).toEqual(files);
    expect(files.map((file) => Number(file.slice(0, 4)))).toEqual(files.map((_file, index) => index + 1));
  });
});

describe('links between documents', () => {
  it('lead to files that exist', () => {
    const broken = texts
      .filter(({ path }) => path.endsWith('.md'))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/\]\((?!https?:|mailto:|#|\/)([^)#\s]+)[^)]*\)/g)]
          .map(([, target]) => join(path, '..', target!))
          .filter((target) => !existsSync(join(ROOT, target)))
          .map((target) => `${path} -> ${target}`),
      );
    expect(broken).toEqual([]);
  });
});

describe('what is tracked', () => {
  it('names no folder of the machine that it was made on', () => {
    const home = /(?<![\w.:/-])\/(?:home\/[a-z]|Users\/[A-Z]|work\/(?:main|shared)|tmp\/brief)/;
    expect(
      texts.filter(({ text }) => home.test(text) && !text.includes('work\\/(?:main')).map(({ path }) => path),
    ).toEqual([]);
  });

  it('names no package registry: where packages come from is the user’s setting', () => {
    const asked = spawnSync('npm', ['config', 'get', 'registry'], { cwd: ROOT, encoding: 'utf8' }).stdout.trim();
    const host = URL.canParse(asked) ? new URL(asked).host : '';
    const hosts = [host, ['registry', 'npmjs', 'org'].join('.')].filter((name) => name !== '');
    expect(texts.filter(({ text }) => hosts.some((name) => text.includes(name))).map(({ path }) => path)).toEqual([]);
  });

  it('prints through a stream with a purpose, not through console', () => {
    const call = /\bconsole\.(?:log|debug|info|trace|dir)\(/;
    expect(
      sources.filter(({ path, text }) => !path.endsWith('.test.ts') && call.test(text)).map(({ path }) => path),
    ).toEqual([]);
  });

  it('leaves no test switched off or alone', () => {
    const marked = /\b(?:it|test|describe)\.(?:only|skip|todo)\(/;
    expect(tests.filter(({ text }) => marked.test(text)).map(({ path }) => path)).toEqual([]);
  });
});

describe('the hooks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'auditrax-hook-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const judge = (message: string) => {
    writeFileSync(join(folder, 'message'), message);
    return spawnSync('sh', [join(ROOT, '.githooks/commit-msg'), join(folder, 'message')]).status;
  };

  it.each(['feat(seal): streams by range', 'fix: one room less', 'docs(threat-model): the log\n\nwith a body\n'])(
    'take %j',
    (message) => expect(judge(message)).toBe(0),
  );

  it.each([
    'streams by range',
    'Feat: big letter',
    'feat(Seal): big letter',
    'feat:no blank',
    'feat: x',
    `fix: ${'x'.repeat(101)}`,
    '',
  ])('refuse %j', (message) => expect(judge(message)).not.toBe(0));

  it('can be run', () => {
    const modes = execFileSync('git', ['ls-files', '-s', '.githooks', '.ci/run'], { cwd: ROOT, encoding: 'utf8' });
    expect(
      modes
        .trim()
        .split('\n')
        .map((line) => line.slice(0, 6)),
    ).toEqual(['100755', '100755', '100755']);
  });
});
