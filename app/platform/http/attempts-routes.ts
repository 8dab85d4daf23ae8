import type { Uuid } from '@auditrax/base';
import type { AttemptEvent } from './attempts.ts';
import { attemptsContract } from './attempts-contract.ts';
import { bindRoutes, type RoomRoutes } from './handler.ts';

/** Serves the gateway's reports of attempts; `record` is durable when it resolves. */
export function attemptsRoutes(
  record: (event: AttemptEvent) => Promise<{ readonly entryId?: Uuid; readonly sessionOver: boolean }>,
): RoomRoutes {
  return bindRoutes(attemptsContract, {
    record: async (call) => {
      const { caller, requestId, body } = call;
      const { entryId, sessionOver } = await record(
        body.kind === 'step-up'
          ? { ...body, caller, requestId }
          : {
              kind: body.kind,
              layer: 'gateway',
              reason: body.reason,
              operation: body.operation,
              caller,
              requestId,
              ...(body.foreignPart === undefined ? {} : { foreignPart: body.foreignPart }),
            },
      );
      return { status: 200, body: { entryId: entryId ?? null, sessionOver } };
    },
  });
}
