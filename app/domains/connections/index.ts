export { addressesOf } from './addresses.ts';
export { setCanaryConnections } from './canary.ts';
export { forUpdate as holdConnection } from './asking.ts';
export { recordAttempt, type Attempt } from './attempts.ts';
export { canaryConnection } from './canary-directory.ts';
export type { ConnectionDeps } from './deps.ts';
export { problems as connectionsProblems } from './errors.ts';
export { connectionChangeRoutes } from './changeover-routes.ts';
export { connectionsRoutes } from './routes.ts';
export { tendConnections } from './refresh.ts';
export { deleteIndexOf as deleteConnectionIndexOf } from './queries.ts';
export { connectionFacts, connectionSubjects } from './subjects.ts';
export { roleOfGroups, type GroupMapping } from './groups.ts';
export {
  activeConnections,
  connectionName,
  findConnection,
  loadConnection,
  openConnectionIds,
  ownDocument,
  type LoadedConnection,
  type OidcSettings,
  type SamlSettings,
} from './read.ts';
