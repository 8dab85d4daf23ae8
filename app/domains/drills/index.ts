/** The door of the drills room. */
export { openBareDoor } from './bare-door.ts';
export { issuerRoutes, routes, type DrillName } from './contract.ts';
export { drillsProblems } from './errors.ts';
export { drillRoutes, drillTokenRoutes } from './routes.ts';
export { runDrill, type BareDoor, type DrillDeps, type DrillResult } from './service.ts';
export { openPlacedDoors } from './placed-doors.ts';
