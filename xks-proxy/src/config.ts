import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { AppError } from '@auditrax/base';
import { z } from 'zod';

export type KeyOperation = 'ENCRYPT' | 'DECRYPT';

/** Time that KMS gives a call is 250 ms, the network's share included. */
const DEADLINE_MS_DEFAULT = 200;
/** Default of AWS for one external key store. */
const REQUESTS_PER_SECOND_DEFAULT = 1800;
/** At three milliseconds each, as under load, the last in this queue still answers in time. */
const CONCURRENT_REQUESTS_DEFAULT = 64;
const CONNECTIONS_DEFAULT = 1000;
/** The protocol's limit, with `/kms/xks/v1`. */
const URI_PATH_CHARS_MAX = 128;
/** More than a rotation needs; each is one more secret that lives. */
const CREDENTIALS_MAX = 4;
/** Ciphertexts without our metadata are tried under each. */
const LABELS_MAX = 8;

const name = z.string().min(1).max(200);
const file = z.string().min(1).max(4096);
const arns = z.array(z.string().min(1).max(2048)).min(1).max(1000);

const key = z.strictObject({
  id: z
    .string()
    .regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/, 'has 1 to 128 letters, digits, dots, hyphens, underscores'),
  labels: z.array(name).min(1).max(LABELS_MAX).optional(),
  operations: z
    .array(z.enum(['ENCRYPT', 'DECRYPT']))
    .max(2)
    .default(['ENCRYPT', 'DECRYPT']),
  enabled: z.boolean().default(true),
  callers: z.strictObject({ principalArns: arns.optional(), kmsKeyArns: arns.optional() }).default({}),
});

const store = z.strictObject({
  uriPathPrefix: z
    .string()
    .regex(
      /^(\/[A-Za-z0-9_-]+)*$/,
      'is empty, or begins with a slash and has letters, digits, slashes, hyphens, underscores',
    )
    .max(URI_PATH_CHARS_MAX - '/kms/xks/v1'.length),
  credentialFiles: z.array(file).min(1).max(CREDENTIALS_MAX),
  requestsPerSecondMax: z.int().min(1).max(100_000).default(REQUESTS_PER_SECOND_DEFAULT),
  keys: z.array(key).max(10_000),
});

const configSchema = z.strictObject({
  listen: z.strictObject({ host: name.default('0.0.0.0'), port: z.int().min(0).max(65_535) }),
  tls: z.strictObject({
    certificateFile: file,
    keyFile: file,
    clients: z.strictObject({ caFile: file, commonNames: z.array(name).min(1).max(100) }).optional(),
  }),
  hsm: z.strictObject({
    modulePath: file,
    tokenLabel: name,
    tokenSerial: name.optional(),
    pinFile: file,
    sessions: z.int().min(1).max(16).default(2),
    environment: z.record(z.string(), z.string()).default({}),
    deadlineMilliseconds: z.int().min(10).max(10_000).default(DEADLINE_MS_DEFAULT),
    healthKeyLabel: name.optional(),
  }),
  regions: z
    .array(z.string().regex(/^[a-z0-9-]{1,64}$/))
    .min(1)
    .optional(),
  concurrentRequestsMax: z.int().min(1).max(10_000).default(CONCURRENT_REQUESTS_DEFAULT),
  connectionsMax: z.int().min(1).max(100_000).default(CONNECTIONS_DEFAULT),
  fleetSize: z.int().min(1).max(1000).default(1),
  stores: z.array(store).min(1).max(1000),
});

/** The file that AWS KMS takes for a new external key store, and of which the proxy reads the same two values. */
const credentialSchema = z.object({
  XksProxyUriPath: z.string(),
  XksProxyAuthenticationCredential: z.object({
    AccessKeyId: z.string().regex(/^[A-Z2-7]{20,30}$/, 'has 20 to 30 capitals and digits 2 to 7'),
    RawSecretAccessKey: z.string().regex(/^[A-Za-z0-9/+=]{43,64}$/, 'has 43 to 64 characters of base64'),
  }),
});

/** A key of the HSM as a store shows it. */
export interface StoreKey {
  readonly id: string;
  /** Labels on the token: the first encrypts, the others still decrypt. */
  readonly labels: readonly string[];
  readonly operations: readonly KeyOperation[];
  readonly enabled: boolean;
  readonly callers: {
    readonly principalArns?: readonly string[] | undefined;
    readonly kmsKeyArns?: readonly string[] | undefined;
  };
}

/** What one URI path prefix has: credentials and keys of its own, seen from no other. */
export interface Store {
  readonly uriPathPrefix: string;
  /** Secrets by access key id. */
  readonly credentials: ReadonlyMap<string, string>;
  readonly requestsPerSecondMax: number;
  readonly keys: ReadonlyMap<string, StoreKey>;
}

/** A configuration with all its files read. Holds secrets: never log it. */
export interface ProxyConfig extends Omit<z.infer<typeof configSchema>, 'stores' | 'tls'> {
  readonly tls: {
    readonly certificatePem: string;
    readonly keyPem: string;
    readonly clients: { readonly caPem: string; readonly commonNames: readonly string[] } | undefined;
  };
  readonly pin: string;
  readonly stores: ReadonlyMap<string, Store>;
}

