import type { IdentityDeps } from '../identity/index.ts';

/** What this room reads with; the issuer's own parts. */
export type ReadDeps = Pick<IdentityDeps, 'tenant' | 'system' | 'sealer' | 'doors'>;

/** What this room changes with. */
export type ConnectionDeps = ReadDeps &
  Pick<IdentityDeps, 'recordAudit' | 'clock' | 'random' | 'formatId' | 'evictions' | 'signals'> & {
    /** Plain http to this machine counts as an address: for tests against a provider on it, never for people. */
    readonly isRehearsal?: boolean;
  };

/** Where browsers and providers find this house; connections belong to the edge, never to the try-out's door. */
export function originOf({ doors }: Pick<IdentityDeps, 'doors'>): string {
  const [origin] = doors.edge.origins;
  if (origin === undefined) throw new Error('the edge has no origin');
  return origin;
}
