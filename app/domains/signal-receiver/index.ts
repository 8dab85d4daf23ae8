export { canarySignals } from './canary.ts';
export { signalConsole, receiverSubjects } from './console-routes.ts';
export { signalReceiverRoutes } from './door.ts';
export { problems as signalReceiverProblems } from './errors.ts';
export { createKeysOfStreams } from './keys-of-streams.ts';
export { tendSignals } from './tending.ts';
export { deleteIndexOf as deleteReceivedIndexOf } from './queries.ts';
