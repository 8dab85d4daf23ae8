import { Client, type ClientConfig } from 'pg';
import { AppError, type Uuid } from '@auditrax/base';
import { openCarrier } from '../objects/index.ts';
import { HOME_CELL, type RelocationOrder, type RelocationReport } from '../supervisor/messages.ts';
import { databaseError } from './errors.ts';
import { asCreator, clusterOf, makePlace, type MadePlace, type PlacesInput } from './places.ts';
import {
  clearSource,
  relocate,
  type RelocationInput,
  type RelocationProgress,
  type RelocationProof,
} from './relocation.ts';
import { WORKSPACE_ROLE } from './roles.ts';

/** Between two notes of how far a move has come: people look about once a second. */
const NOTE_MS = 250;
/** The ledger works many times a second; when it is away this long, the move is taken back. */
const PEER_MS_MAX = 20_000;
const PEER_POLL_MS = 50;

export interface MovingInput extends PlacesInput {
  /** Resolves when whoever follows the log of a cell has seen everything up to the position, and no entry is missed. */
  readonly followed: (cell: string, position: bigint) => Promise<void>;
}

interface Spot {
  readonly kind: RelocationOrder['kind'];
  readonly region: string;
  readonly cell: string;
  readonly schema: string;
  readonly role: string;
  readonly version: number;
}

/**
 * Moves a tenant to the place that the order names, and makes that place first when it is not there. The same order
 * again goes on where a crash cut it off: what was switched is finished, what was not begins anew.
 *
 * Throws `move_stopped` when the move was cancelled before the switch, `relocation_failed`, and what making a place
 * throws; the tenant is then where it was, and nothing is lost.
 */
export async function moveTenant(input: MovingInput, order: RelocationOrder): Promise<RelocationReport> {
  const home = new Client(asCreator(clusterOf(input, input.home.region), input.home.database));
  await home.connect();
  home.on('error', () => undefined); // a lost connection also fails the query that is running
  try {
    const move = await readMove(home, order);
    const from = await spotOf(input, home, {
      tenantId: order.tenantId,
      kind: move.from_kind,
      region: move.from_region,
    });
    if (from === undefined)
      throw databaseError('relocation_failed', 'the place that the tenant is to leave is not known');
    const now = await currentSpot(input, home, order.tenantId);
    if (now.kind === order.kind && now.region === order.region) {
      await clearSource(sides(input, order, { from, to: now, home }));
      await home.query(`update platform.move_progress set stage = 'cleared' where move_id = $1`, [order.moveId]);
      return move.report ?? databaseFault();
    }
    const made = order.kind === 'shared' ? sharedPlace() : await makePlace(input, { ...order, kind: order.kind });
    const to: Spot = { kind: order.kind, region: order.region, ...made, version: now.version + 1 };
    const both = sides(input, order, { from, to, home });
    await untilBeating(both.target.connection);
    const proof = await relocate(both);
    return { proof: shownProof(proof), frozenMs: proof.frozenMs };
  } finally {
    await home.end();
  }
}

function shownProof({ tables, files }: RelocationProof): RelocationReport['proof'] {
  return { ...tables, ...(files === undefined ? {} : { files }) };
}

function databaseFault(): never {
  throw databaseError('relocation_failed', 'the move was switched, but its proof was not written down');
}

const sharedPlace = (): MadePlace => ({ cell: HOME_CELL, schema: 'app', role: WORKSPACE_ROLE });

interface MoveRow {
  readonly from_kind: RelocationOrder['kind'];
  readonly from_region: string;
  readonly report: RelocationReport | null;
}

async function readMove(home: Client, order: RelocationOrder): Promise<MoveRow> {
  const { rows } = await home.query<MoveRow>(
    `select m.from_kind, m.from_region, p.proof as report
     from app.tenant_move m left join platform.move_progress p on p.move_id = m.id
     where m.id = $1 and m.subject_id = $2 and m.ended_at is null`,
    [order.moveId, order.tenantId],
  );
  if (rows[0] === undefined) throw databaseError('relocation_failed', 'there is no such move, or it has ended');
  return rows[0];
}

/** Where the tenant is now; without a row it is in the shared tables at home. */
async function currentSpot(input: PlacesInput, home: Client, tenantId: string): Promise<Spot> {
  const { rows } = await home.query<Spot>(
    `select kind, region, cell, schema_name as schema, role_name as role, version from platform.placement
     where tenant_id = $1`,
    [tenantId],
  );
  return rows[0] ?? { kind: 'shared', region: input.home.region, ...sharedPlace(), version: 0 };
}

/** The place of a kind that was made for the tenant in a region; undefined when none was. */
async function spotOf(
  input: PlacesInput,
  home: Client,
  wanted: { readonly tenantId: string; readonly kind: Spot['kind']; readonly region: string },
): Promise<Spot | undefined> {
  const { kind, region } = wanted;
  if (kind === 'shared') return { kind, region: input.home.region, ...sharedPlace(), version: 0 };
  const { rows } = await home.query<{ name: string; role: string }>(
    `select name, role_name as role from platform.place where tenant_id = $1 and kind = $2 and region = $3`,
    [wanted.tenantId, kind, region],
  );
  const found = rows[0];
  if (found === undefined) return undefined;
  return kind === 'schema'
    ? { kind, region, cell: HOME_CELL, schema: `t_${found.name}`, role: found.role, version: 0 }
    : { kind, region, cell: `${region}/ax_${found.name}`, schema: 'app', role: found.role, version: 0 };
}

