import { isAppError } from '@auditrax/base';
import type { Random, Uuid } from '@auditrax/base';
import { fieldKeyVersion, openField, openMany, sealMany } from '@auditrax/seal';
import type { FieldBinding, FieldKey } from '@auditrax/seal';
import type { TenantContext } from '@auditrax/tenancy';
import type { SealedColumn } from '../../platform/db/sealed-fields.ts';
import { keysError } from './errors.ts';
import type { SealedRow } from './rotation-queries.ts';
import type { KeyFinder, KeyUse } from './sealer.ts';

/** A batch encrypted anew; nothing is stored yet. */
export interface Resealed {
  /** Of the key that the new values name. */
  readonly version: number;
  readonly dekId: Uuid;
  readonly moved: readonly { readonly key: Uuid; readonly from: Buffer; readonly to: Buffer }[];
  readonly unreadable: number;
}

/** Failures of one value, as against failures of the keys: the others of its batch are not held up by it. */
const UNREADABLE: readonly string[] = [
  'authentication_failed',
  'blob_malformed',
  'dek_missing',
  'dek_not_usable',
  'suite_refused',
  'suite_unknown',
];

interface Tools {
  readonly keys: Pick<KeyFinder, 'forSealing' | 'forOpening'>;
  readonly random: Random;
  readonly schemaRevision: number;
}

interface Opened extends SealedRow {
  readonly binding: FieldBinding;
  readonly value: Buffer;
}

/** See `Sealer`: the values of each older key version are opened, sealed and compared as one set. */
export async function resealMany(
  tools: Tools,
  given: {
    readonly context: TenantContext;
    readonly column: Pick<SealedColumn, 'field' | 'purpose'>;
    readonly rows: readonly SealedRow[];
  },
): Promise<Resealed> {
  const { context, column, rows } = given;
  const use = { context, purpose: column.purpose };
  const young = await tools.keys.forSealing(use);
  const { versions, malformed } = byVersion(rows, young.version);
  const bind = ({ row }: SealedRow): FieldBinding => ({
    tenantId: context.tenantId,
    fieldId: column.field,
    rowId: row,
    schemaRevision: tools.schemaRevision,
  });
  const sum = { moved: [] as Resealed['moved'][number][], unreadable: malformed };
  for (const [version, old] of versions) {
    const opened = await openSet(tools, { ...use, version }, { rows: old, bind });
    sum.unreadable += old.length - opened.length;
    sum.moved.push(...sealAnew(young, tools.random, opened));
  }
  return { version: young.version, dekId: young.dekId, ...sum };
}

function byVersion(
  rows: readonly SealedRow[],
  young: number,
): { versions: Map<number, SealedRow[]>; malformed: number } {
  const versions = new Map<number, SealedRow[]>();
  let malformed = 0;
  for (const row of rows) {
    try {
      const version = fieldKeyVersion(row.sealed);
      if (version < young) versions.set(version, [...(versions.get(version) ?? []), row]);
    } catch (error) {
      if (!isAppError(error, ...UNREADABLE)) throw error;
      malformed += 1;
    }
  }
  return { versions, malformed };
}

/** Those that open. The set is tried whole first; only when one of it does not open, they are tried one by one. */
async function openSet(
  { keys }: Tools,
  use: KeyUse & { readonly version: number },
  set: { readonly rows: readonly SealedRow[]; readonly bind: (row: SealedRow) => FieldBinding },
): Promise<Opened[]> {
  const fields = set.rows.map((row) => ({ ...row, binding: set.bind(row) }));
  const key = await unlessUnreadable(() => keys.forOpening(use, use.version));
  if (key === undefined) return [];
  const values = await unlessUnreadable(async () => openMany({ key }, fields));
  if (values !== undefined) return fields.map((field, index) => ({ ...field, value: values[index]! }));
  const opened: Opened[] = [];
  for (const field of fields) {
    const value = await unlessUnreadable(async () => openField({ key, binding: field.binding }, field.sealed));
    if (value !== undefined) opened.push({ ...field, value });
  }
  return opened;
}

async function unlessUnreadable<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isAppError(error, ...UNREADABLE)) throw error;
    return undefined;
  }
}

/** Each new value is opened again and compared before it is given out; no plaintext is left. */
function sealAnew(young: FieldKey, random: Random, opened: readonly Opened[]): Resealed['moved'][number][] {
  const blobs = sealMany({ key: young, random }, opened);
  const again = openMany(
    { key: young },
    blobs.map((sealed, index) => ({ sealed, binding: opened[index]!.binding })),
  );
  const isSame = again.every((value, index) => value.equals(opened[index]!.value));
  for (const value of [...again, ...opened.map((one) => one.value)]) value.fill(0);
  if (!isSame) throw keysError('unwrap_refused', 'a value sealed anew opened to another');
  return blobs.map((to, index) => ({ key: opened[index]!.key, from: opened[index]!.sealed, to }));
}
