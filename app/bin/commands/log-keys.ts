import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askHouse } from '../../platform/supervisor/control.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax log-keys

Prints the verifier key of each tenant's log, one a line, as the signer holds them. Give a tenant its key by a way other
than the bundle: \`auditrax verify BUNDLE --key KEY\` then needs no trust in this server.
`;

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const socket = join(readSettings(process.env).state, 'supervisor/control');
  const keys = (await askHouse(socket, { name: 'log-keys', input: null }, () => {})) as string[];
  for (const key of keys) process.stdout.write(`${key}\n`);
  return 0;
}
