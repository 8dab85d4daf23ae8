// The signer: holds the log's signing key and a journal of its own; signs only consistent growth. No database.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import { createSigner, signerServiceRoutes } from '../platform/audit/signer.ts';
import { openLogKeys } from '../platform/audit/signer-keys.ts';
import { openFloor, type Floor } from './floor.ts';
import { LOG_ORIGIN_PREFIX } from './log-origin.ts';
import { serve } from './serve.ts';

const floor = await openFloor('signer');

/** Made on a first start only: without its journal the signer would sign any history as if it saw it first. */
function journalDirectory({ member }: Floor): string {
  const path = join(member.boot.stateDirectory, 'journal');
  if (!existsSync(path)) {
    if (member.boot.options['isNew'] !== true) {
      throw new AppError('journal_missing', `the signer's journal ${path} is gone: restore it from a backup`);
    }
    mkdirSync(path, { mode: 0o700 });
  }
  return path;
}

try {
  const signer = createSigner({
    journalDirectory: journalDirectory(floor),
    keys: openLogKeys(floor.member.boot.stateDirectory, { isNew: floor.member.boot.options['isNew'] === true }),
    originPrefix: LOG_ORIGIN_PREFIX,
  });
  for (const number of await signer.retireKeys())
    floor.log.warn('log-key-destroyed', { reason: `key ${number}: no log needs it any more` });
  await serve(floor, 'signer', { rooms: [signerServiceRoutes(signer)], problems: [], release: () => signer.close() });
} catch (error) {
  floor.member.fatal(error);
}
