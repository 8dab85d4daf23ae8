import type { Json } from '@auditrax/base';
import type { SubjectFacts } from './step-up-subject.ts';
import type { Caller } from '../../platform/http/handler.ts';

/**
 * The canonical form of what is to be confirmed. `input` is what the route takes: its path parameters and its body in
 * one object, as the browser sends them. The issuer builds it to show and sign, the service builds it again from its
 * own request, so a difference in any of the four breaks the signature.
 */
export function stepUpAction<Input extends Readonly<Record<string, Json | undefined>>>(
  caller: Pick<Caller, 'tenant' | 'personId'>,
  operation: string,
  input: Input,
) {
  return { operation, tenant: caller.tenant.tenantId, person: caller.personId, input };
}

/**
 * The same with what the database says at that moment about the row that will change (`step-up-subject.ts`): a fifth thing
 * that the issuer shows and the service reads again. The action itself where the operation changes no row.
 */
export function withSubject<Action extends Readonly<Record<string, Json | undefined>>>(
  action: Action,
  subject: SubjectFacts | undefined,
): Action & { readonly subject?: SubjectFacts } {
  return subject === undefined ? action : { ...action, subject };
}
