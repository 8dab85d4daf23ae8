import type { Database } from '@auditrax/tenancy';
import { HOME_CELL, type CellDoor } from '../platform/audit/index.ts';
import type { DatabaseAccess } from '../platform/supervisor/messages.ts';
import { cellAccess, followCells } from './cells.ts';
import type { Floor } from './floor.ts';

/** This process's databases in every cell, as cells are added to the house and taken away. */
export interface CellDatabases {
  /** Home first. */
  all(): readonly CellDoor[];
  /** `begin` is called for every cell of now and of later; what it returns ends that, before the cell is closed. */
  each(begin: (cell: CellDoor) => () => Promise<void>): void;
  /** Ends what `each` has begun and closes every database. */
  close(): Promise<void>;
}

interface Open extends CellDoor {
  readonly database: Database;
  readonly endings: (() => Promise<void>)[];
}

/** `home` is open already; the others are opened under the same role by `open`. */
export function openCellDatabases(
  floor: Pick<Floor, 'member'>,
  home: Database,
  open: (access: DatabaseAccess) => Database,
): CellDatabases {
  const cells = new Map<string, Open>();
  const beginnings: ((cell: CellDoor) => () => Promise<void>)[] = [];
  const add = (cell: string, database: Database): void => {
    const opened = { cell, door: database.system, database, endings: [] as (() => Promise<void>)[] };
    cells.set(cell, opened);
    for (const begin of beginnings) opened.endings.push(begin(opened));
  };
  const remove = async (cell: string): Promise<void> => {
    const opened = cells.get(cell);
    cells.delete(cell);
    await Promise.all((opened?.endings ?? []).map((end) => end()));
    await opened?.database.close();
  };
  add(HOME_CELL, home);
  followCells(floor, {
    opened: (address) => add(address.cell, open(cellAccess(floor.member.boot, address))),
    gone: (cell) => void remove(cell),
  });
  return {
    all: () => [...cells.values()],
    each: (begin) => {
      beginnings.push(begin);
      for (const opened of cells.values()) opened.endings.push(begin(opened));
    },
    close: async () => {
      // Home last: what follows another cell keeps its place there.
      for (const cell of [...cells.keys()].toReversed()) await remove(cell);
    },
  };
}
