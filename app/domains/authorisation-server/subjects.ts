import type { StepUpSubjects } from '../access/index.ts';
import { changeSubjects } from './changing.ts';
import { consentSubjects } from './consent.ts';
import type { AuthorisationDeps } from './deps.ts';

/** What a person approves of this room with their passkey, beside what they have sent. */
export const programSubjects = (deps: AuthorisationDeps): StepUpSubjects => ({
  ...consentSubjects(deps),
  ...changeSubjects(deps),
});
