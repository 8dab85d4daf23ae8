import { isAppError } from '@auditrax/base';
import type { SealEngine, SealEngineName } from './engine.ts';
import { loadAddon, nativeEngine } from './engine-native.ts';
import type { Addon } from './engine-native.ts';
import { referenceEngine } from './engine-reference.ts';
import { selfTest } from './self-test.ts';

/** Which engine serves this process, and if it is not the native one, why not. */
export interface EngineChoice {
  readonly engine: SealEngine;
  readonly reason?: string;
}

/**
 * The native engine when it is there and passes its self-test, otherwise the reference, whose failure ends the process:
 * `self_test_failed`. A native engine that gives other bytes is never used, however small the difference.
 */
export function chooseEngine(load: () => Addon): EngineChoice {
  selfTest(referenceEngine);
  try {
    const engine = nativeEngine(load());
    selfTest(engine);
    return { engine };
  } catch (error) {
    return { engine: referenceEngine, reason: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (isAppError(error)) return message;
  return code === 'MODULE_NOT_FOUND' ? 'it is not compiled' : message.split('\n')[0]!;
}

// Chosen when this module is loaded: a process that has given up its rights could not read the addon later.
const chosen = chooseEngine(loadAddon);

/** The engine of this process. */
export function currentEngine(): SealEngine {
  return chosen.engine;
}

/** For diagnosis and the security page: which engine serves this process, and why if it is the slower one. */
export function sealEngine(): { readonly name: SealEngineName; readonly reason?: string } {
  const { engine, reason } = chosen;
  return { name: engine.name, ...(reason === undefined ? {} : { reason }) };
}
