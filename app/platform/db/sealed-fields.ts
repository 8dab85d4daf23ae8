import { glob } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PlaintextColumn } from './plaintext-columns.ts';

/** Name (`schema.table.column`) to stable number. The number is bound into every ciphertext of the field. */
export type SealedFieldRegistry = Readonly<Record<string, number>>;

/** One place where sealed values are stored. Every such column is in the registry, or it would be left out of rotation. */
export interface SealedColumn {
  /** `schema.table.column` */
  readonly column: string;
  /** The field's number; 1 for the key of a stored object. */
  readonly field: number;
  readonly purpose: 'fields' | 'objects';
  /** Whose role may encrypt its values anew. */
  readonly service: 'workspace' | 'issuer';
  /** The uuid column by which the rows are walked; need not be unique. */
  readonly key: string;
  /** The uuid column that the ciphertext is bound to. */
  readonly row: string;
}

/** Numbers below belong to the platform itself (stored objects' keys). */
const ROOM_FIELD_NUMBER_MIN = 100;
const NAME_PATTERN = /^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/;

/**
 * Merges rooms' registries into the one that the sealer gets. Throws RangeError on a malformed name, a number outside its
 * range, and on a name or number that is given twice: two fields with one number could have their ciphertexts exchanged.
 */
export function mergeSealedFields(registries: readonly SealedFieldRegistry[]): SealedFieldRegistry {
  const merged = new Map<string, number>();
  const owners = new Map<number, string>();
  for (const [name, number] of registries.flatMap((registry) => Object.entries(registry))) {
    if (!NAME_PATTERN.test(name)) throw new RangeError(`${name} is not schema.table.column`);
    if (!Number.isInteger(number) || number < ROOM_FIELD_NUMBER_MIN || number > 0xffff_ffff) {
      throw new RangeError(`${name}: field number ${number} is outside ${ROOM_FIELD_NUMBER_MIN}..2^32-1`);
    }
    const owner = owners.get(number);
    if (merged.has(name)) throw new RangeError(`${name} is registered twice`);
    if (owner !== undefined) throw new RangeError(`${name} and ${owner} share field number ${number}`);
    merged.set(name, number);
    owners.set(number, name);
  }
  return Object.fromEntries(merged);
}

/** Reads and merges every `sealed-fields.ts` of the rooms below `appDirectory`. */
export async function discoverSealedFields(appDirectory: string): Promise<SealedFieldRegistry> {
  const modules = await importAll<{ sealedFields?: SealedFieldRegistry }>(appDirectory, 'sealed-fields.ts');
  return mergeSealedFields(
    modules.flatMap(({ path, module }) => {
      if (module.sealedFields === undefined && path !== OWN_PATH)
        throw new RangeError(`${path} exports no sealedFields`);
      return module.sealedFields === undefined ? [] : [module.sealedFields];
    }),
  );
}

/** Reads every room's `sealedColumns`, in the order of their names. Throws RangeError on a malformed or repeated one. */
export async function discoverSealedColumns(appDirectory: string): Promise<readonly SealedColumn[]> {
  const modules = await importAll<{ sealedColumns?: readonly SealedColumn[] }>(appDirectory, 'sealed-fields.ts');
  const columns = modules.flatMap(({ module }) => module.sealedColumns ?? []);
  const seen = new Set<string>();
  for (const { column, key, row } of columns) {
    // These become part of statements.
    if (!NAME_PATTERN.test(column)) throw new RangeError(`${column} is not schema.table.column`);
    for (const name of [key, row]) if (!/^[a-z][a-z0-9_]*$/.test(name)) throw new RangeError(`${name} is no column`);
    if (seen.has(column)) throw new RangeError(`${column} is registered twice`);
    seen.add(column);
  }
  return columns.toSorted((a, b) => (a.column < b.column ? -1 : 1));
}

/** Reads every `plaintext.ts` of the rooms below `appDirectory`. Throws RangeError for one without its list. */
export async function discoverPlaintextColumns(appDirectory: string): Promise<readonly PlaintextColumn[]> {
  const modules = await importAll<{ plaintextColumns?: readonly PlaintextColumn[] }>(appDirectory, 'plaintext.ts');
  return modules.flatMap(({ path, module }) => {
    if (module.plaintextColumns === undefined) throw new RangeError(`${path} exports no plaintextColumns`);
    return module.plaintextColumns;
  });
}

/** The collector itself has a room file's name and is no registry. */
const OWN_PATH = join('platform', 'db', 'sealed-fields.ts');

async function importAll<Module>(appDirectory: string, fileName: string): Promise<{ path: string; module: Module }[]> {
  const paths: string[] = [];
  for await (const path of glob(`{domains,platform,claims}/**/${fileName}`, { cwd: appDirectory })) paths.push(path);
  const modules: { path: string; module: Module }[] = [];
  for (const path of paths.sort()) {
    modules.push({ path, module: (await import(pathToFileURL(join(appDirectory, path)).href)) as Module });
  }
  return modules;
}
