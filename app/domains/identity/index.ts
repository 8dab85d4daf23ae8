export { systemTables, type IdentityDeps } from './deps.ts';
export { problems } from './errors.ts';
export { ENROL_LINK_SECONDS_MAX, issueLink } from './links.ts';
export { issueChallenge } from './challenges.ts';
export { sweepEverywhere } from './everywhere.ts';
export { assertionOptions, CEREMONY_SECONDS_MAX, verifyAssertion, type DoorSettings } from './passkey.ts';
export { passkeysOfMember } from './passkeys.ts';
export {
  deleteCredentialIndexOf,
  deleteLinksOf,
  memberByRole,
  memberForUpdate,
  setMemberState,
  type MemberRow,
} from './queries.ts';
export { canaryIdentityRoutes, identityRoutes } from './routes.ts';
export { sweepIdentity } from './service.ts';
export { closeSessionsOf, findSession, rotateSession } from './sessions.ts';
export { readStepUpClaims, readStepUpHeader } from './step-up-header.ts';
export { findTenantBySlug, type KnownTenant } from './tenant-lookup.ts';
export { type MintDeps, tokenMintRoutes } from './token-mint.ts';
