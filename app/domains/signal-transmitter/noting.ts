import { uuidV4, uuidV7, type Uuid } from '@auditrax/base';
import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AccessSignal, AccessSignals, IdentityDeps } from '../identity/index.ts';
import type { Sender } from './deps.ts';
import * as queries from './queries.ts';
import { causeOf, KINDS } from './words.ts';

type Deps = Pick<IdentityDeps, 'clock' | 'random' | 'sealer'> & { readonly sender: Sender };

/** A name is written again after a day at most, so that the newest provider of several is known. */
const NAME_AGE_MS_MAX = 86_400_000;

interface Together {
  readonly causeId: Uuid;
  rank: number;
}

/** `smallint`, and far beyond what one transaction ends. */
const RANK_MAX = 32_767;

/**
 * Notes what happens to people's access for each stream that is told of it, in the transaction in which it happens. Only ids
 * and words of a table are written, so nothing has to be sealed or signed while access ends; that is done on the way out.
 * A tenant without a stream has nothing written.
 */
export function createAccessSignals(deps: Deps): AccessSignals {
  const under = new WeakMap<ScopedTransaction, Together>();
  const togetherIn = (tx: ScopedTransaction): Together => {
    const known = under.get(tx);
    if (known !== undefined) return known;
    const begun = { causeId: uuidV4(deps.random), rank: 0 };
    under.set(tx, begun);
    tx.afterCommit(() => deps.sender.wake(tx.context.tenantId));
    return begun;
  };
  return {
    async note(tx, signal) {
      const { topic, event } = KINDS[signal.kind];
      const streams = await tx.query(queries.tellingStreams(tx.context, topic));
      if (streams.length === 0) return;
      const together = togetherIn(tx);
      const noted_at = new Date(deps.clock.nowMs());
      const facts = { event, member_id: signal.memberId, cause: causeOf(signal), noted_at, cause_id: together.causeId };
      for (const session_id of sessionsOf(signal)) {
        together.rank = Math.min(together.rank + 1, RANK_MAX);
        const { rank } = together;
        for (const { id: stream_id } of streams) {
          const id = uuidV7(deps.clock, deps.random);
          await tx.query(queries.insertEvent(tx.context, { id, stream_id, rank, session_id, ...facts }));
        }
      }
    },
    async named(tx, { memberId, accountId, name }) {
      if ((await tx.query(queries.namingStreams(tx.context))).length === 0) return;
      const now_ms = deps.clock.nowMs();
      const [known] = await tx.query(queries.nameByAccount(tx.context, accountId));
      if (known !== undefined && now_ms - known.named_at.getTime() < NAME_AGE_MS_MAX) return;
      const { context } = tx;
      const value = JSON.stringify({ iss: name.issuer, sub: name.subject });
      const field = 'identity.signal_name.name' as const;
      const sealed = await deps.sealer.seal({ context, field, rowId: accountId, value, tx });
      const row = { id: accountId, memberId, name: sealed, at: new Date(now_ms) };
      await tx.query(queries.keepName(context, row));
    },
    async forget(tx, memberId) {
      await tx.query(queries.forgetNames(tx.context, memberId));
      await tx.query(queries.unsign(tx.context, memberId));
    },
  };
}

/** One event for all of a person's sessions, or one for each that ended. */
function sessionsOf(signal: AccessSignal): readonly (Uuid | null)[] {
  return signal.kind === 'sessions-ended' ? (signal.sessionIds ?? [null]) : [null];
}
