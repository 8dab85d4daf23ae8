export { routes } from './contract.ts';
export { problems, type TenantsCode } from './errors.ts';
export { tenantsRoutes } from './routes.ts';
export { seedSample, type SeededPerson, type SeedResult } from './seed.ts';
export { createTenant, listTenants, type NewTenant, type TenantsDeps } from './service.ts';
