import { parseArgs } from 'node:util';
import { AppError } from '@auditrax/base';

const HELP = `Usage: npm run -s bench -- NAME [--json]

  request   the whole authenticated, authorised, walled and logged request against a bare Fastify + pg handler:
            CPU-seconds per request over all processes, both sides over TLS, in one run
  policy    compiled decisions on the house's own policies against Cedar's, and how long compiling them takes
  seal      sealing of files and fields against OpenSSL's own rate and the AWS Encryption SDK: CPU-seconds, one core
  tenancy   the walls between tenants against the same work without them: point reads, five statements, lists, requests
  ledger    the audit log: receipts at 300 actions a second, the sequencer against COPY and against a hash chain, the cost
            of guard and entry, and what a full audit, a cold proof and an audit in the browser cost
  identity  a whole acceptance of a SAML response against the library's verification of the same message alone; how long
            somebody who left is still in, from their directory's message until the last effect
  start     seconds of a first and of a later start, on this machine with the packages installed
`;

export interface BenchResult {
  readonly figures: Readonly<Record<string, number | string>>;
  readonly conditions: Readonly<Record<string, unknown>>;
}

const BENCHES: Readonly<
  Record<string, () => Promise<{ run(progress: (line: string) => void): Promise<BenchResult> }>>
> = {
  request: () => import('../../../bench/request-house.ts'),
  policy: () => import('../../../bench/policy.ts'),
  seal: () => import('../../../bench/seal.ts'),
  tenancy: () => import('../../../bench/tenancy.ts'),
  ledger: () => import('../../../bench/ledger.ts'),
  identity: () => import('../../../bench/identity.ts'),
  start: () => import('../../../bench/start.ts'),
};

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } },
  });
  const [name] = positionals;
  if (values.help || name === undefined) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const load = BENCHES[name];
  if (load === undefined)
    throw new AppError('unknown_bench', `there is no bench "${name}": ${Object.keys(BENCHES).join(', ')}`);
  const result = await (await load()).run((line) => process.stderr.write(`${line}\n`));
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${JSON.stringify(result, null, 2)}\n`);
  return 0;
}
