import type { output, ZodType } from 'zod';
import type { EngagementSummary } from '../domains/engagements/contract.ts';
import type { routes as access } from '../domains/access/contract.ts';
import type { routes as accessReviews } from '../domains/access-reviews/contract.ts';
import type { changeoverRoutes as changeover } from '../domains/connections/changeover-contract.ts';
import type { routes as apiKeys } from '../domains/api-access/contract.ts';
import type { routes as privilegedAccess } from '../domains/privileged-access/contract.ts';
import type { routes as connections } from '../domains/connections/contract.ts';
import type { routes as authorisationServer } from '../domains/authorisation-server/contract.ts';
import type { routes as trail } from '../domains/audit-trail/contract.ts';
import type { routes as identity } from '../domains/identity/contract.ts';
import type { consoleContract as keys } from '../domains/keys/contract.ts';
import type { rotationContract as keyRotation } from '../domains/keys/rotation-contract.ts';
import type { sourceContract as keySources } from '../domains/keys/source-contract.ts';
import type { consoleRoutes as directories } from '../domains/provisioning/console-contract.ts';
import type { consoleRoutes as receivers } from '../domains/signal-receiver/console-contract.ts';
import type { routes as sso } from '../domains/sso/contract.ts';
import type { sessionRoutes as ssoSession } from '../domains/sso/session-contract.ts';
import type { routes as signals } from '../domains/signal-transmitter/contract.ts';
import type { routes as siem } from '../domains/siem/contract.ts';
import type { attemptsRoutes } from '../domains/oncall/attempts-contract.ts';
import type { routes as oncall } from '../domains/oncall/contract.ts';
import type { routes as tenants } from '../domains/tenants/contract.ts';
import type { placementRoutes } from '../domains/tenants/placement-contract.ts';
import type { deletionRoutes } from '../domains/tenants/deletion-contract.ts';

/**
 * What the app reads from the API, by name. The rooms' contracts are the source: types come from there where a room
 * exports them, and a contract that changes breaks the type check here, not a screen.
 */

export type {
  Criterion,
  EngagementDetail,
  EngagementSummary,
  Progress,
  Result,
  ResultOutcome,
} from '../domains/engagements/contract.ts';
export type { Evidence, UploadPosition } from '../domains/evidence/contract.ts';

export type { Attempt } from '../domains/oncall/attempts-contract.ts';
export type { ShownGrant } from '../domains/privileged-access/contract.ts';
export type { OncallPage } from '../domains/oncall/contract.ts';
export type { ListedKey } from '../domains/keys/contract.ts';
export type { CheckedSource, KeyHealth, KeySourceView, KeyUse, OwnKeySource } from '../domains/keys/source-contract.ts';

type Answer<Route extends { readonly replies: { readonly 200: ZodType } }> = output<Route['replies'][200]>;

export type InvitationOffersAnswer = Answer<(typeof sso)['invitationOffers']>;
export type Identities = Answer<(typeof ssoSession)['identities']>;
export type SsoOffers = Answer<(typeof sso)['offers']>;
export type SessionAnswer = Answer<(typeof identity)['session']>;
export type Session = Extract<SessionAnswer, { signedIn: true }>;
export type Role = Session['role'];
export type Ceremony = Answer<(typeof identity)['signInOptions']>;
export type PasskeyList = Answer<(typeof identity)['listPasskeys']>;
export type Passkey = PasskeyList['passkeys'][number];
export type OncallAnswer = Answer<(typeof oncall)['list']>;
export type AttemptsAnswer = Answer<(typeof attemptsRoutes)['attempts']>;
export type KeysAnswer = Answer<(typeof keys)['list']>;
export type KeySourceAnswer = Answer<(typeof keySources)['read']>;
export type ImportParameters = Answer<(typeof keySources)['importParameters']>;
export type RotationAnswer = Answer<(typeof keyRotation)['rotation']>;
export type ProductionAccess = Answer<(typeof privilegedAccess)['list']>;
export type TenantsAnswer = Answer<(typeof tenants)['list']>;
export type PlacesAnswer = Answer<(typeof placementRoutes)['places']>;
export type MovesAnswer = Answer<(typeof placementRoutes)['moves']>;
export type OpenedTenant = output<(typeof placementRoutes)['create']['replies'][201]>;
export type DeletionsAnswer = Answer<(typeof deletionRoutes)['list']>;
export type DeletionPreview = Answer<(typeof deletionRoutes)['preview']>;
export type KeyRingsAnswer = Answer<(typeof keySources)['keyRings']>;

