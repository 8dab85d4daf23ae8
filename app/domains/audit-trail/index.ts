/** The door of the room. */
export { routes as auditTrailContract } from './contract.ts';
export { problems as auditTrailProblems } from './errors.ts';
export { packBundle, unpackBundle } from './bundle-file.ts';
export type { AuditTrailDeps } from './ports.ts';
export { auditTrailRoutes } from './routes.ts';
export { runVerify, verifyBundle, type CommandIo } from './verify-bundle.ts';
