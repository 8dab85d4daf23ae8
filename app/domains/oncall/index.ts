export { createPager, type Pager } from './pager.ts';
export { signWebhook } from './webhook.ts';
export { detectionTimesSince, receiptsOfRequest } from './queries.ts';
export { oncallProblems } from './problems.ts';
export { oncallRoomRoutes } from './routes.ts';
