import type { Attempt } from './attempts-contract.ts';

type Cell = string | number | boolean | null;

const COLUMNS: readonly (readonly [name: string, cell: (attempt: Attempt) => Cell])[] = [
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

/** RFC 4180; a cell that a spreadsheet would take for a formula is kept a text. */
function cellText(value: Cell): string {
  const text = value === null ? '' : String(value);
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** Denied attempts as a table: UTC instants, lines end in CRLF. */
export function attemptsCsv(attempts: readonly Attempt[]): string {
  const lines = [
    COLUMNS.map(([name]) => name),
    ...attempts.map((one) => COLUMNS.map(([, cell]) => cellText(cell(one)))),
  ];
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}

/** The same, member by member as the API gave it. */
export function attemptsJson(attempts: readonly Attempt[]): string {
  return `${JSON.stringify(attempts, null, 2)}\n`;
}
