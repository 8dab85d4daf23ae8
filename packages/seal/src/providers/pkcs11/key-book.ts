import { sealError } from '../../errors.ts';
import { createPrivateFile, exists, readPrivateFile, replacePrivateFile } from '../../private-file.ts';

/**
 * Random IVs of 96 bits are safe for 2^32 messages under one key (NIST SP 800-38D, 8.3). A sixteenth of that leaves room
 * for a counter that was lost with its disk, fifteen times over, and is 8 wraps a second for a year.
 */
export const WRAPS_MAX = 2 ** 28;
/** Counted ahead on disk, so that a durable write is paid once for so many; a crash wastes at most these. */
const BLOCK = 1_024;

/**
 * What must be remembered of keys on a token: which key a label meant, so that one that is missing later is a loss and not
 * a reason to make another; and how often each key has wrapped, so that its random IVs cannot run into each other.
 */
export interface TokenKeyBook {
  /** The key that the label named when it was first used; undefined for a label never used. */
  keyOf(label: string): Promise<string | undefined>;
  /** Notes a label's key, for good; the first one stays. */
  note(label: string, kekRef: string): Promise<void>;
  /** Counts one wrap. Throws `kek_misconfigured` when the key has had its share: the tenant needs another key. */
  take(kekRef: string): Promise<void>;
}

interface Pages {
  readonly labels: Readonly<Record<string, string>>;
  /** How many wraps are reserved: up to here may have been used before a restart. */
  readonly wraps: Readonly<Record<string, number>>;
}

const EMPTY: Pages = { labels: {}, wraps: {} };

/**
 * A book in a private file, one line of JSON. What is handed out has been written before, so no crash lets a number be
 * used twice. One process owns the file. Everything throws `ring_permissions`, `kek_misconfigured` (not such a file) too.
 */
export function fileTokenKeyBook(path: string): TokenKeyBook {
  let pages: Pages | undefined;
  const used = new Map<string, number>();
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other: a page is never written from an older one. */
  const serially = <T>(work: (pages: Pages) => Promise<T>): Promise<T> => {
    const result = last.then(async () => work((pages ??= await load(path))));
    last = result.catch(() => undefined);
    return result;
  };
  const write = async (next: Pages): Promise<void> => {
    const bytes = Buffer.from(`${JSON.stringify(next)}\n`);
    await ((await exists(path)) ? replacePrivateFile(path, bytes) : createPrivateFile(path, bytes));
    pages = next;
  };
  return {
    keyOf: (label) => serially(async ({ labels }) => own(labels, label)),
    note: (label, kekRef) =>
      serially(async (held) => {
        if (own(held.labels, label) === undefined) {
          await write({ ...held, labels: { ...held.labels, [label]: kekRef } });
        }
      }),
    take: (kekRef) =>
      serially(async (held) => {
        const reserved = own(held.wraps, kekRef) ?? 0;
        const count = used.get(kekRef) ?? reserved;
        if (count >= WRAPS_MAX) {
          throw sealError(
            'kek_misconfigured',
            `key ${kekRef} has wrapped ${WRAPS_MAX} data keys, all it may: move its tenant to a new key`,
          );
        }
        if (count >= reserved) await write({ ...held, wraps: { ...held.wraps, [kekRef]: count + BLOCK } });
        used.set(kekRef, count + 1);
      }),
  };
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

async function load(path: string): Promise<Pages> {
  if (!(await exists(path))) return EMPTY;
  const text = (await readPrivateFile(path)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!isPages(value)) throw sealError('kek_misconfigured', `${path} is not the book of keys on a token`);
  return value;
}

function isPages(value: unknown): value is Pages {
  if (typeof value !== 'object' || value === null) return false;
  const { labels, wraps } = value as Partial<Record<keyof Pages, unknown>>;
  if (typeof labels !== 'object' || labels === null || typeof wraps !== 'object' || wraps === null) return false;
  return (
    Object.values(labels).every((kekRef) => typeof kekRef === 'string') &&
    Object.values(wraps).every((count) => Number.isSafeInteger(count) && (count as number) >= 0)
  );
}
