import { sealError } from '../../errors.ts';
import type { TokenCall } from './messages.ts';
import type { ModuleConnection } from './module-connection.ts';
import { faultKind, moduleFault } from './module-errors.ts';
import { KeyAbsent } from './module-operations.ts';

/** A stale handle, then an absence that a new connection must confirm, then the answer. */
const ATTEMPTS_MAX = 4;

type Operation = Exclude<TokenCall, { readonly op: 'configure' }>;
type Attempted = Pick<ModuleConnection, 'ensure' | 'drop' | 'forget' | 'hasWitness' | 'isAlive'>;

/**
 * Does a call on a connection, which is made anew where a fault may be its own; only a second no is believed. Throws the
 * fault that stays, `authentication_failed` only when the token lives, `kek_gone` only when it was surely looked through.
 */
export function attempt(live: Attempted, call: Operation, work: () => unknown): unknown {
  let last: unknown;
  let suspicions = 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const isFresh = live.ensure();
    try {
      return work();
    } catch (error) {
      last = error;
      if (error instanceof KeyAbsent) {
        if (isFresh || live.hasWitness('key' in call ? call.key : undefined)) return absent(call, error);
        live.drop();
        continue;
      }
      const verdict = judge(live, call, { error, isFresh });
      if (verdict === 'wrong-bytes' && (suspicions += 1) > 1) {
        throw sealError(
          'authentication_failed',
          'the token does not open these bytes with this key and context',
          error,
        );
      }
      if (verdict === 'final') throw error;
    }
  }
  throw last;
}

/** What to do about a fault before the next attempt; it is done here. */
function judge(
  live: Attempted,
  call: Operation,
  failed: { readonly error: unknown; readonly isFresh: boolean },
): 'again' | 'final' | 'wrong-bytes' {
  const fault = moduleFault(failed.error);
  if (fault === undefined) return 'final';
  const isOpening = call.op === 'decryptGcm' || call.op === 'unwrapKwp';
  switch (faultKind(fault, isOpening)) {
    case 'connection': {
      live.drop();
      return failed.isFresh ? 'final' : 'again';
    }
    case 'handle': {
      if ('key' in call) live.forget(call.key);
      return 'again';
    }
    case 'maybe-bytes': {
      if (live.isAlive((call as { key: string }).key)) return 'wrong-bytes';
      live.drop();
      return 'again';
    }
    case 'pin':
    case 'final':
      return 'final';
  }
}

function absent(call: Operation, error: KeyAbsent): null | false {
  if (call.op === 'findKey') return null;
  if (call.op === 'destroyKey') return false;
  throw sealError('kek_gone', error.message);
}
