import { csvText, type CsvColumn } from '../../shell/csv.ts';
import type { AccessReviewAnswer, AccessReviewItem } from '../../shell/wire.ts';

const COLUMNS: readonly CsvColumn<AccessReviewItem>[] = [
  ['item', ({ n }) => n],
  ['kind', ({ kind }) => kind],
  ['name', ({ name }) => name],
  ['role', ({ role }) => role],
  ['scope', ({ scope }) => scope],
  ['signs_in_by', ({ methods }) => methods.join(' ')],
  ['last_used_at', ({ lastUsedAt }) => lastUsedAt],
  ['vouched_for_at', ({ provedAt }) => provedAt],
  ['decision', ({ decision }) => decision],
  ['because', ({ decidedBecause }) => decidedBecause],
  ['decided_by', ({ decidedBy }) => decidedBy],
  ['decided_at', ({ decidedAt }) => decidedAt],
  ['new_role', ({ newRole }) => newRole],
  ['reason', ({ reason }) => reason],
  ['carried_out_at', ({ carriedOutAt }) => carriedOutAt],
  ['looked_at', ({ lookedAt }) => lookedAt],
  ['seen', ({ proof }) => proof],
];

/** A line for each item. */
export const reviewCsv = ({ items }: Pick<AccessReviewAnswer, 'items'>): string => csvText(COLUMNS, items);

/** Everything that the page shows, with the snapshot's hash; how to check it stands in it. */
export function reviewJson({ review, items, operations, access }: AccessReviewAnswer): string {
  const howToCheck = [
    'snapshotHash is the SHA-256 of the snapshot file: sha256sum access-review-snapshot.json',
    'The entry access-review.opened of the audit log has the same hash; each decision is an entry access-review.decided with its approval, each proof an entry access-review.removal-proven. Export a bundle and check it: auditrax verify.',
  ];
  return `${JSON.stringify({ howToCheck, review, operations, access, items }, null, 2)}\n`;
}
