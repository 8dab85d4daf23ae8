import { AppError, type Json } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { createTail, type TailDeps } from '../domains/detections/index.ts';
import { createReconciler, type Reconciler } from './reconciler.ts';
import type { CellDoor, Observation } from '../platform/audit/index.ts';

/** Between two looks at what has still to be followed. */
const LOOK_AGAIN_MS = 50;
/** Whoever moves a tenant keeps its writers waiting meanwhile. */
const FOLLOWED_MS_MAX = 30_000;
/** The same cell's trouble is told again after this long: one that is away fails many times a second. */
const TELL_AGAIN_MS = 30_000;

export interface FollowerDeps {
  /** Home, where pages, cursors and the issuer's list are. */
  readonly home: SystemDoor;
  readonly raise: TailDeps['raise'];
  readonly note?: TailDeps['note'];
  /** File with the position of the reconciler in a cell. */
  readonly file: (cell: string) => string;
  readonly record: (observation: Observation) => Promise<unknown>;
  readonly reconcile_ms: number;
  readonly onFailure: (error: unknown) => void;
}

/** Everything that follows the logs: detections and the comparison with the issuer's list, each cell by itself. */
export interface LogFollower {
  /** Follows a cell from now on; what is returned ends that. */
  follow(cell: CellDoor): () => Promise<void>;
  /**
   * Resolves when everything in a cell up to this position was looked at and what it raised is stored, so that the rows
   * may go. Rejects with `cell_not_followed`.
   */
  followed(cell: string, position: bigint): Promise<void>;
}

interface Following {
  readonly tail: ReturnType<typeof createTail>;
  readonly reconciler: Reconciler;
}

function seldom(tell: (error: unknown) => void): (error: unknown) => void {
  let toldAt = -Infinity;
  return (error) => {
    const now = performance.now();
    if (now - toldAt < TELL_AGAIN_MS) return;
    toldAt = now;
    tell(error);
  };
}

export function createLogFollower(deps: FollowerDeps): LogFollower {
  const { home, raise, note, record } = deps;
  const cells = new Map<string, Following>();
  return {
    follow: (source) => {
      const onFailure = seldom(deps.onFailure);
      const following: Following = {
        tail: createTail({ door: home, source, raise, ...(note && { note }), onFailure }),
        reconciler: createReconciler({
          entries: source.door,
          mints: home,
          file: deps.file(source.cell),
          record,
          interval_ms: deps.reconcile_ms,
          onFailure,
        }),
      };
      cells.set(source.cell, following);
      following.tail.start();
      following.reconciler.start();
      return async () => {
        if (cells.get(source.cell) === following) cells.delete(source.cell);
        await Promise.all([following.tail.stop(), following.reconciler.stop()]);
      };
    },
    followed: async (cell, position) => {
      const end = performance.now() + FOLLOWED_MS_MAX;
      for (;;) {
        const following = cells.get(cell);
        if (following !== undefined) {
          await following.reconciler.runOnce();
          const compared = BigInt(following.reconciler.position() ?? -1);
          if (compared >= position && (await following.tail.position()) >= position) return;
        }
        if (performance.now() > end) throw new AppError('cell_not_followed', `the log of ${cell} is not followed`);
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
      }
    },
  };
}

/** The question `followed` of whoever moves a tenant: `{ cell, position }`, the position as decimal text. */
export async function answerFollowed(follower: LogFollower, input: Json): Promise<Json> {
  const { cell, position } = input as { cell: string; position: string };
  await follower.followed(cell, BigInt(position));
  return null;
}
