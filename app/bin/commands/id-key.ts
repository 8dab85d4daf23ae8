import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { askHouse } from '../../platform/supervisor/control.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax id-key [list]
       auditrax id-key rotate [--accept-days DAYS] [--prepare-seconds SECONDS]
       auditrax id-key retire VERSION

The keys that ids are tagged with. rotate makes a new one: every process knows it before it is used (60 seconds), and
ids made with the older keys go on working (90 days). retire ends an older key at once, as after a leak: every id and
link made with it is refused from then on, as forged. Each change stands in the operator's log.
`;
const DAY_SECONDS = 86_400;

interface Key {
  readonly version: number;
  readonly usedFromMs: number;
  readonly acceptedUntilMs: number | null;
  readonly makesIds: boolean;
}

function order(action: string, version: string | undefined, values: Record<string, unknown>) {
  const number = (text: unknown): number | undefined => (typeof text === 'string' ? Number(text) : undefined);
  if (action === 'retire') return { action, version: Number(version) };
  if (action === 'list') return { action };
  const days = number(values['accept-days']);
  const prepare = number(values['prepare-seconds']);
  return {
    action,
    ...(days === undefined ? {} : { accept_seconds: Math.round(days * DAY_SECONDS) }),
    ...(prepare === undefined ? {} : { prepare_seconds: prepare }),
  };
}

function describe({ version, usedFromMs, acceptedUntilMs, makesIds }: Key): string {
  const at = (time: number): string => new Date(time).toISOString();
  const until = acceptedUntilMs === null ? '' : `, accepted until ${at(acceptedUntilMs)}`;
  if (makesIds) return `${version}  makes ids${until}`;
  return acceptedUntilMs === null ? `${version}  makes ids from ${at(usedFromMs)}` : `${version}  older${until}`;
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      'accept-days': { type: 'string' },
      'prepare-seconds': { type: 'string' },
    },
  });
  const [action = 'list', version] = positionals;
  if (values.help || !['list', 'rotate', 'retire'].includes(action)) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const socket = join(readSettings(process.env).state, 'supervisor/control');
  const input = order(action, version, values);
  const keys = (await askHouse(socket, { name: 'id-key', input }, () => {})) as unknown as Key[];
  if (values.json) process.stdout.write(`${JSON.stringify(keys)}\n`);
  else for (const key of keys) process.stdout.write(`${describe(key)}\n`);
  return 0;
}
