import { FRESHNESS_SECONDS } from './model.ts';
import type { Claim } from './model.ts';

const shared = { section: 'identity-access', owner: 'Identity lead' } as const;

/** Claims about who may do what. */
export const identityAccessClaims: readonly Claim[] = [
  {
    ...shared,
    id: 'access.zero-trust',
    sentence:
      'Every service checks for itself who is asking and whether they may, on each request; having passed the edge counts for nothing.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.minutes,
    module: 'app/platform/http',
    enforcers: [
      { file: 'app/platform/http/peer-gate.ts', export: 'requirePeer', necessary: true },
      { file: 'app/platform/http/token-gate.ts', export: 'requireToken', necessary: true },
      { file: 'app/platform/http/token-gate.ts', export: 'tokenClassOf', necessary: true },
      { file: 'app/platform/http/peer-gate.ts', export: 'isProcess', necessary: true },
      { file: 'app/platform/http/service.ts', export: 'startService', necessary: true },
      { file: 'packages/workload/src/tls.ts', export: 'serverTls', necessary: true },
    ],
    probe: 'access.zero-trust',
    wouldTurnRed:
      'A process of the house listens at a socket that nobody has declared; or an inner service answers a caller with no certificate, an expired one, a stranger’s, or one in a wrong name, or with a missing, expired, altered or misaddressed token, or one that was made for less; or the edge answers anything beyond its public routes without a session.',
  },
  {
    ...shared,
    id: 'access.oauth-oidc',
    sentence:
      'People can sign in through their own identity provider with OpenID Connect over OAuth 2.1; programs get access by OAuth 2.1 too, with tokens that are worth nothing without the program’s own key.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/sso',
    enforcers: [
      { file: 'packages/oidc/src/sign-in.ts', export: 'finishSignIn', necessary: true },
      { file: 'packages/oidc/src/callback.ts', export: 'checkCallback', necessary: true },
      { file: 'packages/oidc/src/token.ts', export: 'verifyToken', necessary: true },
      { file: 'packages/oidc/src/claims.ts', export: 'checkParties', necessary: true },
      { file: 'app/domains/sso/requests.ts', export: 'takeRequest', necessary: true },
      { file: 'app/domains/sso/requests.ts', export: 'browserSecret', necessary: true },
      { file: 'app/domains/identity/accounts.ts', export: 'arrive', necessary: true },
      { file: 'app/domains/authorisation-server/server.ts', export: 'REQUEST_RULES', necessary: true },
      { file: 'app/domains/authorisation-server/store.ts', export: 'metadataOf', necessary: true },
      { file: 'app/domains/authorisation-server/store.ts', export: 'storageFor', necessary: true },
      { file: 'app/domains/authorisation-server/proof.ts', export: 'takeProof', necessary: true },
      { file: 'app/domains/authorisation-server/token-exchange.ts', export: 'narrow', necessary: true },
      { file: 'app/domains/access/step-up-digest.ts', export: 'stepUpDigest', necessary: true },
      { file: 'app/domains/access/step-up-verifier.ts', export: 'createStepUpVerifier', necessary: true },
    ],
    probe: 'sso.oidc',
    wouldTurnRed:
      'An ID token or an answer that is forged, replayed, expired, for somebody else’s request or for another client signs somebody in, or a right one does not; or a program’s token works without its key or by a proof that was used, a used refresh token gives another one, or an agent gets more than was handed to it.',
  },
  {
    ...shared,
    id: 'access.saml',
    sentence: 'People can sign in through their own identity provider with SAML 2.0.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/saml',
    enforcers: [
      { file: 'packages/saml/src/verify.ts', export: 'verifyMessage', necessary: true },
      { file: 'packages/saml/src/assertion.ts', export: 'readAssertion', necessary: true },
      { file: 'app/domains/sso/requests.ts', export: 'browserSecret', necessary: true },
      { file: 'app/domains/identity/accounts.ts', export: 'arrive', necessary: true },
      // Each refuses a second use by itself: the request that was taken, and the assertion that was remembered.
      { file: 'app/domains/sso/requests.ts', export: 'takeRequest', necessary: false },
      { file: 'app/domains/sso/proof.ts', export: 'once', necessary: false },
    ],
    probe: 'sso.saml',
    wouldTurnRed:
      'An assertion that is wrapped, unsigned, replayed, expired, for somebody else’s request or for another service signs somebody in, or a right one does not.',
  },
  {
    ...shared,
    id: 'access.idps',
    sentence: 'Six providers are kept working: ADFS, Entra ID, Google Workspace, JumpCloud, Okta and PingFederate.',
    figure: '6 providers',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.day,
    module: 'app/domains/sso',
    enforcers: [{ file: 'packages/oidc/src/profiles.ts', export: 'PROFILES', necessary: true }],
    probe: 'sso.providers',
    wouldTurnRed: 'A sign-in as any of the six speaks by its documents stops passing.',
  },
  {
    ...shared,
    id: 'access.webauthn',
    sentence:
      'People sign in with a passkey and no password; a signature for another site, another challenge or without the person’s own verification is refused.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/identity',
    enforcers: [
      { file: 'app/domains/identity/passkey.ts', export: 'verifyAssertion', necessary: true },
      { file: 'app/domains/identity/challenges.ts', export: 'consumeChallenge', necessary: true },
      { file: 'app/domains/identity/passkey.ts', export: 'verifyRegistration', necessary: true },
    ],
    probe: 'identity.passkeys',
    wouldTurnRed:
      'A passkey response with a wrong origin, a used challenge, a bad signature or no user verification opens a session, or a correct one does not.',
  },
  {
    ...shared,
    id: 'access.step-up',
    sentence:
      'Inviting, changing a role, exporting and finalising each want a fresh passkey signature made for that very action.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/access',
    enforcers: [
      { file: 'app/domains/access/step-up-verifier.ts', export: 'createStepUpVerifier', necessary: true },
      { file: 'app/domains/access/step-up-digest.ts', export: 'stepUpDigest', necessary: true },
      { file: 'app/domains/access/second-passkey.ts', export: 'requireSecondPasskey', necessary: true },
      // What is kept for the auditor is checked by other code, which refuses what this one would let through.
      { file: 'app/domains/identity/passkey.ts', export: 'verifyAssertion', necessary: false },
    ],
    probe: 'access.step-up',
    wouldTurnRed:
      'One of these actions goes through with no fresh signature, with one made for another action, or with one used before; or a lead with a single passkey is offered a confirmation.',
  },
  {
    ...shared,
    id: 'access.rbac-abac',
    sentence:
      'A role decides which functions a person has, an attribute decides which rows they reach, and both must say yes.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'packages/policy',
    enforcers: [
      { file: 'app/platform/http/policy-gate.ts', export: 'requirePolicy', necessary: true },
      { file: 'app/domains/engagements/gate.ts', export: 'permitEngagement', necessary: true },
      { file: 'packages/policy/src/policy-set.ts', export: 'loadPolicies', necessary: true },
    ],
    probe: 'access.role-and-row',
    wouldTurnRed:
      'A client contact reaches an engagement that was not assigned to them, or a person uses a function that their role lacks.',
  },
  {
    ...shared,
    id: 'access.privileged-log',
    sentence:
      'Privileged actions are written to a log that can only grow: the action and its entry are kept together or not at all, and an outsider can check that none was changed.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/platform/audit',
    enforcers: [
      {
        file: 'app/platform/audit/migrations/20261123140000_guard_statements.sql',
        export: 'audit.check_note',
        necessary: true,
      },
      { file: 'app/platform/audit/signer.ts', export: 'judgeGrowth', necessary: false },
    ],
    probe: 'audit.privileged-log',
    wouldTurnRed:
      'A row changes without its entry, an entry can be altered or removed under the application’s role, or a proof does not verify with the key held outside.',
  },
  {
    ...shared,
    id: 'access.ai-log',
    sentence: 'What is asked of the AI assistant, and each time a person overrules it, goes into the same log.',
    kind: 'enforced',
    freshness_seconds_max: FRESHNESS_SECONDS.hour,
    module: 'app/domains/ai',
    enforcers: [],
    assertedBecause: 'There is no AI assistant in this build, so there are no prompts to log.',
    wouldTurnRed: 'A prompt, an answer or an override leaves no entry.',
  },
];
