// Debian's SoftHSM as a stand-in for a hardware module, for tests and rehearsals; nothing in production loads this.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const SOFT_TOKEN_MODULE = '/usr/lib/softhsm/libsofthsm2.so';
const SOFT_TOKEN_TOOL = '/usr/bin/softhsm2-util';

export interface SoftToken {
  readonly modulePath: string;
  readonly tokenLabel: string;
  readonly pin: string;
  /** For `TokenOptions.environment`. */
  readonly environment: Readonly<Record<string, string>>;
  /** Where the token's files are: moved away, the token is lost. */
  readonly tokenFolder: string;
}

/** Whether Debian's softhsm2 is installed (`apt-get install softhsm2`). */
export function hasSoftToken(): boolean {
  return existsSync(SOFT_TOKEN_MODULE) && existsSync(SOFT_TOKEN_TOOL);
}

/** Makes a token in `folder`, with a configuration of its own there. Throws what the tool says. */
export async function initSoftToken(wanted: { folder: string; label: string; pin: string }): Promise<SoftToken> {
  const tokenFolder = join(wanted.folder, 'tokens');
  const configuration = join(wanted.folder, 'softhsm2.conf');
  await mkdir(tokenFolder, { recursive: true, mode: 0o700 });
  await writeFile(
    configuration,
    `directories.tokendir = ${tokenFolder}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n`,
  );
  const environment = { SOFTHSM2_CONF: configuration };
  // The officer's PIN is thrown away: nobody ever resets this token.
  const args = ['--init-token', '--free', '--label', wanted.label, '--pin', wanted.pin, '--so-pin', `so-${wanted.pin}`];
  await promisify(execFile)(SOFT_TOKEN_TOOL, args, { env: environment });
  return { modulePath: SOFT_TOKEN_MODULE, tokenLabel: wanted.label, pin: wanted.pin, environment, tokenFolder };
}
