import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askHouse } from '../../platform/supervisor/control.ts';
import { readSettings } from '../settings.ts';

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } } });
  if (values.help) {
    process.stdout.write(
      'Usage: auditrax sign-in [--json]\n\nPrints fresh one-time links: of the sample roles, or, in production, of the operator who has no passkey yet.\n',
    );
    return 0;
  }
  const socket = join(readSettings(process.env).state, 'supervisor/control');
  const ask = (name: string) => askHouse(socket, { name, input: null }, () => {});
  const { edge, tryout } = (await ask('status')) as { edge: string; tryout: string | null };
  const links = (await ask('links')) as {
    tenant: string;
    role: string;
    linkPath: string | null;
    enrolPath: string | null;
  }[];
  const at = (path: string | null) => (path === null ? null : (tryout ?? edge) + path);
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify(links.map((link) => ({ ...link, link: at(link.linkPath), enrol: at(link.enrolPath) })))}\n`,
    );
    return 0;
  }
  if (links.length === 0) process.stdout.write('Everybody who could have a link has a passkey.\n');
  for (const { tenant, role, linkPath, enrolPath } of links) {
    process.stdout.write(`${role}, ${tenant}\n`);
    if (enrolPath !== null) process.stdout.write(`    with a passkey  ${at(enrolPath)}\n`);
    if (linkPath !== null) process.stdout.write(`    without one     ${at(linkPath)}\n`);
  }
  return 0;
}
