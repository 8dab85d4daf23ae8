import { generateKeyPairSync } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { isAppError, systemClock } from '@auditrax/base';
import { createCosigner } from '@auditrax/tlog';
import { loadConfig, type WitnessConfig } from './config.ts';
import { startWitness, type WitnessLogEntry } from './witness.ts';

const HELP = `Usage: auditrax-witness --config FILE
       auditrax-witness --config FILE --check
       auditrax-witness --config FILE --policy-line
       auditrax-witness --new-key > FILE

A witness of transparency logs (C2SP tlog-witness): it co-signs a log's checkpoint when the log has grown from what it
co-signed before, and refuses everything else. Run it where the log's operator has no say.

  --config FILE   the configuration (JSON; see the README)
  --check         reads the configuration and every file it names, says what is wrong
  --policy-line   prints the line by which others name this witness in a trust policy (C2SP tlog-policy)
  --new-key       prints a new private key (PEM); keep it where only the witness can read it
  --help          this

SIGTERM lets requests finish and ends. One JSON line a request goes to standard output.
`;

function log(entry: WitnessLogEntry): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
}

function fail(line: string): number {
  process.stderr.write(`auditrax-witness: ${line}\n`);
  return 1;
}

async function policyLine(config: WitnessConfig): Promise<string> {
  const { verifierKey } = await createCosigner(config.name, config.privateKey);
  const { tls, listen, uriPathPrefix } = config;
  const label = config.name.replaceAll(/[^A-Za-z0-9]/g, '-');
  return `witness ${label} ${verifierKey} ${tls === undefined ? 'http' : 'https'}://${listen.host}:${listen.port}${uriPathPrefix}\n`;
}

async function serve(config: WitnessConfig): Promise<number> {
  const witness = await startWitness({ config, clock: systemClock, log });
  const ended = new Promise<string>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  log({ event: 'ready', port: witness.port, verifierKey: witness.verifierKey, logs: config.logs.size });
  log({ event: 'draining', signal: await ended });
  await witness.stop();
  return 0;
}

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      config: { type: 'string' },
      check: { type: 'boolean' },
      'policy-line': { type: 'boolean' },
      'new-key': { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values['new-key']) {
    process.stdout.write(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return 0;
  }
  if (values.config === undefined) return fail('--config FILE is missing; --help says more');
  const config = await loadConfig(values.config);
  await access(config.journalFolder, constants.W_OK);
  if (values['policy-line']) process.stdout.write(await policyLine(config));
  else if (values.check) process.stdout.write(`the configuration can be used; it names ${config.logs.size} logs\n`);
  else return serve(config);
  return 0;
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  // What a person can mend is told without a stack.
  const isExpected = isAppError(error) || (error as NodeJS.ErrnoException).code !== undefined;
  process.exitCode = fail(isExpected ? (error as Error).message : ((error as Error).stack ?? String(error)));
}
