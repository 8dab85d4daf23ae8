export { attemptsBook } from './attempts-book.ts';
export { attemptsRoomRoutes } from './attempts-service.ts';
export { createPager } from './pager.ts';
export { detectionTimesSince, receiptsOfRequest } from './queries.ts';
export { oncallProblems } from './problems.ts';
export { oncallRoomRoutes } from './routes.ts';
