import type { Uuid } from '@auditrax/base';
import type { AttemptEvent } from './attempts.ts';
import { attemptsContract } from './attempts-contract.ts';
import { bindRoutes, type RoomRoutes } from './handler.ts';

/** Serves the gateway's reports of attempts; `record` is durable when it resolves. */
export function attemptsRoutes(record: (event: AttemptEvent) => Promise<{ readonly entryId: Uuid }>): RoomRoutes {
  return bindRoutes(attemptsContract, {
    record: async (call) => {
      const { layer, reason, operation, foreignPart } = call.body;
      const part = foreignPart === undefined ? {} : { foreignPart };
      const { entryId } = await record({
        kind: 'tenant-id',
        layer,
        reason,
        operation,
        caller: call.caller,
        requestId: call.requestId,
        ...part,
      });
      return { status: 200, body: { entryId } };
    },
  });
}
