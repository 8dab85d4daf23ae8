import { systemClock, systemRandom, type Clock, type Random, type Uuid } from '@auditrax/base';
import type { SystemDoor } from '@auditrax/tenancy';
import { buildLeaf, type AuditInput } from './leaf.ts';
import { appendObservation } from './queries.ts';

/** What the sentinel itself saw or did; no withheld values, since the sentinel has no keys. */
export type Observation = Omit<AuditInput, 'actor' | 'disclosures' | 'tokenHash' | 'stepUpHash'>;

/**
 * Writes an observation of the sentinel into the operator's log, through the one function its role may call. Durable
 * when it resolves.
 */
export function observationRecorder(
  door: SystemDoor,
  { clock = systemClock, random = systemRandom }: { clock?: Clock; random?: Random } = {},
): { record(observation: Observation): Promise<{ entryId: Uuid }> } {
  return {
    record: async (observation) => {
      const built = buildLeaf({ ...observation, actor: { service: 'sentinel' } }, { clock, random });
      await door.system(appendObservation(built.leaf));
      return { entryId: built.entryId };
    },
  };
}
