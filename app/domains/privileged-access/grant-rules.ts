import { AppError } from '@auditrax/base';
import type { ProductionGrant } from '../../platform/http/handler.ts';
import { CONFIRM_MINUTES_MAX, type ShownGrant } from './contract.ts';
import type { PrivilegedAccessCode } from './errors.ts';
import type { GrantRow } from './queries.ts';

const MINUTE_MS = 60_000;
/** Nobody is let in longer after somebody has last vouched for them. */
export const PROOF_LIFE_MS = 4 * 3_600_000;
/** What is left of a proof must be worth a passkey. */
const LEFT_MS_MIN = MINUTE_MS;
/** A token of less would be over on its way. */
const USABLE_MS_MIN = 1_000;

export type GrantState = ShownGrant['state'];

/** Until when somebody may confirm a request. */
export function confirmBy({ asked_at }: Pick<GrantRow, 'asked_at'>): Date {
  return new Date(asked_at.getTime() + CONFIRM_MINUTES_MAX * MINUTE_MS);
}

/** When it is over by itself: a request with the time to confirm it, a grant with its end. */
export function overAt(row: GrantRow): Date {
  return row.ends_at ?? confirmBy(row);
}

export function stateOf(row: GrantRow, now_ms: number): GrantState {
  if (row.ended_at !== null && row.ended_reason !== 'over') return 'ended';
  if (row.ends_at === null) return now_ms < confirmBy(row).getTime() ? 'waiting' : 'unanswered';
  return now_ms < row.ends_at.getTime() ? 'live' : 'over';
}

/**
 * The end of a grant that begins at `now_ms`: what was asked for, and never later than four hours after the proof. In full
 * seconds, as tokens are. Throws `production_proof_old` when next to nothing is left of the proof.
 */
export function endOf(of: { readonly now_ms: number; readonly minutes: number; readonly provedAt: Date }): Date {
  const proof_ms = of.provedAt.getTime() + PROOF_LIFE_MS;
  const end_ms = Math.min(of.now_ms + of.minutes * MINUTE_MS, proof_ms);
  if (end_ms - of.now_ms < LEFT_MS_MIN)
    throw new AppError<PrivilegedAccessCode>('production_proof_old', 'the proof of employment is too old', {
      publicDetail: 'Your company last said almost four hours ago that you work there. Sign in by it again, then ask.',
    });
  return new Date(Math.floor(end_ms / 1000) * 1000);
}

/**
 * What of the house the row lets its person into now, for a token; undefined when nothing. The bounds are worked out anew:
 * a row that was tampered with must not outlive its proof.
 */
export function grantNow(row: GrantRow | undefined, now_ms: number): ProductionGrant | undefined {
  if (row === undefined || row.ended_at !== null) return undefined;
  if (row.starts_at === null || row.ends_at === null || row.proved_at === null) return undefined;
  const endsAtMs = Math.min(
    row.ends_at.getTime(),
    row.proved_at.getTime() + PROOF_LIFE_MS,
    row.starts_at.getTime() + row.minutes * MINUTE_MS,
  );
  if (row.starts_at.getTime() > now_ms || endsAtMs - now_ms < USABLE_MS_MIN) return undefined;
  if (row.kind === 'break-glass' && (row.confirmed_by === null || row.confirmed_by === row.member_id)) return undefined;
  return { id: row.id, scopes: row.scopes, endsAtMs };
}
