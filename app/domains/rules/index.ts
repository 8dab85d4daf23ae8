/** The door of the room: other rooms and the composition roots import from here only. */
export { problems as rulesProblems } from './errors.ts';
export { rulesInForce, type RulesInForce } from './in-force.ts';
export { createTenantRules, type TenantRules } from './narrowing.ts';
export { readStanding, standingColumns, type Standing } from './queries.ts';
export { rulesRoutes } from './routes.ts';
