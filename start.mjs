// The one file that must run on an old Node (20.19 or newer): installs what is missing, picks a supported runtime and
// hands over to app/bin/main.ts. Plain JavaScript, no dependencies.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Node 24 is the LTS line that the house is tested on; it strips types and speaks X25519MLKEM768. */
const NODE_MAJOR_MIN = 24;
const ROOT = fileURLToPath(new URL('.', import.meta.url));
const STAMP = join(ROOT, 'node_modules', '.auditrax-lockfile.sha256');
/** How soon the end of npm is noticed. */
const PARENT_POLL_MS = 500;
/** No command of ours makes a weaker connection; the processes of the house get the same (`TLS_FLOOR_ARGUMENTS`). */
const TLS_FLOOR = ['--tls-min-v1.3', '--tls-cipher-list=TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function fail(line) {
  process.stderr.write(`auditrax: ${line}\n`);
  process.exit(1);
}

function runningNodeIsNewEnough() {
  return Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN;
}

function refuseUnsupportedPlatform() {
  if (process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')) return;
  fail(
    `${process.platform}/${process.arch} is not supported: the embedded PostgreSQL and runtime are for Linux with glibc on x64 or arm64. ` +
      `Run it in such a machine or container.`,
  );
}

function lockfileHash() {
  return createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
}

function isInstalled() {
  return existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lockfileHash();
}

function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options);
    child.on('error', reject);
    endWithNpm(child);
    child.on('exit', (code, signal) => resolve(signal ? 1 : code));
  });
}

async function install() {
  process.stderr.write('auditrax: installing the pinned packages (about half a minute, once)\n');
  // No install script of any package ever runs: what a package needs done, the house does visibly itself.
  const args = ['ci', '--ignore-scripts', '--loglevel=error', '--no-audit', '--no-fund'];
  const npmCli = process.env.npm_execpath;
  const quiet = { cwd: ROOT, stdio: ['ignore', 2, 2], env: { ...process.env, npm_config_loglevel: 'error' } };
  const code = npmCli?.endsWith('.js')
    ? await run(process.execPath, [npmCli, ...args], quiet)
    : await run('npm', args, quiet).catch(() => 1);
  if (code !== 0) fail('npm ci did not succeed (its message is above); mend that and run the same command again.');
  writeFileSync(STAMP, lockfileHash());
}

function runtime() {
  if (runningNodeIsNewEnough()) return process.execPath;
  const pinned = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (!existsSync(pinned)) {
    fail(
      `Node ${process.versions.node} is too old and the pinned Node 24 is not in node_modules: run \`npm ci --ignore-scripts --include=optional\`, or install Node ${NODE_MAJOR_MIN}.`,
    );
  }
  return pinned;
}

/** Killed outright, npm passes nothing on: then its end is ours. Started otherwise, outliving a parent is what nohup is for. */
function endWithNpm(child) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    child.kill('SIGTERM');
  }, PARENT_POLL_MS);
}

/** Installs if needed and runs app/bin/main.ts with `args` under a supported Node; ends this process with its code. */
export async function bootstrap(args) {
  refuseUnsupportedPlatform();
  if (!isInstalled()) await install();
  const node = runtime();
  if (args[0] === 'start' && node !== process.execPath) {
    process.stderr.write(
      `auditrax: Node ${process.versions.node} is out of support; using the pinned Node ${NODE_MAJOR_MIN} of node_modules\n`,
    );
  }
  const path = `${join(ROOT, 'node_modules', '.bin')}:${join(node, '..')}:${process.env.PATH ?? ''}`;
  const child = spawn(
    node,
    ['--disable-warning=ExperimentalWarning', ...TLS_FLOOR, join(ROOT, 'app/bin/main.ts'), ...args],
    {
      // The channel carries nothing: it closes when this process ends in whatever way, and a house then stops by itself.
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, PATH: path },
    },
  );
  child.channel?.unref();
  // A terminal sends Ctrl-C to the whole group, a service manager only to us: pass on what we get and wait for the child.
  for (const signal of SIGNALS) process.on(signal, () => child.kill(signal));
  endWithNpm(child);
  child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
  child.on('error', (error) => fail(`could not start ${node}: ${error.message}`));
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await bootstrap(process.argv.slice(2));
}
