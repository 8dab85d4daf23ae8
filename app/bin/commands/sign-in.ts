import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askHouse } from '../../platform/supervisor/control.ts';
import { readSettings } from '../settings.ts';

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } } });
  if (values.help) {
    process.stdout.write(
      'Usage: auditrax sign-in [--json]\n\nPrints fresh one-time links of the sample roles of the running house.\n',
    );
    return 0;
  }
  const socket = join(readSettings(process.env).state, 'supervisor/control');
  const ask = (name: string) => askHouse(socket, { name, input: null }, () => {});
  const { edge, tryout } = (await ask('status')) as { edge: string; tryout: string | null };
  const links = (await ask('links')) as { tenant: string; role: string; linkPath: string; enrolPath: string }[];
  const base = tryout ?? edge;
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify(links.map((link) => ({ ...link, link: base + link.linkPath, enrol: base + link.enrolPath })))}\n`,
    );
    return 0;
  }
  for (const { tenant, role, linkPath, enrolPath } of links) {
    process.stdout.write(
      `${role}, ${tenant}\n    with a passkey  ${base}${enrolPath}\n    without one     ${base}${linkPath}\n`,
    );
  }
  return 0;
}
