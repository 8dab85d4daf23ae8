import type { Uuid } from '@auditrax/base';
import type { PlaceKind } from './placement-contract.ts';

/** A cluster that tenants can live on. */
export interface Region {
  readonly name: string;
  /** Where the shared tables are. */
  readonly isHome: boolean;
}

/** What is the same on both sides: a table's rows, or the tenant's files with their length. */
export type ProofRow = { readonly rows: number; readonly sha256: string; readonly bytes?: number };

/** What a finished move has shown. */
export interface MoveReport {
  readonly proof: Readonly<Record<string, ProofRow>>;
  /** How long nothing could be written for the tenant, in milliseconds. */
  readonly frozenMs: number;
}

/**
 * Makes places and moves tenants between them. No process of the house may do that itself: the composition root asks
 * the supervisor, whose one-shot set-up process alone holds the database's keys.
 */
export interface Placer {
  regions(): readonly Region[];
  /** Makes an empty place and the tenant's home there, before anything is stored for it. Safe to ask again. */
  settle(tenantId: Uuid, place: { readonly kind: PlaceKind; readonly region: string }): Promise<void>;
  /**
   * Moves every row. Rejects with AppError: `move_stopped` when the move's state said so before the switch, else what
   * stopped it; nothing is lost then. Asking again after a crash goes on, or takes back what was begun.
   */
  move(order: {
    readonly moveId: Uuid;
    readonly tenantId: Uuid;
    readonly place: { readonly kind: PlaceKind; readonly region: string };
  }): Promise<MoveReport>;
}
