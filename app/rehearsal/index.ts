export {
  makeProviderKeys,
  startRehearsedProvider,
  type ProviderKeys,
  type RehearsedProvider,
} from './identity-provider.ts';
export { startRehearsedTransmitter, type RehearsedTransmitter, type SetForgery } from './signal-transmitter.ts';
export { startRehearsal, type Rehearsal } from './rehearsal.ts';
