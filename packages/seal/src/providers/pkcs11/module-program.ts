// The child that loads a vendor's PKCS#11 module: what crashes here takes no keys with it.
import { isAppError } from '@auditrax/base';
import { sealError } from '../../errors.ts';
import type { SealErrorCode } from '../../errors.ts';
import type { TokenCall, TokenFailure, TokenReply, TokenRequest } from './messages.ts';
import { attempt } from './module-attempt.ts';
import { ModuleConnection } from './module-connection.ts';
import { faultError, isPinRefusal, moduleFault } from './module-errors.ts';
import { KeyAbsent, operate } from './module-operations.ts';

let connection: ModuleConnection | undefined;

/** Serves a call; makes the connection anew where the fault may be the connection's, and believes only the second no. */
function serve(call: TokenCall): unknown {
  if (call.op === 'configure') {
    connection ??= new ModuleConnection(call.settings);
    return null;
  }
  if (connection === undefined) throw sealError('kek_misconfigured', 'the module was not configured');
  const live = connection;
  return attempt(live, call, () => operate(live, call));
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
