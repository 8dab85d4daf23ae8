import { manageStreams, type ReachPorts, type StreamManager, type TransmitterConfiguration } from '@auditrax/signals';
import type { SignalReceiverDeps } from './deps.ts';
import type { StoredSettings } from './settings.ts';

/** How a transmitter is reached: by the house's guarded way out. */
export function portsOf(deps: SignalReceiverDeps): ReachPorts {
  return { fetch: deps.fetch, isRehearsal: deps.isRehearsal ?? false };
}

/** What was read of a transmitter when the stream was set up, as the library takes it. */
function configurationOf({
  issuer,
  management,
  criticalMembers,
}: StoredSettings): TransmitterConfiguration | undefined {
  if (management === null) return undefined;
  return {
    issuer,
    jwksUri: management.jwksUri,
    deliveryMethods: undefined,
    configurationEndpoint: management.configurationEndpoint ?? undefined,
    statusEndpoint: management.statusEndpoint ?? undefined,
    verificationEndpoint: management.verificationEndpoint ?? undefined,
    criticalMembers,
    readAt_ms: 0,
  };
}

/** The stream at its transmitter; undefined where an administrator typed what the provider shows. */
export function managerOf(deps: SignalReceiverDeps, settings: StoredSettings): StreamManager | undefined {
  const configuration = configurationOf(settings);
  const { authorization } = settings;
  if (configuration === undefined || authorization === null) return undefined;
  return manageStreams(configuration, authorization, portsOf(deps));
}
