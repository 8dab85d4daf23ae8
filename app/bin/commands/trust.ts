import { parseArgs } from 'node:util';
import { installTrust } from '../edge-trust.ts';

const HELP = `Usage: auditrax trust

Makes this machine accept the TLS edge of the running house: installs its certificate authority, which is constrained to
localhost, 127.0.0.1 and ::1 and whose key no longer exists. Undo: auditrax untrust.
`;

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  for (const line of await installTrust()) process.stdout.write(`${line}\n`);
  return 0;
}
