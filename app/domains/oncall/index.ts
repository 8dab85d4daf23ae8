export { attemptsBook } from './attempts-book.ts';
export { createPager } from './pager.ts';
export { detectionTimesSince, receiptsOfRequest } from './queries.ts';
export { oncallProblems } from './problems.ts';
export { oncallRooms } from './routes.ts';