export type Member = Answer<(typeof access)['listMembers']>['members'][number];
export type Invitation = Answer<(typeof access)['listInvitations']>['invitations'][number];
export type Erasure = Answer<(typeof access)['erasurePreview']>;
export type DeparturesAnswer = Answer<(typeof access)['listDepartures']>;
export type Departure = DeparturesAnswer['departures'][number];
export type AccessReviewsAnswer = Answer<(typeof accessReviews)['list']>;
export type AccessReview = AccessReviewsAnswer['reviews'][number];
export type AccessReviewAnswer = Answer<(typeof accessReviews)['read']>;
export type AccessReviewItem = AccessReviewAnswer['items'][number];
export type RecoveryList = Answer<(typeof access)['listRecoveries']>;
export type Recovery = RecoveryList['recoveries'][number];
export type Invited = output<(typeof access)['invite']['replies'][201]>;
/** What a step-up approves, made by the server from its own records; the passkey signs its hash. */
export type StepUpChallenge = Answer<(typeof access)['stepUp']>;
export type EngagementState = EngagementSummary['state'];

export type { Stream, Tried } from '../domains/siem/contract.ts';
export type { Entry } from '../domains/audit-trail/contract.ts';
export type EntryPage = Answer<(typeof trail)['list']>;
export type EntryDetail = Answer<(typeof trail)['entry']>;
export type RangeLeaves = Answer<(typeof trail)['leaves']>;
export type RangeProof = Answer<(typeof trail)['rangeProof']>;
export type ExportPreview = Answer<(typeof trail)['preview']>;
export type EntryProof = Answer<(typeof trail)['proof']>;
export type {
  DeadLetter as SignalLetter,
  ShownKey as SignalKey,
  ShownStream as SignalStream,
} from '../domains/signal-transmitter/contract.ts';
export type SignalsAnswer = Answer<(typeof signals)['list']>;
export type SignalLettersAnswer = Answer<(typeof signals)['letters']>;
export type StreamsAnswer = Answer<(typeof siem)['list']>;

export type { ConnectionDetail as Connection, ConnectionSummary } from '../domains/connections/contract.ts';
export type { Directory } from '../domains/provisioning/console-contract.ts';
export type {
  SignalEvent as ProviderEvent,
  Signals as ProviderSignals,
  SignalStream as ProviderStream,
} from '../domains/signal-receiver/console-contract.ts';
export type AskedForLife = output<(typeof receivers)['verify']['replies'][200]>;
export type BegunStream = output<(typeof receivers)['begin']['replies'][201]>;
export type IssuedToken = output<(typeof directories)['issueToken']['replies'][201]>;
export type ChangeAnswer = Answer<(typeof changeover)['readChange']>;
export type AccountSuggestions = Answer<(typeof changeover)['suggestAccounts']>;
export type { ShownApiKey, ShownApiKeyOfAll } from '../domains/api-access/contract.ts';
export type ApiKeysAnswer = Answer<(typeof apiKeys)['list']>;
export type AllApiKeysAnswer = Answer<(typeof apiKeys)['listAll']>;
export type MadeApiKey = output<(typeof apiKeys)['create']['replies'][201]>;
export type ApiClientsAnswer = Answer<(typeof authorisationServer)['listClients']>;
export type ApiClient = ApiClientsAnswer['clients'][number];
export type ApiGrants = Answer<(typeof authorisationServer)['listGrants']>;
export type ApiGrant = ApiGrants['grants'][number];
export type ApiRequest = Answer<(typeof authorisationServer)['readRequest']>;
export type ConnectionsAnswer = Answer<(typeof connections)['list']>;
export type MetadataDescription = Answer<(typeof connections)['describe']>;
export type MetadataLook = Answer<(typeof connections)['refresh']>;
