import type { Uuid } from '@auditrax/base';
import { refuse } from './errors.ts';
import type { Asker, AuditTrailDeps } from './ports.ts';

/** As the log writes them; anything else names nothing. */
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The engagement that an entry says it is about; undefined when it is about something else. */
function engagementOf(leaf: Uint8Array): Uuid | undefined {
  const { resource, public: facts } = JSON.parse(Buffer.from(leaf).toString('utf8')) as {
    resource: readonly [string, string];
    public?: Readonly<Record<string, unknown>>;
  };
  const named = resource[0] === 'engagement' ? resource[1] : facts?.['engagement'];
  return typeof named === 'string' && UUID.test(named) ? (named as Uuid) : undefined;
}

/**
 * The entries that the rules of the asker's organisation leave them: who may not see an engagement does not read what was
 * done to it either. Entries that name no engagement are left to everybody who may read the trail.
 */
export async function entriesLeft<Row extends { readonly leaf: Uint8Array }>(
  { engagementsLeft }: Pick<AuditTrailDeps, 'engagementsLeft'>,
  asker: Asker,
  rows: readonly Row[],
): Promise<readonly Row[]> {
  const about = rows.map(({ leaf }) => engagementOf(leaf));
  const left = await engagementsLeft(asker, [...new Set(about.filter((id) => id !== undefined))]);
  if (left === undefined) return rows;
  return rows.filter((_row, at) => about[at] === undefined || left.has(about[at]));
}

/**
 * For what is an unbroken range of the log or none: with entries left out nobody could verify it. Throws
 * `export_narrowed`.
 */
export async function requireWhole(
  deps: Pick<AuditTrailDeps, 'engagementsLeft'>,
  asker: Asker,
  rows: readonly { readonly leaf: Uint8Array }[],
): Promise<void> {
  if ((await entriesLeft(deps, asker, rows)).length === rows.length) return;
  throw refuse(
    'export_narrowed',
    'The access rules of your organisation keep engagements from you that are named there. Ask somebody who sees them.',
  );
}
