// Places of tenants, in the issuer: making and moving them is asked of the supervisor, whose one-shot set-up process
// alone holds the database's keys.
import { randomUUID } from 'node:crypto';
import type { Uuid } from '@auditrax/base';
import type { IdentityDeps } from '../domains/identity/index.ts';
import {
  placementOf,
  placementRoutes,
  runOpenMoves,
  settlePlace,
  type Placer,
  type Region,
} from '../domains/tenants/index.ts';
import type { RoomRoutes } from '../platform/http/handler.ts';
import type { Membership } from '../platform/supervisor/member.ts';
import { CELLS_FACT, type CellAddress } from '../platform/supervisor/messages.ts';
import type { Floor } from './floor.ts';

/** Moves that wait are begun at once; this round is for those that a crash cut off. */
const ROUND_MS = 5_000;

/** The clusters of this house; the first cell is in the home region. */
function readRegions(member: Membership): Region[] {
  const cells = (member.peers().facts[CELLS_FACT] ?? []) as unknown as CellAddress[];
  const home = cells[0]?.region ?? 'home';
  const known = (member.boot.options['regions'] ?? []) as string[];
  return [...new Set([home, ...known])].map((name) => ({ name, isHome: name === home }));
}

/** The supervisor's word behind the room's port. */
export function openPlacer(floor: Floor, system: IdentityDeps['system']): Placer {
  const { member } = floor;
  return {
    regions: () => readRegions(member),
    async settle(tenantId, { kind, region }) {
      if (kind === 'shared' || (await system.system(placementOf(tenantId))).length > 0) return;
      const made = await member.provision({ tenantId, kind, region });
      await system.system(settlePlace({ tenantId, kind, region, ...made }));
    },
    move: ({ moveId, tenantId, place }) => member.relocate({ moveId, tenantId, ...place }),
  };
}

/** What is under way at `close` is not waited for: it belongs to the supervisor, and is taken up at the next start. */
export function openPlaces(
  floor: Floor,
  deps: IdentityDeps & { readonly placer: Placer },
): { routes: RoomRoutes; close(): void } {
  const moves = { ...deps, newRequestId: () => randomUUID() as Uuid };
  // One round at a time: two at once would carry out the same move twice.
  let isRunning = false;
  const round = (): void => {
    if (isRunning) return;
    isRunning = true;
    void runOpenMoves(moves)
      .catch((error: unknown) => floor.log.error('move-failed', { error }))
      .finally(() => (isRunning = false));
  };
  const timer = setInterval(round, ROUND_MS);
  return {
    routes: placementRoutes({
      ...deps,
      newTenants: floor.member.boot.options['sample'] === true ? 'sample' : 'customer',
      onMove: round,
    }),
    close: () => clearInterval(timer),
  };
}
