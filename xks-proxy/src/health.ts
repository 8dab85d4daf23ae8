import type { Clock } from '@auditrax/base';
import type { TokenFacts } from '@auditrax/seal/pkcs11';
import type { Hsm } from './hsm.ts';

/** The protocol allows a minute; a key manager that went away is noticed sooner by the calls themselves. */
const REMEMBERED_MS = 5_000;
const VENDOR = 'Auditrax';
const MODEL = 'auditrax-xks-proxy 0.1.0';

/** GetHealthStatus: proves that the token works, remembers a success for a moment, never a failure. */
export class HealthCheck {
  readonly #hsm: Hsm;
  readonly #clock: Clock;
  #proven: { readonly atMs: number; readonly facts: TokenFacts } | undefined;

  constructor(hsm: Hsm, clock: Clock) {
    this.#hsm = hsm;
    this.#clock = clock;
  }

  /** The protocol's report. Throws when the token cannot be used now. */
  async report(fleetSize: number): Promise<object> {
    const facts = await this.#prove();
    return {
      xksProxyFleetSize: fleetSize,
      xksProxyVendor: VENDOR,
      xksProxyModel: MODEL,
      ekmVendor: facts.manufacturer || 'unknown',
      ekmFleetDetails: [
        {
          id: facts.serial || facts.label,
          model: [facts.model, facts.firmware].filter(Boolean).join(' ') || 'unknown',
          healthStatus: 'ACTIVE',
        },
      ],
    };
  }

  async #prove(): Promise<TokenFacts> {
    const now = this.#clock.nowMs();
    if (this.#proven && Math.abs(now - this.#proven.atMs) < REMEMBERED_MS) return this.#proven.facts;
    this.#proven = undefined;
    await this.#hsm.prove();
    const facts = await this.#hsm.facts();
    this.#proven = { atMs: now, facts };
    return facts;
  }
}
