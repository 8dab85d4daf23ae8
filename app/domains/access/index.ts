export { routes } from './contract.ts';
export { type AccessCode, problems } from './errors.ts';
export { insertMember } from './queries.ts';
export { loadRoutePolicy, roleGate, type RowPolicy, type RowResource, type RowScope } from './route-policy.ts';
export { accessRoutes } from './routes.ts';
export { type AccessDeps, changeRole, invite, listMembers, MEMBERS_MAX, suspendMember } from './service.ts';
export { stepUpAction } from './step-up-action.ts';
export { actionHash, stepUpDigest } from './step-up-digest.ts';
export { createStepUpVerifier } from './step-up-verifier.ts';
