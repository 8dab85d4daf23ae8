import type { Json, Random, Uuid } from '@auditrax/base';
import { AppError } from '@auditrax/base';
import { FIELD_SUITE_XAES_256_GCM } from '@auditrax/seal';
import type { KeyRing } from '@auditrax/seal';
import { openSealedDocument } from '@auditrax/seal/sealed-document';
import { keysError } from './errors.ts';
import { SUITES_LISTED_MAX } from './suite-contract.ts';

/** The ring's entry that seals the book: an id that no tenant has. */
const BOOK_OWNER = '00000000-0000-4000-8000-00000000b017' as Uuid;
const BOOK_NAME = 'suite-book';
/** Far above the tenants of one installation that would ever keep a list. */
const TENANTS_MAX = 10_000;

/** Suites that this build reads; it writes the first. */
export const FIELD_SUITES_KNOWN: readonly { readonly suite: number; readonly name: string }[] = [
  { suite: FIELD_SUITE_XAES_256_GCM, name: 'XAES-256-GCM' },
];

/**
 * Which algorithms a tenant's values may be written and read with, kept by the keys process in a sealed file: whoever can
 * write to the database can put an old value back, but not widen the list that refuses it. Throws what
 * `openSealedDocument` throws.
 */
export interface SuiteBook {
  /** Undefined: whatever the build has. */
  of(tenantId: Uuid): readonly number[] | undefined;
  /**
   * Durable when it resolves; undefined takes the list away. Where `from` is given, only in place of that list, as somebody
   * saw it: `key_setting_changed`. Throws `source_limit`.
   */
  keep(tenantId: Uuid, allowed: readonly number[] | undefined, from?: SuiteList): Promise<void>;
}

/** Null: whatever the build has. */
export type SuiteList = readonly number[] | null;

/** A list as an entry says it, and as two are compared. */
export function spelled(list: SuiteList): string {
  return list === null ? 'all' : list.join(',');
}

export async function openSuiteBook(place: {
  readonly path: string;
  readonly ring: KeyRing;
  readonly random: Random;
}): Promise<SuiteBook> {
  const document = await openSealedDocument({ ...place, owner: BOOK_OWNER, name: BOOK_NAME });
  let lists = new Map<Uuid, readonly number[]>(entriesOf(document.content));
  let saving: Promise<unknown> = Promise.resolve();
  return {
    of: (tenantId) => lists.get(tenantId),
    keep(tenantId, allowed, from) {
      const save = async (): Promise<void> => {
        await saving;
        if (from !== undefined && spelled(lists.get(tenantId) ?? null) !== spelled(from))
          throw keysError('key_setting_changed', 'another list holds by now: look at it again and approve that');
        if (allowed === undefined && !lists.has(tenantId)) return;
        const next = new Map(lists);
        if (allowed === undefined) next.delete(tenantId);
        else next.set(tenantId, [...allowed]);
        if (next.size > TENANTS_MAX) throw keysError('source_limit', `the book holds at most ${TENANTS_MAX} lists`);
        await document.save({ lists: [...next] });
        lists = next;
      };
      const saved = save();
      saving = saved.catch(() => undefined);
      return saved;
    },
  };
}

/** Throws `suites_unfit` for a list that names what this build has not, or leaves out what it writes. */
export function checkSuiteList(allowed: readonly number[]): void {
  const known = FIELD_SUITES_KNOWN.map(({ suite }) => suite);
  const strange = allowed.find((suite) => !known.includes(suite));
  if (strange !== undefined) throw keysError('suites_unfit', `this build has no suite ${strange}`);
  if (!allowed.includes(known[0]!))
    throw keysError('suites_unfit', `suite ${known[0]} is what this build writes: without it nothing could be stored`);
}

function entriesOf(content: Json | undefined): [Uuid, readonly number[]][] {
  if (content === undefined) return [];
  const { lists } = content as unknown as { lists?: [Uuid, number[]][] };
  const isList = (one: unknown): boolean =>
    Array.isArray(one) && one.length <= SUITES_LISTED_MAX && one.every((suite) => Number.isInteger(suite));
  if (!Array.isArray(lists) || !lists.every((entry) => isList(entry[1])))
    throw new AppError('ring_corrupt', 'the book of suites holds no lists');
  return lists;
}
