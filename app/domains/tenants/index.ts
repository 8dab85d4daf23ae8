export { problems } from './errors.ts';
export { tenantsRoutes } from './routes.ts';
export { seedFoundation, seedSample, type SeedResult } from './seed.ts';
export { everyTenant } from './queries.ts';
