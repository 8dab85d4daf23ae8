import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AppError } from '@auditrax/base';
import { isKeyName, parseVerifierKey, SIGNATURE_ED25519, type VerifierKey } from '@auditrax/tlog';
import { z } from 'zod';

export type WitnessCode = 'witness_config_unreadable' | 'witness_config_invalid' | 'witness_key_unusable';

/** A log posts once a minute; this many logs may all come at once after the witness was away. */
const REQUESTS_PER_SECOND_DEFAULT = 20;
const CONNECTIONS_DEFAULT = 200;
/** Both keys of a log while it changes from one to the other, and one more. */
const KEYS_PER_LOG_MAX = 3;

const file = z.string().min(1).max(4096);
const configSchema = z.strictObject({
  name: z.string().min(1).max(200).refine(isKeyName, 'has no spaces and no plus'),
  keyFile: file,
  journalFolder: file,
  listen: z.strictObject({ host: z.string().min(1).max(200).default('127.0.0.1'), port: z.int().min(0).max(65_535) }),
  tls: z.strictObject({ certificateFile: file, keyFile: file }).optional(),
  uriPathPrefix: z
    .string()
    .regex(/^(\/[A-Za-z0-9_-]+)*$/, 'is empty, or begins with a slash')
    .max(100)
    .default(''),
  requestsPerSecondMax: z.int().min(1).max(10_000).default(REQUESTS_PER_SECOND_DEFAULT),
  connectionsMax: z.int().min(1).max(10_000).default(CONNECTIONS_DEFAULT),
  logs: z
    .array(z.strictObject({ keys: z.array(z.string().max(400)).min(1).max(KEYS_PER_LOG_MAX) }))
    .min(1)
    .max(10_000),
});

export interface WitnessConfig {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly journalFolder: string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Undefined: plain HTTP, for loopback or behind a proxy of one's own. */
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  readonly uriPathPrefix: string;
  readonly requestsPerSecondMax: number;
  readonly connectionsMax: number;
  /** Keys of the logs that are witnessed, by origin. */
  readonly logs: ReadonlyMap<string, readonly VerifierKey[]>;
}

function invalid(place: string, why: string): AppError<WitnessCode> {
  return new AppError<WitnessCode>('witness_config_invalid', `${place}: ${why}`);
}

async function readParts(path: string): Promise<z.infer<typeof configSchema>> {
  let read: unknown;
  try {
    read = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new AppError<WitnessCode>('witness_config_unreadable', `${path}: ${(error as Error).message}`);
  }
  const parsed = configSchema.safeParse(read);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw invalid(issue.path.join('.') || path, issue.message);
}

/** A key that others can read signs for others. */
export async function loadKey(path: string): Promise<KeyObject> {
  try {
    if (((await stat(path)).mode & 0o077) !== 0) throw new Error('others may read it; chmod 600');
    const key = createPrivateKey(await readFile(path));
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('it is no Ed25519 key');
    return key;
  } catch (error) {
    throw new AppError<WitnessCode>('witness_key_unusable', `${path}: ${(error as Error).message}`);
  }
}

async function readLogs(logs: readonly { readonly keys: readonly string[] }[]): Promise<WitnessConfig['logs']> {
  const found = new Map<string, readonly VerifierKey[]>();
  for (const [at, log] of logs.entries()) {
    const keys: VerifierKey[] = [];
    for (const [n, text] of log.keys.entries()) {
      const key = await parseVerifierKey(text);
      const place = `logs[${at}].keys[${n}]`;
      if (key === undefined || key.type !== SIGNATURE_ED25519) throw invalid(place, 'is no verifier key of a log');
      if (keys.some(({ name }) => name !== key.name)) throw invalid(place, 'is named like another log');
      keys.push(key);
    }
    const origin = keys[0]!.name;
    if (found.has(origin)) throw invalid(`logs[${at}]`, 'names a log again');
    found.set(origin, keys);
  }
  return found;
}

/** Reads the configuration and every file it names; paths are relative to it. Throws `WitnessCode` with the place. */
export async function loadConfig(path: string): Promise<WitnessConfig> {
  const parts = await readParts(path);
  const at = (name: string): string => resolve(dirname(path), name);
  const tls = parts.tls && {
    cert: await readFile(at(parts.tls.certificateFile)),
    key: await readFile(at(parts.tls.keyFile)),
  };
  return {
    ...parts,
    tls,
    privateKey: await loadKey(at(parts.keyFile)),
    journalFolder: at(parts.journalFolder),
    logs: await readLogs(parts.logs),
  };
}
