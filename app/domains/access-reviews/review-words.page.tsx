import type { AccessReview, AccessReviewItem } from '../../shell/wire.ts';

export const kindWords: Readonly<Record<AccessReviewItem['kind'], string>> = {
  member: 'Person',
  invitation: 'Invitation',
  'api-key': 'API key',
  program: 'Program',
  'directory-token': 'Directory token',
  'break-glass': 'Emergency access that was used',
};

const STATES: Readonly<Record<AccessReview['state'], readonly [word: string, grade: string]>> = {
  open: ['open', 'asserted'],
  decided: ['all decided', 'measured'],
  removing: ['removing', 'stale'],
  overdue: ['overdue', 'failing'],
  closed: ['closed', 'proven'],
};

export function StateChip({ review }: { review: Pick<AccessReview, 'state' | 'stillThere'> }) {
  const [word, grade] = review.stillThere > 0 ? ['a removal did not hold', 'failing'] : STATES[review.state];
  return <span className={`grade grade--${grade} grade--boxed`}>{word}</span>;
}

const DECISIONS: Readonly<Record<NonNullable<AccessReviewItem['decision']>, string>> = {
  keep: 'Kept',
  'change-role': 'Role changed',
  remove: 'Removed',
  gone: 'Ended by itself',
};

export function decisionText({ decision, decidedBecause, decidedBy }: AccessReviewItem): string {
  if (decision === null) return 'Undecided';
  if (decidedBecause === 'deadline') return 'Removed: nobody decided in time';
  return decidedBy === null ? DECISIONS[decision] : `${DECISIONS[decision]} by ${decidedBy}`;
}

/** What a later look at the target said. */
export function proofText({ decision, carriedOutAt, proof }: AccessReviewItem): string | null {
  if (decision !== 'remove' && decision !== 'change-role') return null;
  if (proof === 'gone') return 'Looked at later: gone';
  if (proof === 'still-there') return 'Looked at later: still there';
  return carriedOutAt === null ? 'Is being done' : 'Done, not looked at yet';
}
