#!/usr/bin/env node
// Runs on an old Node too: picks a supported runtime and hands over to src/main.ts. Plain JavaScript, no dependencies.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Node 24 is the LTS line this is tested on; it strips types. */
const NODE_MAJOR_MIN = 24;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const HERE = join(realpathSync(fileURLToPath(import.meta.url)), '..');

function fail(line) {
  process.stderr.write(`auditrax-witness: ${line}\n`);
  process.exit(1);
}

/** The Node of the checkout, in a process of its own. */
function runPinned() {
  const pinned = join(HERE, '..', 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (!existsSync(pinned)) fail(`Node ${process.versions.node} is too old; install ${NODE_MAJOR_MIN}`);
  const child = spawn(pinned, [join(HERE, 'auditrax-witness.mjs'), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
}

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) runPinned();
else await import('./src/main.ts');
