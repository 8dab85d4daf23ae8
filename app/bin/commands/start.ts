import { createInterface } from 'node:readline/promises';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { AppError, type Json } from '@auditrax/base';
import { openControl } from '../../platform/supervisor/control.ts';
import { answerControl } from '../control-commands.ts';
import { controlSocket, startHouse, type House } from '../house.ts';
import { isRoutine } from '../process-log.ts';
import { readSettings, type Settings } from '../settings.ts';
import { stopSignal, untilAborted } from '../stop-signal.ts';

const HELP = `Usage: npm start [-- --quiet | --verbose] [-- --no-prove]

Starts Auditrax on embedded parts, seeds the sample organisation, runs every probe once and says where to look.
Ctrl-C stops everything. Settings: docs/reference/configuration.md.

  --quiet      no output of the processes at all
  --verbose    all of it; without either, only faults (everything is in the log file of the state folder)
  --no-prove   do not wait for the first run of the probes (they run in the background all the same)
`;

/** One person who can come in by a link, as the issuer's seed answers it. */
interface WayIn {
  readonly tenant: string;
  readonly role: string;
  /** Null in earnest: nobody signs in without a passkey. */
  readonly linkPath: string | null;
  /** Null for a person who has a passkey. */
  readonly enrolPath: string | null;
}

function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

function stepper(): (line: string) => void {
  const started = performance.now();
  return (line) => say(`  ${((performance.now() - started) / 1000).toFixed(1).padStart(5)} s  ${line}`);
}

function printSignIns(base: string, links: readonly WayIn[]): void {
  const isSample = links.some(({ linkPath }) => linkPath !== null);
  say(isSample ? 'Sign in (sample organisations only; each link works once):' : 'First sign-in (the link works once):');
  for (const { role, tenant, enrolPath, linkPath } of links) {
    say(`  ${role}, ${tenant}`);
    if (enrolPath !== null) say(`      with a passkey (create it now)   ${base}${enrolPath}`);
    if (linkPath !== null) say(`      without one (cannot approve)     ${base}${linkPath}`);
  }
  say('  New links at any time: npm exec --no -- auditrax sign-in');
}

function printWhere(house: House, links: readonly WayIn[]): void {
  const { settings, edgeUrl, tryoutUrl } = house;
  const base = tryoutUrl ?? edgeUrl;
  say();
  say('Auditrax is running.');
  say(`  Security page   ${base}/security`);
  say(`  App             ${base}/app/`);
  if (tryoutUrl !== undefined) {
    say(`  TLS edge        ${edgeUrl}   (run \`npm exec --no -- auditrax trust\` once, and browsers accept it)`);
    say(
      '  The http://localhost address is for trying out: loopback only, sample tenants only, impossible in production.',
    );
  }
  if (!settings.hasDisplay && tryoutUrl !== undefined) {
    say(
      `  No display here: from your own machine run  ssh -L ${new URL(tryoutUrl).port}:localhost:${new URL(tryoutUrl).port} ${hostname()}`,
    );
  }
  say();
  if (links.length > 0) printSignIns(base, links);
  say();
  say(`State folder: ${settings.state}`);
  say(`What the processes say: ${house.state.logFile}`);
  say('The log’s public keys, for whoever verifies your bundles: npm exec --no -- auditrax log-keys');
  if (house.separation === 'passwords') {
    say(
      'Started as an ordinary user: the processes share one user, so their separation is asserted, not proven. Start as root to prove it.',
    );
  }
}

/** Shows the recovery key at the start that made it; asks for it at the next one, so that it is not lost unnoticed. */
async function handleRecoveryKey(house: House, stopped: AbortSignal): Promise<void> {
  const shown = await house.supervisor.ask('keys', 'recovery-key-once', house.state.isNew);
  if (typeof shown === 'string') {
    say();
    say('Recovery key, shown this once. Without it a backup cannot be opened. Write it down:');
    say(`  ${shown}`);
    return;
  }
  const confirmed = await house.supervisor.ask('keys', 'recovery-confirmed', null);
  if (confirmed === true) return;
  if (!process.stdin.isTTY) {
    say('The recovery key has not been confirmed yet: start once in a terminal and type it in.');
    return;
  }
  const typed = await askPerson('Type the recovery key to confirm that you have it (Enter: later): ', stopped);
  if (typed === '') return;
  await house.supervisor.ask('keys', 'confirm-recovery', typed).then(
    () => say('  confirmed'),
    (error: unknown) => say(`  not confirmed: ${(error as Error).message}`),
  );
}

/** One line from the terminal; empty when the house is stopped meanwhile. */
async function askPerson(question: string, stopped: AbortSignal): Promise<string> {
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  // The terminal is in raw mode now: Ctrl-C arrives as a key, and must still stop the house.
  prompt.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    return (await prompt.question(question, { signal: stopped })).trim();
  } catch (error) {
    if (stopped.aborted) return '';
    throw error;
  } finally {
    prompt.close();
  }
}

interface Wishes {
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly 'no-prove'?: boolean;
}

/** Seeds, proves, says where to look, and sees to the recovery key. */
async function welcome(
  house: House,
  wishes: Wishes,
  deps: { step: (line: string) => void; stopped: AbortSignal },
): Promise<void> {
  const { supervisor, settings, state } = house;
  deps.step(settings.production ? 'operator' : 'sample organisation');
  const links = (await supervisor.ask('issuer', 'seed', null)) as unknown as WayIn[];
  await supervisor.ask('sentinel', 'begin', null);
  if (wishes['no-prove'] === true || settings.production) printWhere(house, links);
  else {
    deps.step('running every probe once');
    const summary = await supervisor.ask('sentinel', 'prove', { claims: [], rehearse: false }).then(
      (report) => (report as { summary: string }).summary,
      (error: unknown) => `The probes did not run: ${(error as Error).message}`,
    );
    if (deps.stopped.aborted) return;
    printWhere(house, links);
    say();
    say(summary);
  }
  await handleRecoveryKey(house, deps.stopped);
  if (deps.stopped.aborted) return;
  state.markInitialised();
  say('Stop with Ctrl-C.');
}

/** Runs the house until it is told to stop; whatever happens, nothing of it is left running. */
async function runHouse(settings: Settings, wishes: Wishes): Promise<void> {
  const step = stepper();
  const stopped = stopSignal();
  const house = await startHouse({ settings, progress: step, log: terminal(wishes), alarm: say, signal: stopped });
  if (wishes.quiet === true) house.supervisor.onFatal((service, _code, message) => say(`${service}: ${message}`));
  const control = await openControl(controlSocket(house.state), (name, input, progress) =>
    answerControl(house, { name, input }, progress),
  );
  try {
    const welcomed = welcome(house, wishes, { step, stopped });
    await Promise.race([welcomed, untilAborted(stopped)]);
    welcomed.catch(() => undefined); // what a stop cuts off fails afterwards
    await untilAborted(stopped);
    say('\nStopping: finishing what has been begun.');
  } finally {
    house.state.markStopping();
    await control.close();
    await house.stop();
  }
}

/** What a person at the terminal sees of the processes: all, nothing, or what is not one of their own routine lines. */
function terminal({ quiet, verbose }: Wishes): (line: string) => void {
  if (quiet === true) return () => undefined;
  return (line) => {
    if (verbose === true || !isRoutine(line)) process.stderr.write(`${line}\n`);
  };
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h' },
      quiet: { type: 'boolean' },
      verbose: { type: 'boolean' },
      'no-prove': { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    await runHouse(readSettings(process.env), values);
    return 0;
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('start_failed', (error as Error).stack ?? String(error), { cause: error as Json });
  }
}
