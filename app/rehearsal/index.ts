export type { RehearsedKms } from './kms.ts';
export { startRehearsal, type Rehearsal, type RehearsalOptions } from './rehearsal.ts';
export type { RehearsedHsm, RehearsalErrorCode } from './stand-in.ts';
export type { RehearsedStore } from './store.ts';