/** A configuration that cannot be used; the message has one line for each fault, with its place and what to do. */
export type ConfigErrorCode = 'config_invalid';

function invalid(path: string, faults: readonly string[]): AppError<ConfigErrorCode> {
  return new AppError<ConfigErrorCode>('config_invalid', [`${path} cannot be used:`, ...faults].join('\n  '));
}

const OTHERS_MASK = 0o007;
const WRITERS_MASK = 0o022;

/** Reads a file that only its owner may write, and others than owner and group may not even read when `isSecret`. */
async function readGuarded(path: string, isSecret: boolean): Promise<string> {
  let mode: number;
  let text: string;
  try {
    mode = (await stat(path)).mode;
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(path, [`it cannot be read (${(error as NodeJS.ErrnoException).code})`]);
  }
  if ((mode & WRITERS_MASK) !== 0) throw invalid(path, ['group or others may write it: chmod 600 it']);
  if (isSecret && (mode & OTHERS_MASK) !== 0)
    throw invalid(path, ['it is a secret and others may read it: chmod 600 it']);
  return text;
}

async function readJson<T>(schema: z.ZodType<T>, path: string, isSecret: boolean): Promise<T> {
  const text = await readGuarded(path, isSecret);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser's message quotes the text, and this may be a file of secrets.
    throw invalid(path, [isSecret ? 'it is not JSON' : `it is not JSON: ${(error as Error).message}`]);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(
    path,
    result.error.issues.map((issue) => `${z.core.toDotPath(issue.path) || 'the file'}: ${issue.message}`),
  );
}

type CredentialFile = z.infer<typeof credentialSchema>;

async function readStore(settings: z.infer<typeof store>, at: (path: string) => string): Promise<Store> {
  const files = settings.credentialFiles.map(at);
  const read = await Promise.all(
    files.map(async (path): Promise<[string, CredentialFile]> => [path, await readJson(credentialSchema, path, true)]),
  );
  const uriPath = `${settings.uriPathPrefix}/kms/xks/v1`;
  const stray = read.find(([, { XksProxyUriPath }]) => XksProxyUriPath !== uriPath);
  if (stray) throw invalid(stray[0], [`XksProxyUriPath: is for ${stray[1].XksProxyUriPath}, not for ${uriPath}`]);
  return {
    uriPathPrefix: settings.uriPathPrefix,
    credentials: new Map(
      read.map(([, { XksProxyAuthenticationCredential: pair }]) => [pair.AccessKeyId, pair.RawSecretAccessKey]),
    ),
    requestsPerSecondMax: settings.requestsPerSecondMax,
    keys: new Map(settings.keys.map((entry) => [entry.id, { ...entry, labels: entry.labels ?? [entry.id] }])),
  };
}

function repeated(values: readonly string[]): string | undefined {
  return values.find((value, index) => values.indexOf(value) !== index);
}

/** What no single field shows: two stores under one path, one credential or key for two. */
function findContradictions(settings: z.infer<typeof configSchema>, stores: readonly Store[]): string[] {
  const faults: string[] = [];
  const prefix = repeated(stores.map(({ uriPathPrefix }) => uriPathPrefix));
  if (prefix !== undefined) faults.push(`stores: two have the uriPathPrefix "${prefix}"`);
  const accessKeyId = repeated(stores.flatMap(({ credentials }) => [...credentials.keys()]));
  if (accessKeyId !== undefined) faults.push(`stores: two have the access key ${accessKeyId}`);
  settings.stores.forEach(({ keys, credentialFiles }, index) => {
    const id = repeated(keys.map((entry) => entry.id));
    if (id !== undefined) faults.push(`stores[${index}].keys: two have the id ${id}`);
    if (stores[index]!.credentials.size < credentialFiles.length) {
      faults.push(`stores[${index}].credentialFiles: two have one access key`);
    }
  });
  // A label that two external keys share would open for one what was sealed for the other.
  const label = repeated(
    stores.flatMap(({ keys }) => [...keys.values()].flatMap(({ labels }) => [...new Set(labels)])),
  );
  if (label !== undefined) faults.push(`stores: two keys have the label "${label}"`);
  return faults;
}

/**
 * Reads and checks a configuration file and every file it names (paths relative to its folder). Throws `config_invalid`
 * that says which file, which field and what is wrong with it; no value of a secret file is ever in the message.
 */
export async function loadConfig(path: string): Promise<ProxyConfig> {
  const settings = await readJson(configSchema, path, false);
  const at = (relative: string) => resolve(dirname(resolve(path)), relative);
  const { tls, hsm } = settings;
  const [certificatePem, keyPem, pin] = await Promise.all([
    readGuarded(at(tls.certificateFile), false),
    readGuarded(at(tls.keyFile), true),
    readGuarded(at(hsm.pinFile), true),
  ]);
  const clients = tls.clients && {
    caPem: await readGuarded(at(tls.clients.caFile), false),
    commonNames: tls.clients.commonNames,
  };
  const stores = await Promise.all(settings.stores.map((entry) => readStore(entry, at)));
  const faults = findContradictions(settings, stores);
  if (faults.length > 0) throw invalid(path, faults);
  return {
    ...settings,
    tls: { certificatePem, keyPem, clients },
    pin: pin.trim(),
    stores: new Map(stores.map((entry) => [entry.uriPathPrefix, entry])),
  };
}
