export { deletionRoutes } from './deletion-routes.ts';
export { DELETION_DELAY_MS } from './deletion.ts';
export { runDueDeletions } from './deletion-run.ts';
export { problems } from './errors.ts';
export { tenantsRoutes } from './routes.ts';
export { seedFoundation, seedSample, type SeedResult } from './seed.ts';
export { everyTenant } from './queries.ts';
