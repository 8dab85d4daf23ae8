export type { Change } from './changes.ts';
export { DIALECTS, type DialectRules, type ScimDialect } from './dialects.ts';
export { resourceType, resourceTypes, schema, schemas, serviceProviderConfig, type Document } from './documents.ts';
export {
  refusal,
  SCIM_CHECKS,
  scimError,
  type ScimCode,
  type ScimError,
  type ScimErrorAnswer,
  type ScimType,
} from './errors.ts';
export { matches, planFilter, type FilterPlan, type Lookup, type LookupName } from './evaluate.ts';
export { parseFilter, type Comparison, type Filter, type Grammar, type Operator } from './filter.ts';
export { COUNT_DEFAULT, COUNT_MAX, MEMBERS_MAX, MESSAGE_BYTES_MAX } from './limits.ts';
export { listAnswer, readListQuery, readSelection, type ListAnswer, type ListQuery, type Selection } from './list.ts';
export { locationOf, present, withMeta, type Origin, type ShownResource } from './present.ts';
export { branchOf, withEntry, type Branch, type Node, type ScimResource, type Simple } from './resource.ts';
export { ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, type ResourceKind } from './schema.ts';
export type { Standing } from './standing.ts';
export { foldCase } from './text.ts';
export { bearerHash, newToken, tokenHash, type NewToken } from './token.ts';
export {
  createResource,
  patchResource,
  replaceResource,
  type ChangeOrder,
  type Verdict,
  type WriteOrder,
} from './write.ts';
export { entityTag, namesTag } from './version.ts';
