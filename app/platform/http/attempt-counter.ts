import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { REFUSALS, type CountedCode } from '../audit/refusals.ts';

/** Codes times sources: a handful of each. What does not fit is counted under one name. */
const KINDS_MAX = 200;
const ELSEWHERE = 'elsewhere';

/** Where a service tells the sentinel, and nobody else, what it has refused. */
export const COUNTED_PATH = '/internal/attempts/counted';

/** Sums since the process began; `boot` changes when it begins anew. */
export const countedAttempts = z.strictObject({
  boot: z.uuid(),
  counts: z
    .array(
      z.strictObject({
        code: z.enum(Object.keys(REFUSALS) as [CountedCode, ...CountedCode[]]),
        source: z.string().max(60),
        count: z.number().int().positive(),
      }),
    )
    .max(KINDS_MAX + Object.keys(REFUSALS).length),
});
export type CountedAttempts = z.output<typeof countedAttempts>;

/**
 * Refusals that anybody can provoke as often as they like: they are counted here, in bounded memory, and the sentinel
 * fetches the sums. Writing each would let whoever is refused fill a log that can only grow.
 */
export interface AttemptCounter {
  /** `source`: a kind of address or the name of a process; never an address, which the log could not forget. */
  count(code: CountedCode, source: string): void;
  read(): CountedAttempts;
}

export function createAttemptCounter(): AttemptCounter {
  const boot = randomUUID();
  const counts = new Map<string, { readonly code: CountedCode; readonly source: string; count: number }>();
  const entryOf = (code: CountedCode, source: string) => {
    const key = `${code} ${source}`;
    let entry = counts.get(key);
    if (entry === undefined && (counts.size < KINDS_MAX || source === ELSEWHERE)) {
      entry = { code, source, count: 0 };
      counts.set(key, entry);
    }
    return entry;
  };
  return {
    count: (code, source) => {
      (entryOf(code, source) ?? entryOf(code, ELSEWHERE)!).count += 1;
    },
    read: () => ({ boot, counts: [...counts.values()].map((entry) => ({ ...entry })) }),
  };
}
