import { HOME_CELL } from '../platform/audit/index.ts';
import {
  CELLS_FACT,
  type Boot,
  type CellAddress,
  type DatabaseAccess,
  type Peers,
} from '../platform/supervisor/messages.ts';
import type { Floor } from './floor.ts';

/** Every cell of the house, home first. Home alone, until the supervisor has said more. */
export function cellAddresses({ facts }: Peers): readonly CellAddress[] {
  return (facts[CELLS_FACT] ?? []) as unknown as readonly CellAddress[];
}

/** Access to a cell under this process's own role, which has the same name and secret in every cluster. */
export function cellAccess({ database }: Boot, { address }: CellAddress): DatabaseAccess {
  if (database === undefined) throw new TypeError('this process was given no database');
  const { user, passwordFile } = database;
  return { ...address, user, ...(passwordFile === undefined ? {} : { passwordFile }) };
}

/**
 * Calls `opened` for each cell besides home, those of now and those that are added while the house runs, and `gone` for
 * one that was taken down or has another address. Home is what the process was started with.
 */
export function followCells(
  { member }: Pick<Floor, 'member'>,
  { opened, gone }: { opened: (cell: CellAddress) => void; gone: (cell: string) => void },
): void {
  const known = new Map<string, string>();
  member.onPeers((peers) => {
    const others = cellAddresses(peers).filter(({ cell }) => cell !== HOME_CELL);
    const now = new Map(others.map((cell) => [cell.cell, JSON.stringify(cell.address)]));
    for (const [cell, address] of known) {
      if (now.get(cell) === address) continue;
      known.delete(cell);
      gone(cell);
    }
    for (const cell of others) {
      if (known.has(cell.cell)) continue;
      known.set(cell.cell, now.get(cell.cell)!);
      opened(cell);
    }
  });
}
