import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isAppError } from '@auditrax/base';
import { sealEngine } from '@auditrax/seal';
import { askHouse } from '../../platform/supervisor/control.ts';
import { keyLines, type Line } from '../key-checks.ts';
import { ROOT } from '../root.ts';
import { readSettings, type Settings } from '../settings.ts';

const HELP = `Usage: auditrax doctor [--json]

Looks at this installation and says, line by line, what is in order, what is not, and what to do about it. Exit 1 when
something is not.
`;

/** Below this the house refuses writes anyway; better to hear it here first. */
const DISK_BYTES_MIN = 2 * 1024 ** 3;

function machine(settings: Settings): Line[] {
  const free_bytes = existsSync(settings.state)
    ? statfsSync(settings.state).bavail * statfsSync(settings.state).bsize
    : undefined;
  const chromium = existsSync('/usr/bin/chromium');
  return [
    {
      check: 'runtime',
      ok: Number(process.versions.node.split('.')[0]) >= 24,
      detail: `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`,
    },
    {
      check: 'encryption engine',
      // The reference gives the same bytes, only slower: nothing is wrong with the installation.
      ok: true,
      detail: engineDetail(),
    },
    {
      check: 'packages',
      ok: existsSync(join(ROOT, 'node_modules/.auditrax-lockfile.sha256')),
      detail: 'installed from the lockfile',
    },
    {
      check: 'state folder',
      ok: existsSync(settings.state),
      detail: existsSync(settings.state) ? settings.state : `${settings.state} does not exist yet: npm start makes it`,
    },
    ...(free_bytes === undefined
      ? []
      : [{ check: 'disk', ok: free_bytes >= DISK_BYTES_MIN, detail: `${(free_bytes / 1e9).toFixed(1)} GB free` }]),
    {
      check: 'identity providers',
      ok: true,
      detail:
        settings.identityNetworks.length === 0
          ? 'at public addresses only'
          : `also at ${settings.identityNetworks.join(', ')} (AUDITRAX_IDENTITY_NETWORKS)`,
    },
    {
      check: 'browser for tests',
      ok: true,
      detail: chromium ? 'chromium is there' : 'no chromium: only `npm test` needs it (apt-get install chromium)',
    },
  ];
}

function engineDetail(): string {
  const { name, reason } = sealEngine();
  if (name === 'native') return 'native, over the OpenSSL of the runtime; self-test passed';
  return `reference, some four times slower: ${reason}; a start with a C compiler compiles the native one (apt-get install g++)`;
}

function alarms(settings: Settings): Line[] {
  const file = join(settings.state, 'supervisor/alarms.jsonl');
  if (!existsSync(file)) return [];
  const last = readFileSync(file, 'utf8').trim().split('\n').at(-1)!;
  return [{ check: 'last alarm', ok: true, detail: last }];
}

async function running(settings: Settings): Promise<Line[]> {
  try {
    const answer = await askHouse(
      join(settings.state, 'supervisor/control'),
      { name: 'findings', input: null },
      () => {},
    );
    return Object.entries(answer as unknown as Record<string, Line[]>).flatMap(([service, findings]) =>
      findings.map((finding) => ({ ...finding, check: `${service}: ${finding.check}` })),
    );
  } catch (error) {
    if (!isAppError(error, 'not_running')) throw error;
    return [
      {
        check: 'house',
        ok: true,
        detail: 'not running here; start it with `npm start` and run this again to check its processes',
      },
    ];
  }
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } } });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const settings = readSettings(process.env);
  const lines = [
    ...machine(settings),
    ...(await keyLines(settings)),
    ...alarms(settings),
    ...(await running(settings)),
  ];
  if (values.json) process.stdout.write(`${JSON.stringify(lines)}\n`);
  else
    for (const line of lines)
      process.stdout.write(`${line.ok ? 'ok  ' : 'BAD '} ${line.check.padEnd(32)} ${line.detail}\n`);
  return lines.every((line) => line.ok) ? 0 : 1;
}
