import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';

const INPUTS = [
  'app/ui/**/*.{ts,tsx,css}',
  'app/shell/**/*.{ts,tsx,css,html,js,svg}',
  'app/domains/**/*.page.tsx',
  'app/domains/*/contract.ts',
  'app/domains/audit-trail/browser-*.ts',
  'packages/tlog/src/*.ts',
  'packages/base/src/*.ts',
  'packages/tenancy/src/id-pattern.ts',
  'vite.config.ts',
  'package-lock.json',
];

/** Hash of the inputs that a build was made from. */
const STAMP = '.inputs.sha256';

function hashInputs(root: string): string {
  const hash = createHash('sha256');
  for (const file of INPUTS.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  }
  return hash.digest('hex');
}

/** Runs Vite into `folder`. Throws `browser_build_failed` with its own words. */
async function runVite(root: string, folder: string): Promise<void> {
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const child = spawn(process.execPath, [vite, 'build', '--logLevel', 'error', '--outDir', folder, '--emptyOutDir'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number>((resolve) => child.on('exit', (status) => resolve(status ?? 1)));
  if (code !== 0) throw new AppError('browser_build_failed', `the browser part did not build:\n${said}`);
}

/** Somebody else's checkout: said in one line, before Vite says it in twenty. Throws `checkout_not_writable`. */
function refuseUnwritable(root: string): void {
  const place = existsSync(join(root, 'dist')) ? join(root, 'dist') : root;
  try {
    accessSync(place, constants.W_OK);
  } catch (cause) {
    throw new AppError(
      'checkout_not_writable',
      `the browser part is not built yet and ${place} is not yours to write: start once as its owner, or clone into a folder of your own`,
      { cause },
    );
  }
}

/**
 * Builds the browser part into dist/browser unless it is current, and returns that folder. It is built beside and then
 * moved into place, so that two houses starting from one checkout never see half of it. Throws `browser_build_failed`, `checkout_not_writable`.
 */
export async function buildBrowser(root: string, log: (line: string) => void): Promise<string> {
  const output = join(root, 'dist/browser');
  const stamp = join(output, STAMP);
  const wanted = hashInputs(root);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return output;
  refuseUnwritable(root);
  log('building the browser part');
  const beside = `${output}.${process.pid}`;
  try {
    await runVite(root, beside);
    writeFileSync(join(beside, STAMP), wanted);
    rmSync(output, { recursive: true, force: true });
    renameSync(beside, output);
  } catch (error) {
    rmSync(beside, { recursive: true, force: true });
    // Another start of the same checkout may have put its own, equal build there in between.
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return output;
    throw error;
  }
  return output;
}
