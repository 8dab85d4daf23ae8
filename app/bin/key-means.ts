// Where the secrets that open the key stores come from. The supervisor reads them, as root where there is one, and hands
// them to the keys process over its channel: that process can read neither credentials nor PIN files of others.
import { closeSync, existsSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AppError, type Random } from '@auditrax/base';
import { createRootKeyFile, parsePassphrase, parseRootKey, rootKeyByPassphrase } from '@auditrax/seal';
import type { AwsIdentity, Settings } from './settings.ts';

const KEY_BYTES = 32;
/** A larger file is no secret of ours. */
const SECRET_BYTES_MAX = 8_192;
const OTHERS_MASK = 0o007;
const GROUP_AND_OTHERS_MASK = 0o077;

/** What opens the key ring. `file`: the root key lies beside it. */
export type RootMeans =
  | { readonly kind: 'credential'; readonly text: string }
  | { readonly kind: 'passphrase'; readonly text: string }
  | { readonly kind: 'file' };

/** What opens the token of the HSM. */
export type HsmMeans = {
  readonly modulePath: string;
  readonly tokenLabel: string;
  readonly pin: string;
  readonly environment: Readonly<Record<string, string>>;
};

export type KeyMeans = {
  readonly root: RootMeans;
  readonly hsm: HsmMeans | null;
  /** Who the installation is at AWS. */
  readonly aws: AwsIdentity;
  /** Which of the two holds the installation’s own keys. */
  readonly kekProvider: Settings['kekProvider'];
};

/** Reads the files that the settings name. Throws `bad_setting`, naming file and variable. */
export function readKeyMeans({ rootKey, hsm, kekProvider, awsIdentity: aws }: Settings): KeyMeans {
  return {
    aws,
    kekProvider,
    root:
      rootKey.kind === 'file'
        ? rootKey
        : { kind: rootKey.kind, text: readSecretFile(rootKey.file, 'AUDITRAX_ROOT_KEY') },
    hsm:
      hsm === undefined
        ? null
        : {
            modulePath: hsm.modulePath,
            tokenLabel: hsm.tokenLabel,
            pin: readSecretFile(hsm.pinFile, 'AUDITRAX_PKCS11_PIN_FILE').replace(/\r?\n$/, ''),
            environment: hsm.environment,
          },
  };
}

/**
 * The root key of the ring in `folder`, for whoever may read all of the state folder. Throws `ring_missing`,
 * `ring_corrupt`, `root_key_mismatch`, `passphrase_weak`.
 */
export async function openRootKey(root: RootMeans, folder: string): Promise<Buffer> {
  switch (root.kind) {
    case 'credential':
      return parseRootKey(root.text, 'the credential auditrax-root-key');
    case 'passphrase':
      return rootKeyByPassphrase(readFileSync(join(folder, 'key-ring')), root.text);
    case 'file': {
      const file = join(folder, 'root-key');
      if (!existsSync(file)) throw new AppError('ring_missing', `${file} is gone`);
      return parseRootKey(readFileSync(file, 'latin1'), file);
    }
  }
}

/**
 * The root key for a new ring: the credential's, or a new one, kept in its file or, with `passphrase`, in the ring.
 * Throws `ring_exists`, `ring_corrupt`, `passphrase_weak`.
 */
export async function makeRootKey(
  root: RootMeans,
  place: { readonly folder: string; readonly random: Random },
): Promise<{ readonly rootKey: Buffer; readonly passphrase?: string }> {
  switch (root.kind) {
    case 'credential':
      return { rootKey: parseRootKey(root.text, 'the credential auditrax-root-key') };
    case 'passphrase':
      return { rootKey: Buffer.from(place.random.bytes(KEY_BYTES)), passphrase: parsePassphrase(root.text) };
    case 'file':
      return { rootKey: await createRootKeyFile(join(place.folder, 'root-key'), place.random) };
  }
}

/**
 * Reads a secret that others may not read. A credential may be open to a group: systemd grants the service its access that
 * way, in a folder that nobody else may enter. Throws `bad_setting`; `what` names the setting in it.
 */
export function readSecretFile(file: string, what: string): string {
  const refuse = (why: string, cause?: unknown) => new AppError('bad_setting', `${what}: ${file} ${why}`, { cause });
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (cause) {
    throw refuse(`cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
  try {
    const { mode, size } = fstatSync(descriptor);
    const isCredential = dirname(file).startsWith('/run/credentials/');
    if ((mode & (isCredential ? OTHERS_MASK : GROUP_AND_OTHERS_MASK)) !== 0)
      throw refuse('may be read or written by others: chmod 600 it');
    if (size === 0 || size > SECRET_BYTES_MAX) throw refuse('holds no secret');
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}
