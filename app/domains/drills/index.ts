/** The door of the drills room. */
export { openBareDoor } from './bare-door.ts';
export { DRILLS, issuerRoutes, routes, type DrillName } from './contract.ts';
export { drillsProblems, type DrillsCode } from './errors.ts';
export { drillRoutes, drillTokenRoutes, type DrillTokenDeps } from './routes.ts';
export { runDrill, type BareDoor, type DrillDeps, type DrillOrder, type DrillResult } from './service.ts';
