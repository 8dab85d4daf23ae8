import { parseArgs } from 'node:util';
import { withHouse } from '../running-house.ts';
import { installSystemPackages } from '../system-packages.ts';

const HELP = `Usage: npm run -s prove -- [CLAIM…] [--json]

Runs the probes of the named claims (all that have one, when none is named) against the running house, or one that it
starts itself, and lists the rest. As root on Debian, and not in
production, it installs softhsm2 first: rehearsals of key stores need it. Exit 1 when a claim that has a probe is not green, or a named one has none.
`;

interface Report {
  readonly claims: readonly {
    readonly id: string;
    readonly grade: string;
    readonly state: string;
    readonly observed_at: string | null;
    readonly detail: string;
    readonly probed: boolean;
  }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly summary: string;
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
  if (process.env['NODE_ENV'] !== 'production') installSystemPackages(progress, ['softhsm2']);
  const report = (await withHouse(progress, (ask) => ask('prove', { claims: positionals }))) as unknown as Report;
  const asked =
    positionals.length === 0
      ? report.claims.filter((claim) => claim.probed)
      : report.claims.filter((claim) => positionals.includes(claim.id));
  const unknown = positionals.filter((id) => !report.claims.some((claim) => claim.id === id));
  const bad = asked.filter((claim) => !claim.probed || claim.state !== 'green');
  if (values.json) {
    const claims = report.claims.map(({ id, grade, state, observed_at, detail }) => ({
      id,
      grade,
      state,
      observed_at,
      detail,
    }));
    process.stdout.write(`${JSON.stringify({ claims, counts: report.counts })}\n`);
  } else {
    for (const claim of report.claims)
      process.stdout.write(
        `${claim.grade.padEnd(9)} ${claim.state.padEnd(8)} ${claim.id.padEnd(28)} ${claim.detail}\n`,
      );
    process.stdout.write(`\n${report.summary}\n`);
  }
  for (const id of unknown) process.stderr.write(`auditrax: there is no claim "${id}"\n`);
  for (const claim of bad)
    process.stderr.write(
      `auditrax: ${claim.id} is ${claim.probed ? claim.state : 'without a probe'}: ${claim.detail}\n`,
    );
  return bad.length + unknown.length === 0 ? 0 : 1;
}
