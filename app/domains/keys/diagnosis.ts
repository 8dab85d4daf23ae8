import { isAppError } from '@auditrax/base';
import type { KekHealth } from '@auditrax/seal';
import type { KeyHealth } from './source-contract.ts';

/** What a key store's answer means for whoever uses it. */
export type KeyState = Exclude<KeyHealth['state'], 'unknown'>;

const DIAGNOSES: Readonly<Record<string, { readonly state: KeyState; readonly advice: string }>> = {
  kek_disabled: {
    state: 'withdrawn',
    advice:
      'Whoever owns the key has disabled it, scheduled its deletion, or let its material expire. Enable it again in the key store, or import the same material once more; reading works again within seconds.',
  },
  kek_denied: {
    state: 'withdrawn',
    advice:
      'The key store refuses who asks. Check the access key, the key policy or grant, the role and its external id, or the client certificate.',
  },
  kek_gone: {
    state: 'withdrawn',
    advice: 'The key does not exist any more. Restore it in the key store: what it protects cannot be read without it.',
  },
  kek_unavailable: {
    state: 'unreachable',
    advice: 'The key store does not answer in time. Check that it runs and that its address can be reached from here.',
  },
  kek_throttled: { state: 'unreachable', advice: 'The key store asks for patience. Raise its limit if this goes on.' },
  clock_skew: {
    state: 'unreachable',
    advice: 'The clocks differ. Set this machine’s clock, or that of the key store.',
  },
  kek_misconfigured: { state: 'unfit', advice: 'Correct the setting that the message names, and check again.' },
  kek_foreign: { state: 'unfit', advice: 'This key belongs to somebody else here. Use a key of your own.' },
};

const OTHERWISE = {
  state: 'unfit',
  advice: 'The key store answers with something else than was asked. Ask the operator to look at its log.',
} as const;

/** Meaning of a code of `SealErrorCode` at a key store. */
export function diagnose(code: string): { readonly state: KeyState; readonly advice: string } {
  return (Object.hasOwn(DIAGNOSES, code) ? DIAGNOSES[code] : undefined) ?? OTHERWISE;
}

/** True when what is held of this key has to be wiped now. */
export function isWithdrawal(code: string): boolean {
  return diagnose(code).state === 'withdrawn';
}

/** True when it is the tenant's own key, or its key store, that does not do what it should. */
export function isKeyStoreFault(error: unknown): boolean {
  return isAppError(error) && Object.hasOwn(DIAGNOSES, error.code);
}

/** An error of a key store as a health result. */
export function healthOfError(error: unknown): KekHealth {
  const message = error instanceof Error ? error.message : '';
  return { ok: false, code: isAppError(error) ? error.code : 'unknown', message };
}

/** As shown to people. */
export function shownHealth(health: KekHealth, checkedAtMs: number): KeyHealth {
  const checkedAt = new Date(checkedAtMs).toISOString();
  if (health.ok) return { state: 'usable', code: null, message: null, advice: null, checkedAt };
  return { ...diagnose(health.code), code: health.code, message: health.message, checkedAt };
}
