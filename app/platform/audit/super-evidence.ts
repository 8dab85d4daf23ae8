import type { Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import {
  buildSlotTree,
  inclusionProof,
  slotEvidence,
  toBase64,
  type EpochEvidence,
  type SlotTree,
} from '@auditrax/tlog';
import { EPOCHS_PER_CALL_MAX } from './ledger-contract.ts';
import { textsOf, type SuperLog } from './super-log.ts';
import * as queries from './super-queries.ts';

/** A week of epochs: how far from an end a co-signed one is looked for. */
const EPOCHS_LOOKED_AT_MAX = 10_080;
/** A tree over ten thousand logs is some megabytes. */
const TREES_CACHED_MAX = 4;

export interface EvidenceInput {
  readonly tenantId: Uuid;
  /** Of the log's newest generation. */
  readonly origin: string;
  /** Sizes of the tenant's log. */
  readonly from: number;
  readonly to: number;
}

interface State {
  readonly epoch: number;
  /** The last epoch it stood for. */
  readonly until: number;
  readonly size: number;
  readonly note: string;
}

/** What a tenant is told of the super-log: its own slot in the epochs that bracket a range of its log. */
export function createSuperEvidence({ home, superLog }: { home: SystemDoor; superLog: SuperLog }): {
  epochs(input: EvidenceInput): Promise<EpochEvidence[]>;
} {
  const trees = new Map<number, SlotTree>();
  const treeAt = async (row: queries.EpochRow): Promise<SlotTree> => {
    const epoch = Number(row.epoch);
    const known = trees.get(epoch);
    if (known !== undefined) return known;
    const rows = await home.system(queries.slotsAt(epoch));
    const states = rows.flatMap(({ slot, note }) => (note === null ? [] : [{ slot: Number(slot), note }]));
    const tree = await buildSlotTree(row.slot_key, textsOf(states));
    trees.set(epoch, tree);
    if (trees.size > TREES_CACHED_MAX) trees.delete(trees.keys().next().value!);
    return tree;
  };
  const evidenceOf = async (slot: number, state: State, row: queries.EpochRow): Promise<EpochEvidence[]> => {
    const { generation, leaf } = row;
    const index = Number(row.idx);
    const size = index + 1;
    const [published] = await home.system(queries.publishedAt({ generation, size }));
    if (published === undefined) return [];
    const proof = await inclusionProof({ index, size }, superLog.tilesOf(generation));
    const { token } = published;
    return [
      {
        note: `${published.note}${published.lines}`,
        leaf,
        index,
        proof: proof.map(toBase64),
        ...slotEvidence(row.slot_key, await treeAt(row), slot),
        checkpoint: state.note,
        ...(token === null ? {} : { timestamp: token.toString('base64') }),
      },
    ];
  };

  return {
    epochs: async ({ tenantId, origin, from, to }) => {
      const [given] = await home.system(queries.slotOf(tenantId));
      const newest = (await home.system(queries.newestEpoch))[0];
      if (given === undefined || newest === undefined) return [];
      const slot = Number(given.slot);
      const rows = await home.system(queries.slotStates({ slot, origin, from, to }));
      const states = rows.map((row) => ({
        epoch: Number(row.epoch),
        until: Number(row.until ?? newest.epoch),
        size: Number(row.size),
        note: row.note,
      }));
      const evidence: EpochEvidence[] = [];
      for (const state of thinned(states)) {
        // Before the range the last epoch bounds it best, from its end on the first.
        const row = await chooseEpoch(home, state, state.size >= to ? 'first' : 'last');
        if (row !== undefined) evidence.push(...(await evidenceOf(slot, state, row)));
      }
      return evidence;
    },
  };
}

/** Both ends, and evenly what lies between. */
function thinned(states: readonly State[]): readonly State[] {
  if (states.length <= EPOCHS_PER_CALL_MAX) return states;
  const step = (states.length - 1) / (EPOCHS_PER_CALL_MAX - 1);
  return Array.from({ length: EPOCHS_PER_CALL_MAX }, (_, at) => states[Math.round(at * step)]!);
}

async function chooseEpoch(
  home: SystemDoor,
  { epoch, until }: State,
  end: 'first' | 'last',
): Promise<queries.EpochRow | undefined> {
  const range =
    end === 'first'
      ? { first: epoch, last: Math.min(until, epoch + EPOCHS_LOOKED_AT_MAX) }
      : { first: Math.max(epoch, until - EPOCHS_LOOKED_AT_MAX), last: until };
  for (const cosigned of [true, false]) {
    const [row] = await home.system(queries.epochNear({ ...range, end, cosigned }));
    if (row !== undefined) return row;
  }
  return undefined;
}
