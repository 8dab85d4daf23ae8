/** The door of the room. */
export { transmitterRoutes } from './door.ts';
export { problems as transmitterProblems } from './errors.ts';
export { createAccessSignals } from './noting.ts';
export { deleteQueuesOf as deleteSignalQueuesOf } from './queries.ts';
export { signalStreamRoutes } from './routes.ts';
export { createSender } from './sender.ts';
export { signalSubjects } from './view.ts';
