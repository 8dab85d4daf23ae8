import { AppError, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { DrillsCode } from './errors.ts';
import { markerIn } from './queries.ts';
import type { BareDoor, DrillResult } from './service.ts';

/** Where a tenant with a place of its own lives. */
export interface DrillPlace {
  /** `home`, or `<region>/<database>`. */
  readonly cell: string;
  readonly schema: string;
  readonly role: string;
  /** Of the placement: what the database asks of everybody who enters the tenant. */
  readonly version: number;
}

/** The databases below the driver, by cell and role, as somebody would reach them who has taken the workspace over. */
export interface PlacedDoors {
  readonly home: { readonly cell: string; readonly schema: string; readonly role: string };
  /** Undefined when the tenant lives in the shared tables. */
  placeOf(tenantId: Uuid): Promise<DrillPlace | undefined>;
  /** A door of its own for one attempt; the caller closes it. */
  open(at: { readonly cell: string; readonly role: string; readonly version: number }): BareDoor;
}

export interface PlacedGround {
  readonly places: PlacedDoors;
  readonly own: TenantContext;
  readonly other: TenantContext;
  /** A row of the tenant in `app.result`, made through the ordinary API. */
  readonly rowId: Uuid;
}

interface Reach {
  readonly cell: string;
  readonly version: number;
  readonly role: string;
  /** Where the row is looked for. */
  readonly schema: string;
  /** Whose scope is entered. */
  readonly scope: Uuid;
}

async function reach({ places, own, rowId }: PlacedGround, at: Reach): Promise<DrillResult> {
  const door = places.open(at);
  try {
    const found = await door.run(own, [at.scope], markerIn(at.schema, { tenantId: own.tenantId, id: rowId }));
    return { kind: 'happened', facts: { rows: found.length } };
  } finally {
    await door.close();
  }
}

/** Of a tenant that never had a place of its own. */
const SHARED_VERSION = 0;

/** Who reaches for the row, and where. */
export const PLACED_REACHES = {
  /** The tenant's own role where the tenant lives: there the row is, so the other attempts reach for something. */
  'placed-own-role': ({ place, own }) => ({ ...place, scope: own.tenantId }),
  /** The role of everybody else, where the tenant lives. */
  'placed-shared-role': ({ home, place, own }) => ({ ...place, role: home.role, scope: own.tenantId }),
  /** The role of everybody else in the shared tables, where nothing of this tenant may be. */
  'placed-shared-tables': ({ home, place, own }) => ({ ...place, ...home, scope: own.tenantId }),
  /** The tenant's own role in the shared tables of everybody else. */
  'placed-role-at-home': ({ home, place, own }) => ({ ...place, ...home, role: place.role, scope: own.tenantId }),
  /** The tenant's own role in the scope of another tenant. */
  'placed-role-elsewhere': ({ place, other }) => ({ ...place, scope: other.tenantId }),
  /** The role of everybody else, in the scope of one of them, where the tenant lives. */
  'placed-shared-elsewhere': ({ home, place, other }) => ({
    ...place,
    role: home.role,
    version: SHARED_VERSION,
    scope: other.tenantId,
  }),
} as const satisfies Record<
  string,
  (ground: {
    readonly home: PlacedDoors['home'];
    readonly place: DrillPlace;
    readonly own: TenantContext;
    readonly other: TenantContext;
  }) => Reach
>;
export type PlacedDrillName = keyof typeof PLACED_REACHES;

/** Makes one attempt on a tenant with a place of its own. Throws `drill_place_required` for one without. */
export async function placedDrill(name: PlacedDrillName, ground: PlacedGround): Promise<DrillResult> {
  const { places, own, other } = ground;
  const place = await places.placeOf(own.tenantId);
  if (place === undefined) {
    throw new AppError<DrillsCode>('drill_place_required', 'this canary has no place of its own');
  }
  return reach(ground, PLACED_REACHES[name]({ home: places.home, place, own, other }));
}
