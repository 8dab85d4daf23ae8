import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Random } from '@auditrax/base';
import { throwAwayAuthority } from './certificates.ts';
import { startRehearsedKms, type RehearsedKms } from './kms.ts';
import { rehearsalError, startRehearsedHsm, type RehearsedHsm } from './stand-in.ts';
import { startRehearsedStore, type RehearsedStore } from './store.ts';

const PIN_DIGITS = 12;

export interface RehearsalOptions {
  /** A folder of the calling user; all files lie in a new folder below it, which `close` removes. */
  readonly folder: string;
  /** Where the house is tried out, or tested. There is no third: an installation in earnest cannot rehearse. */
  readonly mode: 'try-out' | 'test';
  readonly clock: Clock;
  readonly random: Random;
}

/** Key stores of others, played on this machine's loopback with throw-away keys and certificates. */
export interface Rehearsal {
  /** What every surface calls it. */
  readonly label: 'rehearsal';
  /** An HSM of the installation. */
  readonly hsm: RehearsedHsm;
  /** An external key store of a tenant. */
  readonly store: RehearsedStore;
  /** A tenant's AWS account, played by the protocol simulator. */
  readonly kms: RehearsedKms;
  /** The HSM behind `store`, for taking it away there. */
  readonly storeHsm: RehearsedHsm;
  /**
   * What a process that dials the stand-ins has to know: the only loopback origins it may dial, and the authority of
   * their certificates. Hand it to the outgoing guard, and to nothing in an installation in earnest.
   */
  readonly standIns: { readonly origins: readonly string[]; readonly ca: string };
  /** Stops everything and removes its files. */
  close(): Promise<void>;
}

function newPin(random: Random): string {
  return Array.from(random.bytes(PIN_DIGITS), (byte) => byte % 10).join('');
}

/**
 * Starts the rig. Needs no privilege: ports are ephemeral, files lie below `folder`. Throws `rehearsal_refused` for any
 * other mode, `rehearsal_unavailable` where SoftHSM is not installed, and what the token throws (`kek_misconfigured`
 * without the compiled driver); whatever had been started is stopped again.
 */
export async function startRehearsal(options: RehearsalOptions): Promise<Rehearsal> {
  // The type says so already; a wrong cast in a composition root must not open loopback to tenants' endpoints.
  if (!['try-out', 'test'].includes(options.mode)) {
    throw rehearsalError('rehearsal_refused', 'rehearsals are for try-out mode and tests only');
  }
  const { clock, random } = options;
  const folder = await mkdtemp(join(options.folder, 'rehearsal-'));
  // Undone in reverse, at the end or when a later step fails.
  const undo: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
  const close = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const authority = await throwAwayAuthority(clock);
    const hsm = await startRehearsedHsm(folder, 'house', newPin(random));
    const storeHsm = await startRehearsedHsm(folder, 'customer', newPin(random));
    const store = await startRehearsedStore({ hsm: storeHsm, authority, clock, random });
    undo.push(() => store.close());
    const kms = await startRehearsedKms({ authority, clock, random });
    undo.push(() => kms.simulator.close());
    const origins = [store.source.endpoint, kms.simulator.endpoint];
    return { label: 'rehearsal', hsm, store, storeHsm, kms, standIns: { origins, ca: authority.authorityPem }, close };
  } catch (error) {
    await close();
    throw error;
  }
}
