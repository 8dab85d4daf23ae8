import { GROUP_ROLES, type GroupRole } from './settings-contract.ts';

/** One group of the provider, by its id; the name is what people call it, and decides nothing. */
export interface GroupMapping {
  readonly group: string;
  readonly name: string | null;
  readonly role: GroupRole;
}

/**
 * The role that the groups of a sign-in give, the highest where several are mapped; undefined when none of them is. Groups
 * are compared as texts: no trimming, no folding of cases, since an id is an id. Call it only when the provider named
 * groups at all: silence takes nothing away.
 */
export function roleOfGroups(
  groups: readonly string[],
  mappings: readonly Pick<GroupMapping, 'group' | 'role'>[],
): GroupRole | undefined {
  const named = new Set(groups);
  const given = new Set(mappings.filter(({ group }) => named.has(group)).map(({ role }) => role));
  return GROUP_ROLES.find((role) => given.has(role));
}
