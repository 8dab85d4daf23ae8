import { openBareDoor, type BareDoorDeps } from './bare-door.ts';
import type { PlacedDoors } from './placed-drills.ts';

/** Cell and schema of the shared tables. */
const HOME = { cell: 'home', schema: 'app' } as const;

/** The doors to every place of a canary, with the logins that the workspace has; `role` is its own. */
export function openPlacedDoors({ role, places, ...deps }: BareDoorDeps & { readonly role: string }): PlacedDoors {
  return {
    home: { ...HOME, role },
    placeOf: async (tenantId) => {
      const place = await places.placeOf(tenantId);
      return place.cell === HOME.cell && place.schema === HOME.schema ? undefined : place;
    },
    open: ({ cell, role: login, version }) =>
      openBareDoor({
        ...deps,
        places: {
          ...places,
          // The statement names its schema itself: nothing is to be put in its place.
          placeOf: () => Promise.resolve({ cell, region: '', schema: HOME.schema, role: login, version }),
          roleAt: (place) => place.role,
        },
      }),
  };
}
