/** The door of the room. */
export { problems as auditTrailProblems } from './errors.ts';
export { auditTrailRoutes } from './routes.ts';
export { runVerify } from './verify-bundle.ts';
