import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { RouteContract } from '@auditrax/base';
import { loadRoutePolicy } from '../domains/access/index.ts';
import { routes as accessContract } from '../domains/access/contract.ts';
import { routes as connectionsContract } from '../domains/connections/contract.ts';
import { routes as auditTrailContract } from '../domains/audit-trail/contract.ts';
import { routes as engagementsContract } from '../domains/engagements/contract.ts';
import { routes as evidenceContract } from '../domains/evidence/contract.ts';
import { routes as identityContract } from '../domains/identity/contract.ts';
import { consoleContract as keysContract } from '../domains/keys/contract.ts';
import { sourceContract as keySourcesContract } from '../domains/keys/source-contract.ts';
import { rotationContract } from '../domains/keys/rotation-contract.ts';
import { suiteContract } from '../domains/keys/suite-contract.ts';
import { attemptsRoutes as attemptsContract } from '../domains/oncall/attempts-contract.ts';
import { routes as rulesContract } from '../domains/rules/contract.ts';
import { routes as oncallContract } from '../domains/oncall/contract.ts';
import { routes as siemContract } from '../domains/siem/contract.ts';
import { deletionRoutes as deletionContract } from '../domains/tenants/deletion-contract.ts';
import { placementRoutes as placementContract } from '../domains/tenants/placement-contract.ts';
import { routes as ssoContract } from '../domains/sso/contract.ts';
import { routes as tenantsContract } from '../domains/tenants/contract.ts';
import { ROOT } from './root.ts';

/** The rooms' public contracts: what the edge may forward, and nothing else. */
export const EDGE_CONTRACTS: readonly Readonly<Record<string, RouteContract>>[] = [
  identityContract,
  ssoContract,
  accessContract,
  connectionsContract,
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

/** Reads every room's policy.cedar; call it before privileges are dropped. A policy for an unknown operation is refused. */
export function readHousePolicy(): ReturnType<typeof loadRoutePolicy> {
  const files = globSync('app/domains/*/policy.cedar', { cwd: ROOT }).sort();
  return loadRoutePolicy(
    files.map((file) => join(ROOT, file)),
    { operations: new Set(EDGE_ROUTES.map((route) => route.operation)) },
  );
}
