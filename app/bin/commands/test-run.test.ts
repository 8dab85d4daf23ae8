import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TestRun } from './test-run.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'auditrax-run-'));
  // Globals, since nothing is installed there.
  writeFileSync(
    join(folder, 'vitest.config.mjs'),
    "export default { test: { globals: true, include: ['*.test.mjs'] } };",
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A run over files of our own, in a process of its own: the one here is such a run already. */
async function runOf(files: Readonly<Record<string, string>>): Promise<TestRun> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, `${name}.test.mjs`), text);
  const module = pathToFileURL(join(import.meta.dirname, 'test-run.ts')).href;
  const script = `const { runTests } = await import(${JSON.stringify(module)});
    const run = await runTests(${JSON.stringify(folder)}, [], () => undefined);
    process.stdout.write('\\n=' + JSON.stringify(run) + '\\n', () => process.exit(0));`;
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('VITEST') && name !== 'TEST');
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: Object.fromEntries(environment),
    maxBuffer: 16 * 1024 * 1024,
  });
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n=') + 2)) as TestRun;
}

const GOOD = "test('good', () => {});";

describe('the count of a run', () => {
  it('has what passed, failed and was skipped, with the reason', async () => {
    const run = await runOf({
      a: `${GOOD} test('bad', () => { throw new Error('bad'); });`,
      b: "test('cannot', (ctx) => ctx.skip('no such program'));",
    });
    expect(run).toMatchObject({ passed: 1, failed: 1, skipped: 1, skips: ['b.test.mjs: cannot (no such program)'] });
  });

  it('does not lose a file that did not load', async () => {
    expect(await runOf({ a: GOOD, b: "throw new Error('at load');" })).toMatchObject({ passed: 1, failed: 1 });
  });

  it('does not take what was never reached as passed', async () => {
    const run = await runOf({ a: `beforeAll(() => { throw new Error('no house'); }); ${GOOD}` });
    expect(run.passed).toBe(0);
    expect(run.failed).toBeGreaterThan(0);
  });

  it('sees an error outside every test', async () => {
    const stray = `test('good', async () => { Promise.reject(new Error('stray')); await new Promise((resolve) => setTimeout(resolve, 50)); });`;
    expect((await runOf({ a: stray })).failed).toBeGreaterThan(0);
  });
});
