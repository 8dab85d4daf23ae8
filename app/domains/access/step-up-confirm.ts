import type { Json, Uuid } from '@auditrax/base';
import type { ApprovalKeeping, Call } from '../../platform/http/handler.ts';
import type { Asker } from './service.ts';
import { stepUpAction, withSubject } from './step-up-action.ts';
import type { StepUpSubjects } from './step-up-subject.ts';

type StepUpCall = Pick<Call, 'caller' | 'requestId' | 'stepUp'>;

interface Confirming extends ApprovalKeeping {
  readonly input: Readonly<Record<string, Json | undefined>>;
  readonly ids?: Readonly<Record<string, Uuid>>;
}

/**
 * Verifies the confirmation of exactly this operation with exactly this input, about a row that stands as it was shown,
 * before anything is done.
 */
export function confirmer({ subjects }: { readonly subjects: StepUpSubjects }) {
  return async (
    { caller, requestId, stepUp }: StepUpCall,
    operation: string,
    { input, ids = {}, ...keeping }: Confirming,
  ): Promise<Asker> => {
    const approved = await subjects[operation]?.({ caller, requestId, ids, input });
    const action = withSubject(stepUpAction(caller, operation, input), approved);
    return { caller, requestId, stepUp: await stepUp(action, keeping), approved };
  };
}