function sides(
  input: MovingInput,
  order: RelocationOrder,
  { from, to, home }: { readonly from: Spot; readonly to: Spot; readonly home: Client },
): RelocationInput {
  const sideOf = (spot: Spot) => ({
    connection:
      spot.cell === HOME_CELL
        ? asCreator(clusterOf(input, input.home.region), input.home.database)
        : asCreator(clusterOf(input, spot.region), spot.cell.slice(spot.region.length + 1)),
    schema: spot.schema,
  });
  const sameDatabase = from.cell === to.cell;
  return {
    tenantId: order.tenantId as Uuid,
    source: sideOf(from),
    target: sideOf(to),
    targetCell: to.cell,
    sameDatabase,
    progress: noteProgress(home, order),
    hold: async (client, isHeld) => {
      await client.query(
        isHeld
          ? `insert into platform.hold (tenant_id, reason) values ($1, 'moved to another place')
             on conflict (tenant_id) do nothing`
          : 'delete from platform.hold where tenant_id = $1',
        [order.tenantId],
      );
    },
    followed: (position) => input.followed(from.cell, position),
    ...carrier(input, order, { from: from.region, to: to.region }),
    switchOver: async (proof) => {
      const report = JSON.stringify({ proof: shownProof(proof), frozenMs: proof.frozenMs });
      await switchOver(home, order, { from: sideOf(from).connection, isHome: from.cell === HOME_CELL, to, report });
    },
  };
}

/** Evidence files go along when the region changes: each region has a store of its own. */
function carrier(
  { objectStores }: PlacesInput,
  order: RelocationOrder,
  regions: { readonly from: string; readonly to: string },
): Pick<RelocationInput, 'files'> {
  if (objectStores === undefined || regions.from === regions.to) return {};
  const folderOf = (region: string): string => {
    const folder = objectStores.folders.get(region);
    if (folder === undefined) throw databaseError('region_unknown', `region ${region} has no store for evidence files`);
    return folder;
  };
  const { owner } = objectStores;
  const folders = { from: folderOf(regions.from), to: folderOf(regions.to) };
  return { files: openCarrier({ tenantId: order.tenantId as Uuid, ...folders, ...(owner && { owner }) }) };
}

/** Writes down how far it is, not oftener than people look, and stops when somebody has cancelled. */
function noteProgress(home: Client, order: RelocationOrder): (progress: RelocationProgress) => Promise<void> {
  let noted: RelocationProgress['stage'] | undefined;
  let notedAtMs = 0;
  return async (progress) => {
    if (progress.stage === noted && Date.now() - notedAtMs < NOTE_MS) return;
    noted = progress.stage;
    notedAtMs = Date.now();
    await home.query(
      `insert into platform.move_progress (move_id, tenant_id, stage, rows_done, rows_total) values ($1, $2, $3, $4, $5)
       on conflict (move_id) do update set stage = excluded.stage, rows_done = excluded.rows_done,
         rows_total = excluded.rows_total, updated_at = now()`,
      [order.moveId, order.tenantId, progress.stage, progress.rowsDone, progress.rowsTotal],
    );
    if (progress.stage === 'switched' || progress.stage === 'cleared') return;
    const { rows } = await home.query<{ state: string }>('select state from app.tenant_move where id = $1', [
      order.moveId,
    ]);
    if (rows[0]?.state === 'cancelling') throw new AppError('move_stopped', 'the move was cancelled');
  };
}

/** A place whose log does not run takes no writes; the tenant stays where it is until it does. */
async function untilBeating(connection: ClientConfig): Promise<void> {
  const client = new Client(connection);
  await client.connect();
  try {
    await until('the log at the new place does not run', async () => {
      const { rows } = await client.query<{ isFresh: boolean }>(
        'select beat >= clock_timestamp() - audit.beat_age_max() as "isFresh" from audit.beat',
      );
      return rows[0]?.isFresh === true;
    });
  } finally {
    await client.end();
  }
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + PEER_MS_MAX;
  while (!(await isSo())) {
    if (Date.now() > end) throw databaseError('relocation_failed', `${what}: nothing was moved`);
    await new Promise((resolve) => setTimeout(resolve, PEER_POLL_MS));
  }
}

/**
 * First nothing may begin at the old place, then the new one is told: in between the tenant is nowhere for a moment,
 * never in two places. In one transaction where both are the same database.
 */
async function switchOver(
  home: Client,
  order: RelocationOrder,
  at: {
    readonly from: ClientConfig;
    readonly isHome: boolean;
    readonly to: Spot;
    readonly report: string;
  },
): Promise<void> {
  const { to } = at;
  const depart = (client: Client) =>
    client.query(
      `insert into platform.departure (tenant_id, version) values ($1, $2)
       on conflict (tenant_id) do update set version = greatest(departure.version, excluded.version), departed_at = now()`,
      [order.tenantId, to.version],
    );
  if (!at.isHome) {
    const source = new Client(at.from);
    await source.connect();
    try {
      await depart(source);
    } finally {
      await source.end();
    }
  }
  await home.query('begin');
  try {
    if (at.isHome) await depart(home);
    await home.query(
      `insert into platform.placement (tenant_id, kind, region, cell, schema_name, role_name, state, version)
       values ($1, $2, $3, $4, $5, $6, 'active', $7)
       on conflict (tenant_id) do update set kind = excluded.kind, region = excluded.region, cell = excluded.cell,
         schema_name = excluded.schema_name, role_name = excluded.role_name, state = 'active',
         version = excluded.version, changed_at = now()`,
      [order.tenantId, to.kind, to.region, to.cell, to.schema, to.role, to.version],
    );
    await home.query('update platform.move_progress set proof = $2 where move_id = $1', [order.moveId, at.report]);
    await home.query('commit');
  } catch (error) {
    await home.query('rollback').catch(() => undefined); // the connection may be gone; the server rolls back then
    throw error;
  }
}
