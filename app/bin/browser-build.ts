import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
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

/**
 * Builds the browser part into dist/browser unless it is current, and returns that folder. Throws
 * `browser_build_failed` with Vite's own words.
 */
export async function buildBrowser(root: string, log: (line: string) => void): Promise<string> {
  const output = join(root, 'dist/browser');
  const stamp = join(output, '.inputs.sha256');
  const wanted = hashInputs(root);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return output;
  log('building the browser part');
  const child = spawn(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'error'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number>((resolve) => child.on('exit', (status) => resolve(status ?? 1)));
  if (code !== 0) throw new AppError('browser_build_failed', `the browser part did not build:\n${said}`);
  writeFileSync(stamp, wanted);
  return output;
}
