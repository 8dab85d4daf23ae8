/** The door of the room. */
export { problems as privilegedAccessProblems } from './errors.ts';
export { privilegedAccessRoutes } from './routes.ts';
export { markReviewed, productionGrants, productionGrantsHeld } from './service.ts';
export { listGrants, privilegedAccessSubjects, unreviewedBreakGlass } from './showing.ts';
