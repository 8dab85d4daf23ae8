import { mkdtemp, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import type { TokenOptions } from '@auditrax/seal/pkcs11';
import { hasSoftToken, initSoftToken } from '@auditrax/seal/providers/pkcs11/soft-token';

/**
 * - `rehearsal_refused`: asked for outside try-out mode and tests
 * - `rehearsal_unavailable`: a part is missing on this machine; the message names the package
 */
export type RehearsalErrorCode = 'rehearsal_refused' | 'rehearsal_unavailable';

export function rehearsalError(code: RehearsalErrorCode, message: string): AppError<RehearsalErrorCode> {
  return new AppError<RehearsalErrorCode>(code, message);
}

/** SoftHSM in place of a hardware security module. Stand-in, never evidence of hardware. */
export interface RehearsedHsm {
  /** For `pkcs11Token`: the files belong to the user who started the rehearsal and nobody else can open them. */
  readonly options: Pick<TokenOptions, 'modulePath' | 'tokenLabel' | 'pin' | 'environment'>;
  /** Takes the token away, as a pulled cable does, until `comeBack`. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

/**
 * Makes a token labelled `rehearsal-<name>` in a folder of its own below `folder`. Throws `rehearsal_unavailable`
 * without Debian's softhsm2.
 */
export async function startRehearsedHsm(folder: string, name: string, pin: string): Promise<RehearsedHsm> {
  if (!hasSoftToken()) {
    throw rehearsalError('rehearsal_unavailable', 'softhsm2 is not installed (Debian: apt-get install softhsm2)');
  }
  const own = await mkdtemp(join(folder, `${name}-`));
  const { tokenFolder, ...options } = await initSoftToken({ folder: own, label: `rehearsal-${name}`, pin });
  const away = `${tokenFolder}-away`;
  return {
    options,
    goAway: () => rename(tokenFolder, away),
    comeBack: () => rename(away, tokenFolder),
  };
}
