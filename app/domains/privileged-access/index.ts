/** The door of the room. */
export { problems as privilegedAccessProblems } from './errors.ts';
export { privilegedAccessRoutes } from './routes.ts';
export { judgeIn, longUnjudged, tendBrokenGlass } from './judging.ts';
export { productionGrants, productionGrantsHeld } from './service.ts';
export { listGrants, privilegedAccessSubjects, unreviewedBreakGlass } from './showing.ts';
