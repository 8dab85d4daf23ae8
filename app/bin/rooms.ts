import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { RouteContract } from '@auditrax/base';
import { secretsOf } from '@auditrax/base/secret';
import { loadRoutePolicy } from '../domains/access/index.ts';
import { routes as apiAccessContract } from '../domains/api-access/contract.ts';
import { canaryRoutes as accessReviewsCanaryContract } from '../domains/access-reviews/canary-contract.ts';
import { routes as accessReviewsContract } from '../domains/access-reviews/contract.ts';
import { routes as accessContract } from '../domains/access/contract.ts';
import { changeoverRoutes as changeoverContract } from '../domains/connections/changeover-contract.ts';
import { routes as connectionsContract } from '../domains/connections/contract.ts';
import { routes as authorisationServerContract } from '../domains/authorisation-server/contract.ts';
import { routes as auditTrailContract } from '../domains/audit-trail/contract.ts';
import { routes as engagementsContract } from '../domains/engagements/contract.ts';
import { routes as evidenceContract } from '../domains/evidence/contract.ts';
import { issuerRoutes as drillIssuerContract, routes as drillContract } from '../domains/drills/contract.ts';
import { canaryRoutes as canaryProgramContract } from '../domains/authorisation-server/canary-contract.ts';
import { canaryRoutes, routes as identityContract } from '../domains/identity/contract.ts';
import { consoleContract as keysContract, vaultContract } from '../domains/keys/contract.ts';
import { holderContract, shreddingContract } from '../domains/keys/shredding-contract.ts';
import { sourceContract as keySourcesContract, vaultSourceContract } from '../domains/keys/source-contract.ts';
import { rotationContract } from '../domains/keys/rotation-contract.ts';
import { suiteContract, vaultSuiteContract } from '../domains/keys/suite-contract.ts';
import { attemptsRoutes as attemptsContract } from '../domains/oncall/attempts-contract.ts';
import { routes as privilegedAccessContract } from '../domains/privileged-access/contract.ts';
import { canaryRoutes as canaryDirectoryContract } from '../domains/provisioning/canary-contract.ts';
import { canaryRoutes as canarySignalsContract } from '../domains/signal-receiver/canary-contract.ts';
import { consoleRoutes as directoriesContract } from '../domains/provisioning/console-contract.ts';
import { routes as provisioningContract } from '../domains/provisioning/contract.ts';
import { consoleRoutes as signalConsoleContract } from '../domains/signal-receiver/console-contract.ts';
import { routes as signalReceiverContract } from '../domains/signal-receiver/contract.ts';
import { routes as rulesContract } from '../domains/rules/contract.ts';
import { routes as oncallContract } from '../domains/oncall/contract.ts';
import { materialRoutes, routes as siemContract, tryRoutes } from '../domains/siem/contract.ts';
import { deletionRoutes as deletionContract } from '../domains/tenants/deletion-contract.ts';
import { placementRoutes as placementContract } from '../domains/tenants/placement-contract.ts';
import { canaryRoutes as ssoCanaryContract, routes as ssoContract } from '../domains/sso/contract.ts';
import { sessionRoutes as ssoSessionContract } from '../domains/sso/session-contract.ts';
import { routes as signalsContract } from '../domains/signal-transmitter/contract.ts';
import { receiverRoutes as receiversContract } from '../domains/signal-transmitter/receiver-contract.ts';
import { routes as tenantsContract } from '../domains/tenants/contract.ts';
import { ledgerRoutes } from '../platform/audit/ledger-contract.ts';
import { signerRoutes } from '../platform/audit/signer-contract.ts';
import { evictionRoutes } from '../platform/edge/evictions-contract.ts';
import { publishedRoutes } from '../platform/edge/published-contract.ts';
import { apiTokenRoutes, tokenRoutes } from '../platform/edge/token-contract.ts';
import { attemptsContract as attemptEntryContract } from '../platform/http/attempts-contract.ts';
import { idKeysContract } from '../platform/http/id-keys-contract.ts';
import type { InnerRoute } from '../claims/probe.ts';
import { ROOT } from './root.ts';

/** The rooms' public contracts: what the edge may forward, and nothing else. */
export const EDGE_CONTRACTS: readonly Readonly<Record<string, RouteContract>>[] = [
  identityContract,
  ssoContract,
  ssoSessionContract,
  provisioningContract,
  authorisationServerContract,
  accessContract,
  accessReviewsContract,
  privilegedAccessContract,
  apiAccessContract,
  connectionsContract,
  changeoverContract,
  directoriesContract,
  signalsContract,
  receiversContract,
  signalReceiverContract,
  signalConsoleContract,
  tenantsContract,
  deletionContract,
  placementContract,
  engagementsContract,
  evidenceContract,
  rulesContract,
  auditTrailContract,
  siemContract,
  keysContract,
  keySourcesContract,
  rotationContract,
  suiteContract,
  oncallContract,
  attemptsContract,
];

/** Every route that the edge may forward. */
export const EDGE_ROUTES: readonly RouteContract[] = EDGE_CONTRACTS.flatMap((contract) => Object.values(contract));

/** Where what a passkey approves holds secrets. */
export const secretsOfEdge = secretsOf(EDGE_ROUTES);

const INNER_CONTRACTS: readonly Readonly<Record<string, RouteContract>>[] = [
  canaryRoutes,
  accessReviewsCanaryContract,
  ssoCanaryContract,
  canaryDirectoryContract,
  canaryProgramContract,
  canarySignalsContract,
  drillContract,
  drillIssuerContract,
  vaultContract,
  vaultSourceContract,
  vaultSuiteContract,
  shreddingContract,
  holderContract,
  materialRoutes,
  tryRoutes,
  ledgerRoutes,
  signerRoutes,
  publishedRoutes,
  evictionRoutes,
  tokenRoutes,
  apiTokenRoutes,
  attemptEntryContract,
  idKeysContract,
];

/** Every route between the processes, and who may call it. `tools/inner-routes.test.ts` finds one that is missing. */
export const INNER_ROUTES: readonly InnerRoute[] = INNER_CONTRACTS.flatMap((contract) =>
  Object.values(contract).flatMap(({ service, method, path, access }) =>
    access.kind === 'internal' ? [{ service, method, path, callers: access.callers }] : [],
  ),
);

/** Reads every room's policy.cedar; call it before privileges are dropped. A policy for an unknown operation is refused. */
export function readHousePolicy(): ReturnType<typeof loadRoutePolicy> {
  const files = globSync('app/domains/*/policy.cedar', { cwd: ROOT }).sort();
  return loadRoutePolicy(
    files.map((file) => join(ROOT, file)),
    { operations: new Set(EDGE_ROUTES.map((route) => route.operation)) },
  );
}
