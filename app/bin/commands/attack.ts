import { parseArgs } from 'node:util';
import { withHouse } from '../running-house.ts';

const HELP = `Usage: npm run -s attack -- [NAME…] [--json]

Plays the attack corpus on canary tenants: every route with a foreign, a forged and a missing id, and every layer at its
own door. Exit 1 when one attempt succeeds or goes unseen or unpaged.
`;

interface Attack {
  readonly name: string;
  readonly attempts: number;
  readonly refused: number;
  readonly seen: number;
  readonly paged: number;
  readonly page_latency_ms_max: number;
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const progress = (line: string): void => void process.stderr.write(`${line}\n`);
  const report = (await withHouse(progress, (ask) => ask('attack', { names: positionals }))) as unknown as {
    attacks: Attack[];
    ok: boolean;
  };
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    process.stdout.write(`${'attack'.padEnd(48)} tried refused seen paged  slowest page\n`);
    for (const attack of report.attacks) {
      const counts = [attack.attempts, attack.refused, attack.seen, attack.paged]
        .map((count) => String(count).padStart(6))
        .join(' ');
      process.stdout.write(`${attack.name.padEnd(48)}${counts}  ${attack.page_latency_ms_max} ms\n`);
    }
  }
  return report.ok ? 0 : 1;
}
