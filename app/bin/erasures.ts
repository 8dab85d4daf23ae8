// Erasures and restores, in the issuer: whoever was erased is erased again in a database that was put back.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createErasureReplay } from '../domains/access/erasure-replay.ts';
import type { AccessDeps } from '../domains/access/index.ts';
import { findTenant } from '../domains/identity/index.ts';
import { ERASURE_REGISTER_FILE, openErasureRegister, type ErasureRegister } from '../platform/audit/index.ts';
import type { Finding } from '../platform/http/readiness.ts';
import type { Floor } from './floor.ts';
import type { Chore } from './housekeeping.ts';

/** Held tenants are tried again this often: they wait for the log or for their database to run. */
const ROUND_MS = 2_000;

export interface Erasures {
  readonly register: ErasureRegister;
  /** Nobody gets a token for such a tenant. */
  readonly heldBack: (tenantId: Parameters<ErasureRegister['has']>[0]) => boolean;
  readonly findings: () => Finding[];
  /** Of housekeeping: the register learns of an erasure whose process died before it was written down. */
  readonly complete: Chore;
  close(): Promise<void>;
}

/**
 * Reads the register and asks the databases whether they know every erasure in it. Tenants of which one does not are held
 * back until it was repeated. Throws `erasure_register_malformed`.
 */
export async function openErasures(
  floor: Floor,
  deps: Omit<AccessDeps, 'erasures' | 'subjects' | 'directories' | 'secretsOf'>,
): Promise<Erasures> {
  const register = openErasureRegister(join(floor.member.boot.stateDirectory, ERASURE_REGISTER_FILE));
  const onFailure = (error: unknown): void => floor.log.warn('erasures-not-repeated', { error });
  const replay = createErasureReplay({
    ...deps,
    register,
    tenantOf: async (tenantId) => (await findTenant(deps, tenantId, randomUUID()))?.context,
    onFailure,
  });
  await replay.look();
  let closed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let round: Promise<void> = Promise.resolve();
  const repeat = async (): Promise<void> => {
    const people = await replay.repeat();
    if (people > 0) floor.log.warn('erasures-repeated', { count: people });
    if (!closed && replay.held() > 0) timer = setTimeout(start, ROUND_MS);
  };
  const start = (): void => {
    round = repeat().catch(onFailure);
  };
  if (replay.held() > 0) start();
  return {
    register,
    heldBack: replay.holds,
    findings: () => [
      {
        check: 'erasures',
        ok: replay.held() === 0,
        detail: `${replay.held()} workspaces wait for erasures to be repeated after a restore`,
      },
    ],
    complete: replay.complete,
    async close() {
      closed = true;
      clearTimeout(timer);
      await round;
    },
  };
}
