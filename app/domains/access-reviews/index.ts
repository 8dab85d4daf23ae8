/** The door of the room. */
export { accessReviewCanary } from './canary.ts';
export { accessReviewSubjects } from './deciding.ts';
export { sessionOperations } from './effective.ts';
export { problems as accessReviewProblems } from './errors.ts';
export { accessReviewRoutes } from './routes.ts';
export { tendAccessReviews } from './tend.ts';
