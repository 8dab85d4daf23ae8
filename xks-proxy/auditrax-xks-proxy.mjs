#!/usr/bin/env node
// Runs on an old Node too: picks a supported runtime and hands over to src/main.ts. Plain JavaScript, no dependencies.
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Node 24 is the LTS line this is tested on; it strips types and speaks X25519MLKEM768. */
const NODE_MAJOR_MIN = 24;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const HERE = join(realpathSync(fileURLToPath(import.meta.url)), '..');

function runtime() {
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return process.execPath;
  const pinned = join(HERE, '..', 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (existsSync(pinned)) return pinned;
  process.stderr.write(`auditrax-xks-proxy: Node ${process.versions.node} is too old; install ${NODE_MAJOR_MIN}\n`);
  return process.exit(1);
}

const args = ['--disable-warning=ExperimentalWarning', join(HERE, 'src', 'main.ts'), ...process.argv.slice(2)];
const child = spawn(runtime(), args, { stdio: 'inherit' });
for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
