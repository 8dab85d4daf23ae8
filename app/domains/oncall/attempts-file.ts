import { csvText, type CsvColumn } from '../../shell/csv.ts';
import type { Attempt } from './attempts-contract.ts';

const COLUMNS: readonly CsvColumn<Attempt>[] = [
  ['at', (one) => one.at],
  ['code', (one) => one.code],
  ['layer', (one) => one.layer],
  ['severity', (one) => one.severity],
  ['operation', (one) => one.operation],
  ['actor_kind', (one) => one.who.kind],
  ['actor', (one) => one.who.label],
  ['session', (one) => one.sessionId],
  ['source', (one) => one.source],
  ['tenant', (one) => one.tenant],
  ['target', (one) => one.target],
  ['times', (one) => one.times],
  ['canary', (one) => one.canary],
  ['page_accepted_at', (one) => one.page?.acceptedAt ?? null],
  ['page_latency_ms', (one) => one.page?.latency_ms ?? null],
  ['request_id', (one) => one.requestId],
  ['entry_id', (one) => one.entryId],
  ['log_index', (one) => one.logIndex],
];

/** Denied attempts as a table: UTC instants, lines end in CRLF. */
export function attemptsCsv(attempts: readonly Attempt[]): string {
  return csvText(COLUMNS, attempts);
}

/** The same, member by member as the API gave it. */
export function attemptsJson(attempts: readonly Attempt[]): string {
  return `${JSON.stringify(attempts, null, 2)}\n`;
}
