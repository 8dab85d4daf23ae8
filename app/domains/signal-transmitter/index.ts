/** The door of the room. */
export { transmitterRoutes } from './door.ts';
export { announceEndOfTenant, endStreamsOfTenant } from './ending.ts';
export { problems as transmitterProblems } from './errors.ts';
export { createAccessSignals } from './noting.ts';
export { signalStreamRoutes } from './routes.ts';
export { createSender, type SignalSender } from './sender.ts';
export { signalSubjects } from './view.ts';
