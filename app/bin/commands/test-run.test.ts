import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { slowestLines, type TestRun } from './test-run.ts';

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

describe('the time of a run', () => {
  it('is told for the ten slowest files and for every one over the budget of its kind', () => {
    const files = Array.from({ length: 20 }, (_, at) => ({ name: `${at}`, kind: 'pure', duration_ms: at * 1000 }));
    expect(slowestLines(files)).toEqual(Array.from({ length: 10 }, (_, at) => `${19 - at}.0 s ${19 - at}`));
    const slow = files.map((file) => ({ ...file, duration_ms: file.duration_ms + 31_000 }));
    expect(slowestLines(slow)).toHaveLength(20);
    expect(slowestLines(slow)[19]).toBe('31.0 s 0: WARNING, more than the 30 s of its kind');
  });

  it('names each file and kind that ran', async () => {
    const run = await runOf({ a: GOOD });
    expect(run.slowest).toEqual([expect.stringMatching(/ s a\.test\.mjs$/)]);
    expect(run.kinds).toEqual([expect.stringMatching(/1 files, 1 tests, [\d.]+ s \(the files together [\d.]+ s\)$/)]);
  });
});

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
