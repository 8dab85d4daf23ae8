export {
  makeProviderKeys,
  startRehearsedProvider,
  type ProviderKeys,
  type RehearsedProvider,
} from './identity-provider.ts';
export { startRehearsal, type Rehearsal } from './rehearsal.ts';
