import type { Uuid } from '@auditrax/base';
import type { TenantContext, TenantDoor } from '@auditrax/tenancy';
import { listPlacedPeople, rulesHash } from './queries.ts';

/** An organisation's own rules, as far as a room may know them that cannot read their text. */
export interface RulesInForce {
  /** 0: nobody ever wrote any. */
  readonly version: number;
  /** SHA-256 of the text in UTF-8, lower-case hexadecimal; null without rules, and of a version from before hashes were kept. */
  readonly sha256: string | null;
  /** Where people belong, which rules may ask. */
  readonly officeOf: ReadonlyMap<Uuid, Uuid>;
}

/** Which rules are in force now, and all else that they know of people: roles and ids aside, their offices. */
export async function rulesInForce(door: Pick<TenantDoor, 'scoped'>, context: TenantContext): Promise<RulesInForce> {
  const [row] = await door.scoped(context, rulesHash(context));
  const people = await door.scoped(context, listPlacedPeople(context));
  return {
    version: row?.version ?? 0,
    sha256: row?.text_hash?.toString('hex') ?? null,
    officeOf: new Map(people.map(({ id, office_id }) => [id, office_id])),
  };
}
