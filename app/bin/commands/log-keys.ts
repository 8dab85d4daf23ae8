import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isAppError } from '@auditrax/base';
import { askHouse } from '../../platform/supervisor/control.ts';
import { leaveGenerationOrder, readGenerationOrder, readKeyOrder } from '../generation-order.ts';
import { readSettings } from '../settings.ts';

const HELP = `Usage: auditrax log-keys [list] [--json]
       auditrax log-keys rotate --reason TEXT [--overlap ENTRIES] [--json]
       auditrax log-keys new-generation --reason TEXT [--tenant UUID | --new-key]

list prints the verifier key of every generation of every log, one a line, the super-log's first, as the signer holds
them; behind it which entries it signs, the generation and the tenant. Give a tenant its key by a way other than the
bundle: \`auditrax verify BUNDLE --key KEY\` then needs no trust in this server.

rotate gives every log a new key: an entry in each log names it, signed for by the old key, and both sign during the
overlap (10000 entries if not said otherwise). Whoever trusts the old key can follow; bundles carry the way. Cut off, the
same command goes on. An old private key is destroyed when the last log has left it. See docs/runbooks/log-key.md.

new-generation is for a database that was put back: it knows less than was signed, and its log is stopped. Each such log
goes on as a new generation whose first entry states, signed, what was kept, what is lost, and the reason (public for
ever). Nothing of the generation before is signed any more: first make sure that no newer database is left. With --tenant
it is that tenant's log in any case. With --new-key, after the log's key was stolen, it is every log, under a new key that
nobody hands over to: give it to auditors and witnesses yourself. While the house stands still the order is left for its next
start. See docs/runbooks/log-stopped.md.
`;

interface Entry {
  readonly verifierKey: string;
  readonly generation: number;
  readonly from: number;
  readonly until: number | null;
  readonly size: number;
  readonly tenantId: string | null;
}

interface Changed {
  readonly changed: readonly { origin: string; newKey: string; until: number }[];
  readonly troubles: readonly { cell: string; why: string }[];
  readonly isResumed: boolean;
}

interface Opened {
  readonly opened: readonly { origin: string; previousOrigin: string; keptSize: number; signedSize: number }[];
  readonly troubles: readonly { cell: string; why: string }[];
}

/** The key stays the first word of its line, for whoever cuts it off there. */
function describe({ verifierKey, generation, from, until, size, tenantId }: Entry): string {
  const end = until === null ? `now (${size} entries)` : `${until} entries`;
  const range = size === 0 ? 'no entry yet' : `checkpoints of more than ${from} entries to ${end}`;
  return `${verifierKey}  ${range}, generation ${generation}, ${tenantId === null ? 'super-log' : `tenant ${tenantId}`}`;
}

async function list(socket: string, isJson: boolean): Promise<number> {
  const entries = (await askHouse(socket, { name: 'log-key-entries', input: null }, () => {})) as unknown as Entry[];
  if (isJson) process.stdout.write(`${JSON.stringify(entries)}\n`);
  else for (const entry of entries) process.stdout.write(`${describe(entry)}\n`);
  return 0;
}

function report({ opened, troubles }: Opened): number {
  for (const { origin, previousOrigin, keptSize, signedSize } of opened) {
    const lost = signedSize > keptSize ? `entries ${keptSize} to ${signedSize - 1} are lost` : 'nothing is lost';
    process.stdout.write(`${origin}  follows ${previousOrigin}: ${lost}, and its first entry says so\n`);
  }
  if (opened.length === 0) process.stdout.write('no log needs a new generation: each knows all that was signed\n');
  for (const { cell, why } of troubles) process.stderr.write(`auditrax: ${cell}: ${why}\n`);
  return troubles.length === 0 ? 0 : 1;
}

interface Order {
  readonly reason: string;
  readonly tenant?: string | undefined;
  readonly newKey: boolean;
}

async function newGeneration(state: string, order: Order): Promise<number> {
  const socket = join(state, 'supervisor/control');
  const input = { ...order, tenant: order.tenant ?? null };
  readGenerationOrder(input); // a bad order is refused at once
  try {
    return report((await askHouse(socket, { name: 'new-generation', input }, () => {})) as unknown as Opened);
  } catch (error) {
    if (!isAppError(error, 'not_running')) throw error;
    leaveGenerationOrder(state, order);
    process.stdout.write('no house is running here: the order is carried out by the next start\n');
    return 0;
  }
}

async function rotate(socket: string, order: { reason: string; overlap?: number }, isJson: boolean): Promise<number> {
  const input = { ...order, overlap: order.overlap ?? null };
  readKeyOrder(input); // a bad order is refused at once
  const answer = (await askHouse(socket, { name: 'change-key', input }, () => {})) as unknown as Changed;
  const { changed, troubles, isResumed } = answer;
  if (isJson) process.stdout.write(`${JSON.stringify(answer)}\n`);
  else {
    if (isResumed) process.stdout.write('an earlier change was not finished: it is now, and no further key was made\n');
    for (const { newKey, until } of changed)
      process.stdout.write(`${newKey}  the old key signs up to ${until} entries\n`);
    process.stdout.write(`${changed.length} logs have the new key\n`);
  }
  for (const { cell, why } of troubles) process.stderr.write(`auditrax: ${cell}: ${why}; run the same again\n`);
  return troubles.length === 0 ? 0 : 1;
}

/** Undefined for what is no number of entries. */
function readOverlap(text: string | undefined): { overlap?: number } | undefined {
  if (text === undefined) return {};
  return /^[1-9][0-9]{0,8}$/.test(text) ? { overlap: Number(text) } : undefined;
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      json: { type: 'boolean' },
      reason: { type: 'string' },
      tenant: { type: 'string' },
      overlap: { type: 'string' },
      'new-key': { type: 'boolean' },
    },
  });
  const [action = 'list'] = positionals;
  const { reason, tenant, json = false } = values;
  const overlap = readOverlap(values.overlap);
  const isOrder = action === 'new-generation' || action === 'rotate';
  const isUnknown = overlap === undefined || (action !== 'list' && (!isOrder || reason === undefined));
  if (values.help || isUnknown) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 2;
  }
  const { state } = readSettings(process.env);
  if (action === 'list') return list(join(state, 'supervisor/control'), json);
  if (action === 'rotate') return rotate(join(state, 'supervisor/control'), { reason: reason!, ...overlap }, json);
  return newGeneration(state, { reason: reason!, tenant, newKey: values['new-key'] ?? false });
}
