export { createPager } from './pager.ts';
export { detectionTimesSince, receiptsOfRequest } from './queries.ts';
export { oncallProblems } from './problems.ts';
export { oncallRoomRoutes } from './routes.ts';
