// The child that loads a vendor's PKCS#11 module: what crashes here takes no keys with it.
import { isAppError } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';
import type { TokenCall, TokenFailure, TokenReply, TokenRequest } from './messages.ts';
import { ModuleConnection } from './module-connection.ts';
import { faultError, faultKind, isPinRefusal, moduleFault } from './module-errors.ts';
import { KeyAbsent, operate } from './module-operations.ts';

/** A stale handle, then an absence that a new connection must confirm, then the answer. */
const ATTEMPTS_MAX = 4;

type Operation = Exclude<TokenCall, { readonly op: 'configure' }>;

let connection: ModuleConnection | undefined;

/** Serves a call; makes the connection anew where the fault may be the connection's, and believes only the second no. */
function serve(call: TokenCall): unknown {
  if (call.op === 'configure') {
    connection ??= new ModuleConnection(call.settings);
    return null;
  }
  if (connection === undefined) throw sealError('kek_misconfigured', 'the module was not configured');
  return attemptAll(connection, call);
}

function attemptAll(live: ModuleConnection, call: Operation): unknown {
  let last: unknown;
  let suspicions = 0;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const isFresh = live.ensure();
    try {
      return operate(live, call);
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
  live: ModuleConnection,
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

function failureOf(error: unknown, op: TokenCall['op']): TokenFailure {
  const pinRefused = isPinRefusal(error);
  if (isAppError(error)) return { code: error.code as SealErrorCode, message: error.message, pinRefused };
  const fault = moduleFault(error);
  if (fault !== undefined) {
    const { code, message } = faultError(fault, op);
    return { code, message, pinRefused };
  }
  if (error instanceof KeyAbsent) return { code: 'kek_unavailable', message: error.message, pinRefused };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'kek_unavailable', message: `the PKCS#11 module failed: ${message}`, pinRefused };
}

process.on('message', (message) => {
  const { id, call } = message as TokenRequest;
  let reply: TokenReply;
  try {
    reply = { id, value: serve(call) };
  } catch (error) {
    reply = { id, failure: failureOf(error, call.op) };
  }
  process.send?.(reply);
});
// Nobody is left to serve: the process that held us is gone.
process.on('disconnect', () => process.exit(0));
