export { ssoSubjects } from './identities.ts';
export { problems as ssoProblems } from './errors.ts';
export { ssoCanaryRoutes } from './canary.ts';
export { createStandIns, type StandIn, type StandIns } from './stand-ins.ts';
export { ssoRoutes } from './routes.ts';
export { sweepSso } from './sweep.ts';
export { pendingSteps } from './pending.ts';
