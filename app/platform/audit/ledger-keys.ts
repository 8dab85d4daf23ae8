import type { Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import type { CellDoor } from './cells.ts';
import { OVERLAP_ENTRIES } from './signer-contract.ts';
import { logGenerations } from './ledger-queries.ts';
import type { SignerClient } from './signer-client.ts';
import { superGenerations } from './super-queries.ts';

/** One key, and what it signs: checkpoints of more than `from` and up to `until` entries of one generation of one log. */
export interface LogKeyEntry {
  readonly verifierKey: string;
  readonly origin: string;
  readonly generation: number;
  readonly from: number;
  /** Null: it still signs. */
  readonly until: number | null;
  /** Entries of the generation now. */
  readonly size: number;
  /** Null: the super-log. */
  readonly tenantId: Uuid | null;
}

interface Generation {
  readonly origin: string;
  readonly generation: number;
  readonly size: number;
  readonly tenantId: Uuid | null;
}

/** Every generation of the super-log, then of each log. A cell that is away keeps its logs to itself. */
async function generationsOf(home: SystemDoor, cells: readonly CellDoor[]): Promise<Generation[]> {
  const superLogs = await home.system(superGenerations).catch(() => []);
  const found = await Promise.all(cells.map(({ door }) => door.system(logGenerations).catch(() => [])));
  return [
    ...superLogs.map(({ origin, generation, size }) => ({ origin, generation, size: Number(size), tenantId: null })),
    ...found.flat().map(({ origin, generation, size, tenant_id: tenantId }) => {
      return { origin, generation, size: Number(size), tenantId };
    }),
  ];
}

/** Keys of every generation of every log, as the signer knows them, those of the super-log first. */
export async function allKeysOf(
  { home, signer }: { home: SystemDoor; signer: SignerClient },
  cells: readonly CellDoor[],
): Promise<LogKeyEntry[]> {
  const keys: LogKeyEntry[] = [];
  for (const one of await generationsOf(home, cells)) {
    const { terms } = await signer.state(one.origin);
    keys.push(...terms.map((term) => ({ ...one, ...term })));
  }
  return keys;
}

/** Whether a log that goes on has not the signer's newest key: a change that is not finished. */
export async function isKeyChanging(
  home: SystemDoor,
  cells: readonly CellDoor[],
  signer: SignerClient,
): Promise<boolean> {
  for (const { origin } of await generationsOf(home, cells))
    if ((await signer.offerKey(origin, OVERLAP_ENTRIES)) !== undefined) return true;
  return false;
}
