import type { PlacedSystemDoor, TenantDoor } from '@auditrax/tenancy';
import { withGuardErrors } from '../platform/audit/index.ts';
import { diskFloor, type DiskFloor } from '../platform/db/disk.ts';
import { postureExpectations, watchPosture } from '../platform/db/readiness.ts';
import type { Finding } from '../platform/http/readiness.ts';
import type { Floor } from './floor.ts';
import type { RecordedDatabase } from './refusals.ts';

/** Refuses to begin a transaction when the disk is nearly full; single reads go on, and so do records of refusals. */
function withDiskFloor(door: TenantDoor, disk: DiskFloor): TenantDoor {
  return {
    scoped: (context, statement) => door.scoped(context, statement),
    stream: (context, statement, options) => door.stream(context, statement, options),
    transaction: async (context, work) => {
      await disk.require();
      return door.transaction(context, work);
    },
  };
}

export interface WatchedDatabase {
  readonly tenant: TenantDoor;
  readonly system: PlacedSystemDoor;
  /** Posture of the walls and room on the disk, for `/readyz`. */
  readonly readiness: () => Promise<readonly Finding[]>;
  close(): Promise<void>;
}

/** The doors of a process with what is watched beside them: the commit guard's words, the disk, the walls' posture. */
export function watchDatabase(floor: Floor, recorded: RecordedDatabase): WatchedDatabase {
  const { clock, log, member } = floor;
  const disk = diskFloor({ directories: [member.boot.stateDirectory], clock });
  const posture = watchPosture({
    database: recorded.database,
    expectations: postureExpectations(),
    clock,
    onRed: () => log.error('posture-red'),
  });
  return {
    tenant: withDiskFloor(withGuardErrors(recorded.database.tenant), disk),
    system: recorded.database.system,
    readiness: async () => {
      const { ready, summary } = posture.state();
      const room = await disk.require().then(
        () => ({ ok: true, detail: 'enough room' }),
        (error: Error) => ({ ok: false, detail: error.message }),
      );
      return [
        { check: 'posture', ok: ready, detail: summary },
        { check: 'disk', ...room },
      ];
    },
    close: async () => {
      posture.stop();
      await recorded.close();
    },
  };
}
