import { openDatabase, type Database } from '@auditrax/tenancy';
import { postureExpectations, watchPosture, type PostureWatch } from '../platform/db/readiness.ts';
import type { Finding } from '../platform/http/readiness.ts';
import { cellAccess, followCells } from './cells.ts';
import { databaseConnection, type Floor } from './floor.ts';

interface Watched {
  readonly database: Database;
  readonly posture: PostureWatch;
}

export interface WatchedCells {
  /** One for each cell besides home. A cell that cannot be asked is told, but is no fault of the others. */
  readonly findings: () => readonly Finding[];
  close(): Promise<void>;
}

/** Looks at the walls of every cell besides home each minute, under this process's own role there. */
export function watchCells(floor: Floor): WatchedCells {
  const { clock, log, member } = floor;
  const watched = new Map<string, Watched>();
  const end = async ({ database, posture }: Watched): Promise<void> => {
    posture.stop();
    await database.close();
  };
  followCells(floor, {
    opened: (cell) => {
      const database = openDatabase({
        connection: databaseConnection(cellAccess(member.boot, cell)),
        poolSize: 1,
        clock,
        onRefusal: () => Promise.resolve(),
        systemTables: [],
      });
      const posture = watchPosture({
        database,
        expectations: postureExpectations(),
        clock,
        onRed: () => log.error('posture-red'),
      });
      watched.set(cell.cell, { database, posture });
    },
    gone: (cell) => {
      const known = watched.get(cell);
      watched.delete(cell);
      if (known !== undefined) void end(known);
    },
  });
  return {
    findings: () =>
      [...watched].map(([cell, { posture }]) => {
        const { ready, findings, summary } = posture.state();
        return { check: `posture of ${cell}`, ok: ready || findings.length === 0, detail: summary };
      }),
    close: async () => {
      await Promise.all([...watched.values()].map((known) => end(known)));
    },
  };
}
