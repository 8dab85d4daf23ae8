import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer } from '../access/index.ts';
import { MOVE_MACHINE } from './move-states.ts';
import * as moving from './moving.ts';
import type { KnownMove, MovingDeps } from './moving.ts';
import { openTenant, type OpeningDeps } from './opening.ts';
import { PLACE_KINDS, placementRoutes as contract, type ShownMove } from './placement-contract.ts';
import { moveSubjects } from './step-up-subjects.ts';

export type PlacementDeps = MovingDeps & OpeningDeps;

/** Creating and moving tenants, as routes of the issuer. `onMove` is called when a move waits to be carried out. */
export function placementRoutes(deps: PlacementDeps & { readonly onMove: () => void }): RoomRoutes {
  const confirmed = confirmer({ subjects: moveSubjects(deps) });
  const present = (call: Pick<Call, 'caller'>, known: KnownMove) => shown(deps, call, known);
  return bindRoutes(contract, {
    async places() {
      const regions = deps.placer.regions().map(({ name, isHome }) => ({
        name,
        isHome,
        kinds: isHome ? [...PLACE_KINDS] : (['database'] as const).slice(),
      }));
      return { status: 200 as const, body: { regions } };
    },
    async create(call) {
      // It names the first lead, whose name is kept in their own organisation alone.
      const who = await confirmed(call, 'tenants.create', { input: call.body, hashOnly: true });
      const opened = await openTenant(deps, who, call.body);
      const { slug, name, place } = call.body;
      return { status: 201 as const, body: { tenant: { slug, name }, place, ...opened } };
    },
    async moves(call) {
      const known = await moving.listMoves(deps, call.caller);
      return { status: 200 as const, body: { moves: known.map((one) => present(call, one)) } };
    },
    async move(call) {
      const who = await confirmed(call, 'tenants.move', { input: call.body });
      const made = await moving.requestMove(deps, who, call.body);
      deps.onMove();
      return { status: 201 as const, body: { move: present(call, made) } };
    },
    async cancelMove(call) {
      const who = { caller: call.caller, requestId: call.requestId };
      const changed = await moving.cancelMove(deps, who, call.ids['params.moveId']);
      return { status: 200 as const, body: { move: present(call, changed) } };
    },
  });
}

function shownProof(proof: KnownMove['row']['proof']): Pick<ShownMove, 'proof' | 'files'> {
  if (proof === null) return { proof: null, files: null };
  const { files, ...tables } = proof;
  return {
    proof: Object.entries(tables).map(([table, { rows, sha256 }]) => ({ table, rows, sha256 })),
    files: files === undefined ? null : { count: files.rows, bytes: files.bytes ?? 0, sha256: files.sha256 },
  };
}

function shown(deps: PlacementDeps, call: Pick<Call, 'caller'>, { row, subject, progress }: KnownMove): ShownMove {
  const { tenant } = call.caller;
  return {
    id: deps.formatId('mov', tenant, row.id),
    tenant: { slug: subject.slug, name: subject.display_name },
    state: row.state,
    from: { kind: row.from_kind, region: row.from_region },
    to: { kind: row.to_kind, region: row.to_region },
    requestedBy: deps.formatId('mem', tenant, row.requested_by),
    requestedAt: row.requested_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    progress:
      progress === undefined
        ? null
        : {
            stage: progress.stage,
            rowsDone: Number(progress.rows_done),
            rowsTotal: Number(progress.rows_total),
            updatedAt: progress.updated_at.toISOString(),
          },
    frozenMs: row.frozen_ms,
    ...shownProof(row.proof),
    failure: row.failure,
    mayCancel: 'to' in MOVE_MACHINE[row.state].cancel,
  };
}
