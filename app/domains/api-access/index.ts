/** The door of the room. */
export { problems as apiAccessProblems } from './errors.ts';
export { isKeyLetIn, keyMint, keysLetIn } from './mint.ts';
export { apiAccessRoutes } from './routes.ts';
export { apiKeysHeld, endApiKeyByReview, endKeysOfTenant, openApiKeys } from './service.ts';
