import type { Uuid } from '@auditrax/base';
import type { Sealer } from './sealer.ts';
import { LEASES_PER_CALL_MAX } from './source-contract.ts';
import type { KeySourcesClient } from './source-client.ts';

/** How long a withdrawn key may go on in a process that holds what it once unwrapped, as long as the keys process answers. */
export const LEASE_MS = 5_000;

export interface LeaseWatch {
  /** One look at all that is held; never throws. */
  look(): Promise<void>;
  stop(): void;
}

/**
 * Asks every five seconds whether keys that are held may go on being used, and wipes those of a tenant that has withdrawn
 * its key; of a tenant without a key source of its own the keys process knows the answer without asking anybody. Without
 * an answer they go on until they expire (300 s): a key store that is out of reach withdraws nothing. Nothing is asked
 * while no key is held.
 */
export function watchLeases(deps: {
  readonly sealer: Pick<Sealer, 'tenantsHeld' | 'purge'>;
  readonly client: Pick<KeySourcesClient, 'lease'>;
  readonly onFailure: (error: unknown) => void;
}): LeaseWatch {
  const askAbout = async (tenants: readonly Uuid[]): Promise<void> => {
    const leases = await deps.client.lease(tenants, 'leases');
    for (const lease of leases) if (lease.state === 'withdrawn') deps.sealer.purge(lease.tenantId as Uuid);
  };
  const look = async (): Promise<void> => {
    try {
      const tenants = deps.sealer.tenantsHeld();
      for (let first = 0; first < tenants.length; first += LEASES_PER_CALL_MAX) {
        await askAbout(tenants.slice(first, first + LEASES_PER_CALL_MAX));
      }
    } catch (error) {
      deps.onFailure(error);
    }
  };
  const timer = setInterval(() => void look(), LEASE_MS);
  timer.unref();
  return { look, stop: () => clearInterval(timer) };
}
