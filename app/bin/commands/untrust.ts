import { parseArgs } from 'node:util';
import { removeTrust } from '../edge-trust.ts';

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write('Usage: auditrax untrust\n\nRemoves what `auditrax trust` installed.\n');
    return 0;
  }
  for (const line of removeTrust()) process.stdout.write(`${line}\n`);
  return 0;
}
