import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isAppError, systemClock, systemRandom } from '@auditrax/base';
import type { KekHealth } from '@auditrax/seal';
import { pkcs11Token, type Pkcs11Token } from '@auditrax/seal/pkcs11';
import { buildNative } from '../../app/bin/native-build.ts';
import { loadConfig, type ProxyConfig } from './config.ts';
import { newCredential } from './credential.ts';
import { startProxy, type LogEntry, type RunningProxy } from './proxy.ts';

const HELP = `Usage: auditrax-xks-proxy --config FILE
       auditrax-xks-proxy --config FILE --check
       auditrax-xks-proxy --new-credential PREFIX > FILE

An external key store proxy for AWS KMS (XKS Proxy API v1.0.3) in front of a PKCS#11 HSM.

  --config FILE            the configuration (JSON; see the README)
  --check                  reads the configuration and every file it names, connects to the HSM, says what is wrong
  --new-credential PREFIX  prints a new credential for the store under that URI path prefix ("" for none), in the
                           JSON that the KMS console takes
  --help                   this

SIGHUP reads the configuration anew: credentials, keys, limits, certificates. SIGTERM lets requests finish and ends.
One JSON line a request goes to standard output.
`;

/** A call that hangs in the HSM's module longer than this takes its session with it. */
const TOKEN_DEADLINE_MS = 3_000;
/** How soon a token that is back is used again without a caller's help. */
const WATCH_MS = 2_000;
/** First contact: a process, a module and a login, perhaps over a network. */
const CONNECT_MS = 15_000;

function log(entry: LogEntry): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
}

function fail(line: string): number {
  process.stderr.write(`auditrax-xks-proxy: ${line}\n`);
  return 1;
}

/** The binding to HSM modules is compiled once, on the machine it runs on; says so on standard error. */
async function buildDriver(): Promise<void> {
  const root = join(import.meta.dirname, '../..');
  await buildNative(root, (line) => process.stderr.write(`auditrax-xks-proxy: ${line}\n`));
}

function connect({ hsm, pin, concurrentRequestsMax }: ProxyConfig, deadline_ms: number): Pkcs11Token {
  const { modulePath, tokenLabel, tokenSerial, environment, sessions } = hsm;
  return pkcs11Token({
    modulePath,
    tokenLabel,
    ...(tokenSerial !== undefined && { tokenSerial }),
    pin,
    environment,
    sessions,
    queue_max: concurrentRequestsMax,
    deadline_ms,
  });
}

/** Labels of the configuration that the token does not have. */
async function missingLabels(config: ProxyConfig, token: Pkcs11Token): Promise<string[]> {
  const labels = [...config.stores.values()].flatMap(({ keys }) => [...keys.values()].flatMap((key) => key.labels));
  const health = config.hsm.healthKeyLabel;
  const found = await Promise.all(
    [...labels, ...(health === undefined ? [] : [health])].map(async (label) => ({
      label,
      key: await token.findKey({ label }),
    })),
  );
  return found.filter(({ key }) => key === undefined).map(({ label }) => label);
}

async function check(config: ProxyConfig): Promise<number> {
  const token = connect(config, CONNECT_MS);
  try {
    const facts = await token.facts();
    const missing = await missingLabels(config, token);
    if (missing.length > 0) return fail(`the token ${facts.label} has no key labelled ${missing.join(', ')}`);
    process.stdout.write(`the configuration and the token ${facts.label} (${facts.serial}) can be used\n`);
    return 0;
  } finally {
    token.close();
  }
}

/**
 * Asks the token now and then, in every session at once: the first call of a session pays for a process, a module and a
 * login, and no caller should. Says when the token goes and when it is back.
 */
function watchToken(token: Pkcs11Token, sessions: number): { first: Promise<KekHealth>; stop(): void } {
  let wasOk = true;
  let isLooking = false;
  const look = async () => {
    isLooking = true;
    // One before the others: only after a login are further sessions begun.
    const health = await token.health();
    if (health.ok) await Promise.all(Array.from({ length: sessions }, () => token.health()));
    if (health.ok !== wasOk) log(health.ok ? { event: 'hsm-back' } : { event: 'hsm-lost', reason: health.message });
    wasOk = health.ok;
    isLooking = false;
    return health;
  };
  const first = look();
  // One look at a time: a token that hangs is not asked once more every two seconds.
  const timer = setInterval(() => {
    if (!isLooking) void look();
  }, WATCH_MS);
  return { first, stop: () => clearInterval(timer) };
}

/** Settings that a running proxy cannot change, as one text. */
function fixedSettings({ listen, hsm, pin }: ProxyConfig): string {
  return JSON.stringify([listen, hsm, pin]);
}

async function reload(path: string, running: { proxy: RunningProxy; config: ProxyConfig }): Promise<void> {
  try {
    const next = await loadConfig(path);
    running.proxy.reload(next);
    const needsRestart = fixedSettings(next) !== fixedSettings(running.config);
    log({
      event: 'reloaded',
      stores: next.stores.size,
      ...(needsRestart && { needsRestart: 'listen or hsm changed' }),
    });
  } catch (error) {
    log({ event: 'reload-refused', reason: (error as Error).message });
  }
}

async function serve(path: string, config: ProxyConfig): Promise<number> {
  const token = connect(config, TOKEN_DEADLINE_MS);
  const watch = watchToken(token, config.hsm.sessions);
  const proxy = await startProxy({ config, token, clock: systemClock, random: systemRandom, log });
  process.on('SIGHUP', () => void reload(path, { proxy, config }));
  const ended = new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  const health = await watch.first;
  log({ event: 'ready', port: proxy.port, hsm: health.ok ? 'usable' : health.message });
  const signal = await ended;
  log({ event: 'draining', signal });
  await proxy.drain();
  watch.stop();
  token.close();
  log({ event: 'ended' });
  return 0;
}

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      config: { type: 'string' },
      check: { type: 'boolean' },
      'new-credential': { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const prefix = values['new-credential'];
  if (prefix !== undefined) {
    if (!/^(\/[A-Za-z0-9_-]+)*$/.test(prefix))
      return fail(`${prefix} is no prefix: it begins with a slash, or is empty`);
    process.stdout.write(`${JSON.stringify(newCredential(prefix, systemRandom), null, 2)}\n`);
    return 0;
  }
  if (values.config === undefined) return fail('--config FILE is missing; --help says more');
  const config = await loadConfig(values.config);
  await buildDriver();
  return values.check ? check(config) : serve(values.config, config);
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  // What a person can mend is told without a stack.
  const isExpected = isAppError(error) || (error as NodeJS.ErrnoException).code !== undefined;
  process.exitCode = fail(isExpected ? (error as Error).message : ((error as Error).stack ?? String(error)));
}
