export type { PolicyErrorCode } from './errors.ts';
export type { AttributeValue } from './marshal.ts';
export type {
  Decision,
  DecisionRequest,
  EntityInput,
  FilterInput,
  PolicySet,
  PolicySource,
  RowFilter,
} from './policy-set.ts';
export type { Explanation, PolicyOutcome } from './policy-set.ts';
export { diagnose, type Problem } from './diagnose.ts';
export { loadPolicies, namedIn, splitPolicies } from './policy-set.ts';
export type { ActionDeclaration, Attribute, AttributeType, PolicySchema } from './schema.ts';
