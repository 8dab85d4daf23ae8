import { isAppError } from '@auditrax/base';
import { diagnose } from './diagnosis.ts';
import type { Sealer } from './sealer.ts';

/** What stands where a name would, while the organisation's own key is not to be had. */
const UNREADABLE: Readonly<Partial<Record<ReturnType<typeof diagnose>['state'], string>>> = {
  withdrawn: 'unreadable while the key is withdrawn',
  unreachable: 'unreadable while the key store does not answer',
};

/**
 * Opens names that only accompany something else: a session, a list of people and their roles. While the organisation's
 * own key is withdrawn or its store is away, each is replaced by words that say so, and whoever signs in can still come to
 * the screen that says what to do. Everything else throws like `openTexts`.
 */
export async function openNames(
  sealer: Pick<Sealer, 'openTexts'>,
  input: Parameters<Sealer['openTexts']>[0],
): Promise<string[]> {
  try {
    return await sealer.openTexts(input);
  } catch (error) {
    const words = isAppError(error) ? UNREADABLE[diagnose(error.code).state] : undefined;
    if (words === undefined) throw error;
    return input.values.map(() => words);
  }
}
