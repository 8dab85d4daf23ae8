import { sealError } from '../../errors.ts';
import { createPrivateFile, exists, readPrivateFile, replacePrivateFile } from '../../private-file.ts';

/**
 * Random IVs of 96 bits are safe for 2^32 messages under one key (NIST SP 800-38D, 8.3). A sixteenth of that leaves room
 * for a counter that was lost with its disk, fifteen times over, and is 8 wraps a second for a year.
 */
export const WRAPS_MAX = 2 ** 28;
/** Counted ahead on disk, so that a durable write is paid once for so many; a crash wastes at most these. */
const BLOCK = 1_024;

/** Counts the uses of each key, so that its random IVs cannot run into each other. */
export interface WrapCounter {
  /** Counts one use. Throws `kek_misconfigured` when the key has had its share: the tenant needs another key. */
  take(kekRef: string): Promise<void>;
}

interface Count {
  used: number;
  reserved: number;
}

/**
 * A counter in a private file, one line of JSON. What is handed out has been written before, so no crash lets a number
 * be used twice. One process owns the file. `take` throws `ring_permissions`, `kek_misconfigured` (not such a file) too.
 */
export function fileWrapCounter(path: string): WrapCounter {
  let counts: Map<string, Count> | undefined;
  let saving: Promise<unknown> = Promise.resolve();
  const take = async (kekRef: string): Promise<void> => {
    counts ??= await load(path);
    const count = counts.get(kekRef) ?? { used: 0, reserved: 0 };
    if (count.used >= WRAPS_MAX) {
      throw sealError(
        'kek_misconfigured',
        `key ${kekRef} has wrapped ${WRAPS_MAX} data keys, all it may: move its tenant to a new key`,
      );
    }
    if (count.used >= count.reserved) {
      const reserved = count.used + BLOCK;
      await save(path, new Map([...counts, [kekRef, { used: count.used, reserved }]]));
      count.reserved = reserved;
    }
    count.used += 1;
    counts.set(kekRef, count);
  };
  return {
    take(kekRef) {
      const result = saving.then(() => take(kekRef));
      saving = result.catch(() => undefined);
      return result;
    },
  };
}

async function load(path: string): Promise<Map<string, Count>> {
  if (!(await exists(path))) return new Map();
  const malformed = () => sealError('kek_misconfigured', `${path} does not hold the counts of wrapping keys`);
  let value: unknown;
  try {
    value = JSON.parse((await readPrivateFile(path)).toString('utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw malformed();
    throw cause;
  }
  if (typeof value !== 'object' || value === null) throw malformed();
  return new Map(
    Object.entries(value).map(([kekRef, reserved]: [string, unknown]) => {
      if (!Number.isSafeInteger(reserved) || (reserved as number) < 0) throw malformed();
      // Up to here may have been used before the restart.
      return [kekRef, { used: reserved as number, reserved: reserved as number }];
    }),
  );
}

async function save(path: string, counts: ReadonlyMap<string, Count>): Promise<void> {
  const value = Object.fromEntries([...counts].map(([kekRef, { reserved }]) => [kekRef, reserved]));
  const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
  await ((await exists(path)) ? replacePrivateFile(path, bytes) : createPrivateFile(path, bytes));
}
