import type { Clock, Uuid } from '@auditrax/base';
import type { SystemTransaction } from '@auditrax/tenancy';
import { REFUSALS } from '../../platform/audit/index.ts';
import { actorOf, isCanary, refusalOf, timesOf, type LogEvent } from '../detections/index.ts';
import { forgetAttempts, insertAttempt } from './attempts-queries.ts';

/** Attempts kept at hand of people, and of canaries: the log has all of them, this is the view. */
export const ATTEMPTS_KEPT_MAX = 20_000;
/** How often what is beyond that is forgotten. */
const FORGET_EVERY_MS = 3_600_000;

export interface AttemptsBook {
  /** Notes the denied attempts among `events`, in the transaction that moves the tail. */
  note(tx: SystemTransaction, events: readonly LogEvent[]): Promise<void>;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function uuidOf(value: unknown): Uuid | null {
  return typeof value === 'string' && UUID.test(value) ? (value as Uuid) : null;
}

/** The operator's view of denied attempts, of what the logs say and nothing else. */
export function attemptsBook(clock: Clock): AttemptsBook {
  let forgotten_ms = clock.nowMs();
  return {
    note: async (tx, events) => {
      const now_ms = clock.nowMs();
      for (const event of events) {
        const code = refusalOf(event);
        if (code === undefined) continue;
        const { facts } = event;
        const part = facts['foreignPart'];
        await tx.query(
          insertAttempt({
            entryId: event.entryId,
            logIndex: event.index,
            aboutTenant: event.tenantId,
            targetPart: typeof part === 'number' ? part : null,
            canary: isCanary(event),
            code,
            layer: REFUSALS[code].layer,
            operation: textOf(facts['operation']),
            actor: actorOf(event),
            sessionId: uuidOf(facts['session'] ?? event.sessionId),
            requestId: event.requestId,
            source: textOf(facts['source']),
            times: timesOf(event),
            occurred_ms: event.occurred_ms,
            seenAt: new Date(now_ms),
          }),
        );
      }
      if (now_ms - forgotten_ms < FORGET_EVERY_MS) return;
      forgotten_ms = now_ms;
      for (const canary of [true, false]) await tx.query(forgetAttempts(canary, ATTEMPTS_KEPT_MAX));
    },
  };
}
