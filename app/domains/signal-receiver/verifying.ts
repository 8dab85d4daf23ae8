import { isAppError, type Clock, type Uuid } from '@auditrax/base';
import { auditFromCall } from '../../platform/audit/index.ts';
import { createAttemptLimit } from '../identity/index.ts';
import type { SignalReceiverDeps } from './deps.ts';
import { asSetupFault, refuse } from './errors.ts';
import * as queries from './queries.ts';
import { connected } from './settings.ts';
import { placeOf, type Asker, type Which } from './setup.ts';
import { askForLife } from './silence.ts';

/** Of one stream, in each process: transmitters refuse more (SSF 1.0, min_verification_interval). */
const VERIFICATIONS_PER_MINUTE_MAX = 1;

/** Asks a stream's transmitter now, at a lead's word; returns when it was asked. */
export type VerifyNow = (who: Omit<Asker, 'stepUp'>, of: Which) => Promise<Date>;

/** Throws `provider_stream_asked`. */
function limitWith(clock: Clock): (streamId: Uuid) => void {
  const limit = createAttemptLimit(clock, VERIFICATIONS_PER_MINUTE_MAX);
  return (streamId) => {
    try {
      limit(streamId);
    } catch (error) {
      if (!isAppError(error, 'too_many_sign_in_attempts')) throw error;
      throw refuse('provider_stream_asked', 'Wait a minute before you ask again.');
    }
  };
}

/**
 * Asks for a verification event (SSF 1.0, 8.1.4) out of turn. It changes nobody's access and needs no passkey. That it was
 * taken is no answer: the event is, and comes over the stream. Throws `not_found`, `provider_stream_state` (not on, or the
 * transmitter offers no verification), `provider_stream_asked`, `transmitter_refused` with the failed check.
 */
export function createVerifyNow(deps: SignalReceiverDeps): VerifyNow {
  const limit = limitWith(deps.clock);
  return async (who, of) => {
    const place = await placeOf(deps, who, of);
    const { context } = place;
    const { row, settings } = place.stream;
    if (row.state !== 'on') throw refuse('provider_stream_state', `The stream is ${row.state}.`);
    const stream = connected(deps, place);
    if (stream === undefined || settings?.management?.verificationEndpoint == null || settings.streamId === null)
      throw refuse('provider_stream_state', 'This provider cannot be asked for a sign of life.');
    limit(row.id);
    const at = new Date(deps.clock.nowMs());
    await deps.tenant.transaction(context, (tx) =>
      deps.recordAudit(tx, {
        ...auditFromCall(who),
        type: 'signals.verification-asked',
        resource: ['received-stream', row.id],
        outcome: 'allowed',
        public: { connection: place.connection.id },
      }),
    );
    const failure = await askForLife(deps, place, stream);
    if (failure !== undefined) throw asSetupFault(failure);
    // What is fetched is fetched at the next look.
    await deps.system.at(context.tenantId).system(queries.planDue({ streamId: row.id, dueAt: at }));
    return at;
  };
}
