import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../root.ts';

interface Check {
  readonly name: string;
  readonly run: () => Promise<string[]>;
}

/** Fewer modules than this and the cruise has seen nothing: a broken parser passes every rule. */
const MODULES_MIN = 150;

/** Runs a program of node_modules/.bin; its output, line by line, is the finding when it fails. */
async function program(name: string, args: readonly string[]): Promise<string[]> {
  const child = spawn(join(ROOT, 'node_modules/.bin', name), args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number>((resolve) => {
    child.on('exit', (status) => resolve(status ?? 1));
    child.on('error', (error) => ((said += error.message), resolve(1)));
  });
  if (name === 'depcruise' && code === 0) {
    const count = Number(/(\d+) modules/.exec(said)?.[1] ?? 0);
    return count >= MODULES_MIN ? [] : [`the cruise saw only ${count} modules`];
  }
  return code === 0 ? [] : said.trim().split('\n');
}

async function supplyChain(): Promise<string[]> {
  mkdirSync(join(ROOT, 'dist'), { recursive: true });
  const { checkSupplyChain } = await import('../../../tools/supply-chain.mjs');
  return checkSupplyChain(ROOT);
}

async function secrets(): Promise<string[]> {
  const { scanRepository } = await import('../../../tools/secret-scan.mjs');
  return scanRepository({ cwd: ROOT, staged: false }).map(
    ({ file, line, format }) => `${file}:${line} holds a ${format}`,
  );
}

async function reference(): Promise<string[]> {
  const { referenceFindings } = await import('../../../tools/reference.ts');
  return referenceFindings(ROOT);
}

export const CHECKS: readonly Check[] = [
  { name: 'format', run: () => program('oxfmt', ['--check', '.']) },
  { name: 'lint', run: () => program('oxlint', ['--type-aware']) },
  { name: 'types of the server', run: () => program('tsc', ['--noEmit', '-p', 'tsconfig.json']) },
  { name: 'types of the browser', run: () => program('tsc', ['--noEmit', '-p', 'tsconfig.browser.json']) },
  {
    name: 'boundaries',
    run: () =>
      program('depcruise', [
        '--config',
        '.dependency-cruiser.cjs',
        'packages',
        'xks-proxy',
        'witness',
        'app',
        'tools',
        'bench',
        'e2e',
      ]),
  },
  { name: 'dead code', run: () => program('knip', ['--no-progress']) },
  { name: 'supply chain', run: supplyChain },
  { name: 'secrets', run: secrets },
  { name: 'reference', run: reference },
];

/** Runs every check and prints a line for each; returns how many failed. */
export async function runChecks(): Promise<{ passed: number; failed: number }> {
  let failed = 0;
  for (const check of CHECKS) {
    const started = Date.now();
    const findings = await check.run();
    if (findings.length > 0) failed += 1;
    process.stdout.write(
      `${findings.length === 0 ? 'ok  ' : 'FAIL'} ${check.name} (${((Date.now() - started) / 1000).toFixed(1)} s)\n`,
    );
    for (const line of findings) process.stdout.write(`     ${line}\n`);
  }
  return { passed: CHECKS.length - failed, failed };
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write(
      'Usage: npm run check\n\nFormat, lint, types, boundaries, dead code, supply chain, secrets, reference.\n',
    );
    return 0;
  }
  const { failed } = await runChecks();
  return failed === 0 ? 0 : 1;
}
