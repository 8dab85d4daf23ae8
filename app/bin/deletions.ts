// Deletions of tenants, in the issuer: the routes, and the round that carries out what is due.
import type { Json } from '@auditrax/base';
import { createKeysClient, createShredder } from '../domains/keys/index.ts';
import type { IdentityDeps } from '../domains/identity/index.ts';
import type { SignalSender } from '../domains/signal-transmitter/index.ts';
import { DELETION_DELAY_MS, deletionRoutes, runDueDeletions } from '../domains/tenants/index.ts';
import type { RoomRoutes } from '../platform/http/handler.ts';
import type { Floor } from './floor.ts';

/** For trying out only, where nothing real can be deleted; the routes and so the screens say that it is shortened. */
const DELETION_DELAY_TRYOUT_MS = 120_000;
/** Deletions whose delay is over are looked for this often: one small question to the database. */
const ROUND_MS = 2_000;

/** A test's own delay, in seconds, counts in try-out mode only. */
function delayMs(options: Readonly<Record<string, Json>>): number {
  if (options['sample'] !== true) return DELETION_DELAY_MS;
  const asked = options['deletionDelaySeconds'];
  return typeof asked === 'number' ? asked * 1000 : DELETION_DELAY_TRYOUT_MS;
}

/** What is under way at `close` is finished first; what a crash cuts off goes on in the first round of the next start. */
export function openDeletions(
  floor: Floor,
  deps: IdentityDeps & { readonly sender: SignalSender },
): { routes: RoomRoutes; close(): Promise<void> } {
  const deletions = {
    ...deps,
    delayMs: delayMs(floor.member.boot.options),
    keysClient: createKeysClient(floor.client),
    shredder: createShredder(floor.client),
  };
  let round = Promise.resolve();
  // One round at a time: two at once would destroy the same tenant twice.
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    round = runDueDeletions(deletions)
      .then((finished) => void (finished > 0 && floor.log.warn('tenants-destroyed')))
      .catch((error: unknown) => floor.log.error('deletion-failed', { error }))
      .finally(() => (isRunning = false));
  }, ROUND_MS);
  return {
    routes: deletionRoutes(deletions),
    async close() {
      clearInterval(timer);
      await round;
    },
  };
}
