export { accountOf, arrive, providerHash, removeAccountsOf, type Arrived, type Newcomer } from './accounts.ts';
export { accountUses } from './account-queries.ts';
export { createAttemptLimit } from './attempt-limit.ts';
export { systemTables, type IdentityDeps } from './deps.ts';
export { mayStepUp } from './door-rules.ts';
export { countStandIns, isVouched, lastProof, proveBySignIn, proveEmployment } from './employment.ts';
export { sweepEmployment } from './lapsed.ts';
export { problems } from './errors.ts';
export { holdingsOf, remainsOf, type Holding } from './holding.ts';
export { letInAgain } from './let-in-again.ts';
export { ENROL_LINK_SECONDS_MAX, issueLink } from './links.ts';
export { issueChallenge } from './challenges.ts';
export { findBySecret, sweepEverywhere } from './everywhere.ts';
export { assertionOptions, CEREMONY_SECONDS_MAX, verifyAssertion, type DoorSettings, spkiOf } from './passkey.ts';
export { giveAccount } from './given-accounts.ts';
export { confirmSession, removeOwnAccount } from './own-accounts.ts';
export { deletePasskeysOf, passkeysOfMember, removePasskeysOf } from './passkeys.ts';
export {
  deleteCredentialIndexOf,
  deleteLinksOf,
  lockManagers,
  memberById,
  memberByRole,
  memberForUpdate,
  type MemberRow,
} from './queries.ts';
export { canaryIdentityRoutes, identityRoutes } from './routes.ts';
export { enrolmentOf, PROVIDER_SIGN_IN_SECONDS_MAX, redeemLink, sweepIdentity } from './service.ts';
export {
  closeConnectionSessions,
  closeSession,
  closeSessionsOf,
  findSession,
  liveSession,
  openSession,
  rotateSession,
  type OpenedSession,
} from './sessions.ts';
export { shownName } from './shown-name.ts';
export {
  reinstatePrincipal,
  revokePrincipal,
  type RevokedBy,
  revokeProviderSessions,
  revokeSignalledSessions,
  type RevocationDeps,
  type RevocationEffect,
  type RevocationHolder,
} from './revocation.ts';
export { createEvictions, evictionFeedRoutes } from './evictions.ts';
export { readStepUpClaims, readStepUpHeader, type StepUpClaims } from './step-up-header.ts';
export { findTenant, findTenantBySlug, type KnownTenant } from './tenant-lookup.ts';
export { NO_SIGNALS, type AccessSignal, type AccessSignals, type ProviderName } from './signals.ts';
export type { RevocationCause } from './revocation-queries.ts';
export { issueToken, type KeyMint, type MintDeps, tokenMintRoutes } from './token-mint.ts';
