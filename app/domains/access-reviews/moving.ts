import type { ScopedTransaction } from '@auditrax/tenancy';
import type { AccessReviewDeps } from './deps.ts';
import { refuse } from './errors.ts';
import * as queries from './queries.ts';
import type { ReviewRow } from './queries.ts';
import { MACHINE, type ReviewEvent } from './states.ts';

/** Moves a review, whose row the transaction holds, by the state table. Throws `access_review_state`. */
export async function moveReview(
  deps: Pick<AccessReviewDeps, 'clock'>,
  tx: ScopedTransaction,
  { row, event }: { readonly row: Pick<ReviewRow, 'id' | 'state'>; readonly event: ReviewEvent },
): Promise<ReviewRow['state']> {
  const outcome = MACHINE[row.state][event];
  if ('refused' in outcome) throw refuse('access_review_state', `${event} in ${row.state}`, outcome.refused);
  const { to } = outcome;
  if (to !== row.state) {
    const closedAt = to === 'closed' ? new Date(deps.clock.nowMs()) : null;
    await tx.query(queries.setReviewState(tx.context, { id: row.id, state: to, closedAt }));
  }
  return to;
}
