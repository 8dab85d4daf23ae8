import { loadAddon, nativeEngine } from '../engine-native.ts';
import type { Addon } from '../engine-native.ts';
import { referenceEngine } from '../engine-reference.ts';
import type { SealEngine } from '../engine.ts';

/** The addon, if it is compiled. With CI=true it must be: `npm test` compiles it first. */
export function compiledAddon(): Addon | undefined {
  try {
    return loadAddon();
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
    process.stderr.write(
      'the native seal engine is not compiled: only the reference is tested (npm test compiles it)\n',
    );
    return undefined;
  }
}

const addon = compiledAddon();

/** Every engine there is, by name: what holds must hold with each. */
export const ENGINES: readonly SealEngine[] =
  addon === undefined ? [referenceEngine] : [referenceEngine, nativeEngine(addon)];
