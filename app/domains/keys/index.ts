export { createKeysClient } from './client.ts';
export type { KeysClient } from './client.ts';
export { problems } from './errors.ts';
export { keyConsoleRoutes, keysRoutes } from './routes.ts';
export { createSealer } from './sealer.ts';
export type { Sealer } from './sealer.ts';
export { keyStatus } from './service.ts';
export { createVault } from './vault.ts';
export * from './shredding.ts';
