import { AppError } from '@auditrax/base';
import { preferHybridGroups } from '@auditrax/workload/egress';

interface Command {
  readonly summary: string;
  readonly load: () => Promise<{ run(args: string[]): Promise<number> }>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  start: {
    summary: 'start everything, seed the sample, prove the page, say where to look',
    load: () => import('./commands/start.ts'),
  },
  prove: {
    summary: 'run the probes of the named claims (all that have one) and say what each saw',
    load: () => import('./commands/prove.ts'),
  },
  attack: {
    summary: 'play the attack corpus against the running house, or one it starts',
    load: () => import('./commands/attack.ts'),
  },
  verify: { summary: 'verify an exported proof bundle offline', load: () => import('./commands/verify.ts') },
  'log-keys': {
    summary: 'print the keys that outsiders verify the logs with; begin a new generation after a restore',
    load: () => import('./commands/log-keys.ts'),
  },
  'id-key': {
    summary: 'list, rotate or retire the keys that ids are tagged with',
    load: () => import('./commands/id-key.ts'),
  },
  doctor: {
    summary: 'say what is wrong with this installation and what to do about it',
    load: () => import('./commands/doctor.ts'),
  },
  backup: { summary: 'write one sealed backup file', load: () => import('./commands/backup.ts') },
  restore: { summary: 'restore a backup file into an empty state folder', load: () => import('./commands/restore.ts') },
  byok: {
    summary: 'pack key material of your own for AWS KMS, print the policy of its key',
    load: () => import('./commands/byok.ts'),
  },
  'root-key': {
    summary: 'make a root key for a credential store, or put the key ring under a passphrase',
    load: () => import('./commands/root-key.ts'),
  },
  trust: {
    summary: 'make this machine trust the edge certificate of this house',
    load: () => import('./commands/trust.ts'),
  },
  untrust: { summary: 'undo trust', load: () => import('./commands/untrust.ts') },
  'sign-in': {
    summary: 'print fresh one-time sign-in and enrolment links of the sample roles',
    load: () => import('./commands/sign-in.ts'),
  },
  bench: { summary: 'measure one of: request, seal, tenancy, start', load: () => import('./commands/bench.ts') },
  check: {
    summary: 'format, lint, types, boundaries, dead code, licences, secrets',
    load: () => import('./commands/check.ts'),
  },
  test: { summary: 'every check and every test', load: () => import('./commands/test.ts') },
};

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: auditrax COMMAND [options]\n\n${lines.join('\n')}\n\nauditrax COMMAND --help says more. Settings are environment variables: see docs/reference/configuration.md.\n`;
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return name === undefined ? 2 : 0;
  }
  const command = COMMANDS[name];
  if (command === undefined) {
    process.stderr.write(`auditrax: there is no command "${name}"\n\n${help()}`);
    return 2;
  }
  return (await command.load()).run(rest);
}

/** `auditrax … | head` closes the pipe when it has enough: that is no fault, and nothing more is to be said. */
function endQuietlyWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(process.exitCode ?? 0);
  });
}

preferHybridGroups();
endQuietlyWithReader();
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof AppError;
  process.stderr.write(`auditrax: ${known ? error.message : ((error as Error).stack ?? String(error))}\n`);
  process.exitCode = 1;
}
