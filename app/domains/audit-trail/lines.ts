import { toBase64 } from '@auditrax/tlog';
import type { LeafBody } from '../../platform/audit/index.ts';

/** Columns of the CSV, in this order for good: scripts count them. */
export const CSV_COLUMNS = [
  'position',
  'time',
  'type',
  'outcome',
  'actor_kind',
  'actor',
  'session',
  'resource_kind',
  'resource',
  'request',
  'passkey',
  'rules',
  'rules_revision',
  'facts',
  'id',
  'leaf_hash',
  'agents',
  'grant',
] as const;

/** RFC 4180, section 2. */
const LINE_END = '\r\n';
/** What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection). */
const FORMULA = /^[=+\-@\t\r]/;
/** The semicolon too: in many countries a spreadsheet takes it for the separator. */
const NEEDS_QUOTES = /[",;\r\n]/;

/**
 * One field. A text that a spreadsheet would run as a formula gets an apostrophe in front, which shows it as text: a
 * fact such as the name of a file can be chosen by whoever wants the reader's spreadsheet to run something.
 */
export function csvField(value: string): string {
  const plain = FORMULA.test(value) ? `'${value}` : value;
  return NEEDS_QUOTES.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

/** The head of the file. */
export function csvHead(): string {
  return CSV_COLUMNS.join(',') + LINE_END;
}

export interface Line {
  readonly index: number;
  readonly leaf: LeafBody;
  readonly leafHash: Uint8Array;
}

/** An entry as a line of CSV. */
export function csvLine({ index, leaf, leafHash }: Line): string {
  const fields: Readonly<Record<(typeof CSV_COLUMNS)[number], string>> = {
    position: String(index),
    time: new Date(leaf.time).toISOString(),
    type: leaf.type,
    outcome: leaf.outcome,
    actor_kind: leaf.actor[0],
    actor: leaf.actor[1],
    session: leaf.session ?? '',
    resource_kind: leaf.resource[0],
    resource: leaf.resource[1],
    request: leaf.request,
    passkey: leaf.stepUp === undefined ? '' : 'asked',
    rules: leaf.decision?.policies.join(' ') ?? '',
    rules_revision: leaf.decision?.revision ?? '',
    facts: leaf.public === undefined ? '' : JSON.stringify(leaf.public),
    id: leaf.id,
    leaf_hash: toBase64(leafHash),
    agents: leaf.agents?.join(' ') ?? '',
    grant: leaf.grant ?? '',
  };
  return CSV_COLUMNS.map((name) => csvField(fields[name])).join(',') + LINE_END;
}
