// The signer: holds the log's signing key and a journal of its own; signs only consistent growth. No database.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@auditrax/base';
import { createSigner, signerServiceRoutes } from '../platform/audit/signer.ts';
import { openFloor, type Floor } from './floor.ts';
import { LOG_ORIGIN_PREFIX } from './log-origin.ts';
import { serve } from './serve.ts';

const floor = await openFloor('signer');

/** The log's key, made on a first start only: a new key under an old journal would look like a takeover. */
function logKey({ member }: Floor): KeyObject {
  const path = join(member.boot.stateDirectory, 'log-key.pem');
  if (existsSync(path)) return createPrivateKey(readFileSync(path));
  if (member.boot.options['isNew'] !== true) {
    throw new AppError(
      'log_key_missing',
      `the log's signing key ${path} is gone: restore it from a backup; a new one would break every proof already given out`,
    );
  }
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx', flush: true });
  return privateKey;
}

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
    privateKey: logKey(floor),
    originPrefix: LOG_ORIGIN_PREFIX,
  });
  await serve(floor, 'signer', { rooms: [signerServiceRoutes(signer)], problems: [], release: () => signer.close() });
} catch (error) {
  floor.member.fatal(error);
}
