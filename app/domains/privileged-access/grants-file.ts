import { csvText, type CsvColumn } from '../../shell/csv.ts';
import type { ShownGrant } from '../../shell/wire.ts';

const COLUMNS: readonly CsvColumn<ShownGrant>[] = [
  ['id', (grant) => grant.id],
  ['kind', (grant) => grant.kind],
  ['person', (grant) => grant.person],
  ['scopes', (grant) => grant.scopes.join(' ')],
  ['reason', (grant) => grant.reason],
  ['ticket', (grant) => grant.ticket],
  ['state', (grant) => grant.state],
  ['asked_at', (grant) => grant.askedAt],
  ['vouched_by', (grant) => grant.vouched],
  ['confirmed_by', (grant) => grant.confirmedBy],
  ['proved_at', (grant) => grant.provedAt],
  ['starts_at', (grant) => grant.startsAt],
  ['ends_at', (grant) => grant.endsAt],
  ['ended_at', (grant) => grant.endedAt],
  ['ended_because', (grant) => grant.endedBecause],
  ['ended_by', (grant) => grant.endedBy],
  ['review', (grant) => grant.review?.outcome ?? null],
  ['reviewed_by', (grant) => grant.review?.by ?? null],
  ['reviewed_at', (grant) => grant.review?.at ?? null],
];

/** A line for each, as they are listed. */
export function grantsCsv(grants: readonly ShownGrant[]): string {
  return csvText(COLUMNS, grants);
}
