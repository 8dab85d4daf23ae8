import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AppError } from '@auditrax/base';
import type { AttackReport, AttackRow } from '../../probes/attack-report.ts';
import { ROOT } from '../root.ts';
import { withHouse } from '../running-house.ts';

const HELP = `Usage: npm run -s attack -- [NAME…] [--layers | --no-layers] [--json]

Plays the attack corpus on canary tenants of the running house: every route with a foreign, a forged and a missing id,
and every layer at its own door. A name plays only the attempts that begin with it.
Then takes each wall between tenants away in turn, in a house of its own, and attacks every door (not with names, unless
--layers asks for it; never with --no-layers).
Exit 1 when one attempt succeeds or goes unseen or unpaged.
`;

/** One wall removed (or none), one door attacked. */
type MatrixRow = Omit<AttackRow, 'name' | 'answers'> & { readonly removed: string; readonly door: string };

/**
 * The program that removes walls is a test's: the house itself has no switch for it. Rejects `layers_failed` when it
 * ends without a result.
 */
async function measureLayers(): Promise<{ matrix: MatrixRow[]; ok: boolean }> {
  const program = join(ROOT, 'e2e/mutants/run-layers.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (piece: string) => {
    said += piece;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new AppError('layers_failed', `the walls could not be tried one by one (${code})`);
  return JSON.parse(said) as { matrix: MatrixRow[]; ok: boolean };
}

function counts(row: Pick<AttackRow, 'attempts' | 'refused' | 'seen' | 'paged'>): string {
  return [row.attempts, row.refused, row.seen, row.paged].map((count) => String(count).padStart(6)).join(' ');
}

function printAttacks(attacks: readonly AttackRow[]): void {
  const width = Math.max(...attacks.map((attack) => attack.name.length), 'attack'.length);
  process.stdout.write(`${'attack'.padEnd(width)}  tried refused seen paged  slowest page\n`);
  for (const attack of attacks)
    process.stdout.write(`${attack.name.padEnd(width)}${counts(attack)}  ${attack.page_latency_ms_max} ms\n`);
}

function printMatrix(matrix: readonly MatrixRow[]): void {
  process.stdout.write(`\n${'removed'.padEnd(10)}${'door'.padEnd(10)} tried refused seen paged  told the log\n`);
  for (const row of matrix) {
    const by = row.stopped_by.join(', ') || 'nobody';
    process.stdout.write(`${row.removed.padEnd(10)}${row.door.padEnd(10)}${counts(row)}  ${by}\n`);
  }
}

/** The corpus by door, in the form of the matrix: every wall is in its place in the running house. */
function asRunning({ matrix }: AttackReport): MatrixRow[] {
  return matrix.map(({ name, answers: _answers, ...row }) => ({ removed: 'none', door: name, ...row }));
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      layers: { type: 'boolean' },
      'no-layers': { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const progress = (line: string): void => void process.stderr.write(`${line}\n`);
  const report = (await withHouse(progress, (ask) => ask('attack', { names: positionals }))) as unknown as AttackReport;
  const isWanted = values.layers === true || (positionals.length === 0 && values['no-layers'] !== true);
  const layers = isWanted ? await measureLayers() : { matrix: asRunning(report), ok: true };
  const ok = report.ok && layers.ok;
  if (values.json) {
    const { attacks, answers, faults } = report;
    process.stdout.write(`${JSON.stringify({ attacks, ok, matrix: layers.matrix, answers, faults })}\n`);
    return ok ? 0 : 1;
  }
  printAttacks(report.attacks);
  printMatrix(layers.matrix);
  for (const fault of report.faults) process.stderr.write(`auditrax: ${fault}\n`);
  return ok ? 0 : 1;
}
