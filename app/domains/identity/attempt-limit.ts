import { AppError, type Clock } from '@auditrax/base';
import type { IdentityCode } from './errors.ts';

/** A person starts a handful of ceremonies a minute; a script that guesses or fills the store starts thousands. */
export const CEREMONIES_PER_MINUTE_MAX = 60;
/** Clients remembered at once; above it the oldest window is forgotten, the edge has limits of its own. */
export const CLIENTS_REMEMBERED_MAX = 10_000;
const WINDOW_MS = 60_000;

/** Counts ceremonies by client address in fixed windows; throws `too_many_sign_in_attempts` above the limit. */
export function createAttemptLimit(clock: Clock, perMinute_max = CEREMONIES_PER_MINUTE_MAX): (client: string) => void {
  const windows = new Map<string, { startMs: number; count: number }>();
  return (client) => {
    const now = clock.nowMs();
    const current = windows.get(client);
    if (current === undefined || now - current.startMs >= WINDOW_MS) {
      if (windows.size >= CLIENTS_REMEMBERED_MAX) {
        const oldest = windows.keys().next();
        if (!oldest.done) windows.delete(oldest.value);
      }
      windows.delete(client);
      windows.set(client, { startMs: now, count: 1 });
      return;
    }
    current.count += 1;
    if (current.count > perMinute_max) {
      throw new AppError<IdentityCode>('too_many_sign_in_attempts', `more than ${perMinute_max} a minute`);
    }
  };
}
