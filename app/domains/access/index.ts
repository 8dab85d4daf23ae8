export { problems } from './errors.ts';
export { insertMember } from './queries.ts';
export { loadRoutePolicy, readRoutePolicies, type RowPolicy } from './route-policy.ts';
export { accessRoutes } from './routes.ts';
export { type AccessDeps, requireManager } from './service.ts';
export { stepUpAction } from './step-up-action.ts';
export { createStepUpVerifier } from './step-up-verifier.ts';
