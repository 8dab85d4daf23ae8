export { canaryRoutes, routes } from './contract.ts';
export { systemTables, type IdentityDeps } from './deps.ts';
export { doorAdmits } from './door-rules.ts';
export { type IdentityCode, problems } from './errors.ts';
export { ENROL_LINK_SECONDS_MAX, issueLink, SIGN_IN_LINK_SECONDS_MAX } from './links.ts';
export { issueChallenge } from './challenges.ts';
export { assertionOptions, CEREMONY_SECONDS_MAX, verifyAssertion, type DoorSettings } from './passkey.ts';
export { passkeysOfMember, removePasskeysOf } from './passkeys.ts';
export { plaintextColumns } from './plaintext.ts';
export {
  deleteLinksOf,
  memberById,
  memberByRole,
  memberForUpdate,
  setMemberState,
  type MemberRow,
  type MemberState,
} from './queries.ts';
export { canaryIdentityRoutes, identityRoutes } from './routes.ts';
export { sealedFields } from './sealed-fields.ts';
export { type Arrival, sweepIdentity } from './service.ts';
export { closeSessionsOf, findSession, openSession, rotateSession } from './sessions.ts';
export { judgeSession } from './session-rules.ts';
export { readStepUpClaims, readStepUpHeader } from './step-up-header.ts';
export { findTenant, findTenantBySlug, type KnownTenant } from './tenant-lookup.ts';
export { type MintDeps, mintToken, tokenMintRoutes } from './token-mint.ts';
