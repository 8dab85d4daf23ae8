import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '@auditrax/base';
import { isDialable } from '../platform/audit/index.ts';
import { PEER_IDENTITIES, peerSetting, type PeerSetting } from './peer-setting.ts';
import { parsePlace } from '../platform/outward/address-guard.ts';

/** Every variable that the house reads, in one place; docs/reference/configuration.md is generated from it. */
export const SETTINGS = {
  AUDITRAX_STATE:
    'Folder that holds everything the house keeps. Default: /var/lib/auditrax as root, else ~/.local/state/auditrax.',
  AUDITRAX_PORT: 'Port of the TLS edge. Default: 8443.',
  AUDITRAX_BIND: 'Address the TLS edge listens on. Default: 127.0.0.1.',
  AUDITRAX_HOST: 'Host name people use for the edge, and the passkey relying party. Default: localhost.',
  AUDITRAX_TLS_CERT:
    'Certificate chain (PEM) of the edge, readable by the gateway’s user. Default: one of our own for localhost.',
  AUDITRAX_TLS_KEY: 'Its private key (PEM). Set both or neither.',
  AUDITRAX_PUBLIC_PORT: 'Port people see, where a load balancer stands in front (see deploy/). Default: AUDITRAX_PORT.',
  AUDITRAX_BALANCERS:
    'Addresses of our own load balancers, comma separated; only they are believed about whose request it is. Default: none.',
  AUDITRAX_TRYOUT_PORT: 'Port of the try-out listener (plain HTTP, loopback only). Default: 8080; "off" closes it.',
  AUDITRAX_LOG: 'info writes a line for every request; warn (the default) only what is out of the ordinary.',
  AUDITRAX_PAGE_WEBHOOK: 'https:// address that gets every page of the pager, signed as Standard Webhooks.',
  AUDITRAX_STREAM_NETWORKS:
    'Networks such as 10.20.0.0/16, with commas, that audit logs may be streamed to although they are not public. Default: none.',
  AUDITRAX_IDENTITY_NETWORKS:
    'Networks such as 10.20.0.0/16 and places such as adfs.example:443, with commas, where identity providers of tenants may be although they are not public. Default: none.',
  AUDITRAX_IDENTITY_CA:
    'Certificates (PEM) of authorities that identity providers may have theirs from, beside the public ones.',
  AUDITRAX_ROOT_KEY:
    'Where the root key of the key ring comes from: credential (the systemd credential auditrax-root-key), passphrase-file, or file (beside the ring; for development). Default: the first of them that is there.',
  AUDITRAX_PASSPHRASE_FILE: 'File with the passphrase that the root key is kept under, readable by its owner alone.',
  CREDENTIALS_DIRECTORY: 'Set by systemd: the folder of the credentials that it handed to the service.',
  AUDITRAX_PKCS11_MODULE:
    'PKCS#11 module of the HSM, such as /usr/lib/softhsm/libsofthsm2.so. Needs _TOKEN and _PIN_FILE.',
  AUDITRAX_PKCS11_TOKEN: 'Label of the token in the HSM that holds the keys of tenants.',
  AUDITRAX_PKCS11_PIN_FILE: 'File with the PIN of the token’s user, readable by its owner alone.',
  AUDITRAX_PKCS11_ENVIRONMENT: 'Names of variables that the module itself reads, with commas, such as SOFTHSM2_CONF.',
  AUDITRAX_AWS_IDENTITY:
    'Who this installation is at AWS, for KMS keys of tenants that give no access key: none (the default), or default-chain, where AWS’s own order of places is looked through (its AWS_ variables, the web identity, the instance).',
  AUDITRAX_BACKUP_RETENTION_DAYS:
    'How long backups are kept, in days, and with them each data key that only a backup may still need. Default: 30; 7 to 3650.',
  AUDITRAX_KEK_PROVIDER:
    'Where the installation’s own key-encryption keys are: local (the key ring; the default), or pkcs11, the HSM of AUDITRAX_PKCS11_MODULE. After a change the hourly round wraps every data key anew; keep the former store until doctor says that none is left there.',
  AUDITRAX_PEER_IDENTITY:
    'By what the processes know each other: own (our own authority; the default); spiffe (SVIDs of SPIRE, from files); istio or linkerd (as well by the header of a proxy, on a Unix socket that it alone reaches; tried with stand-ins of the proxy only). See docs/runbooks/service-mesh.md.',
  AUDITRAX_PEER_NAMES:
    'How the mesh names the processes, with {service} in it: spiffe://example.org/ns/audit/sa/{service}, or {service}.audit.serviceaccount.identity.linkerd.cluster.local. With every AUDITRAX_PEER_IDENTITY but own.',
  AUDITRAX_PEER_FOLDER:
    'Folder with one folder a process, closed to others: with spiffe it holds svid.pem, svid_key.pem and svid_bundle.pem; with istio and linkerd the process makes its socket peer.sock there.',
  DATABASE_URL:
    'PostgreSQL 15 or newer instead of the embedded one. Over TCP only with sslmode=verify-full and TLS 1.3.',
  DATABASE_MIGRATE_URL:
    'The same database as a superuser, who makes a role with a password of its own for each process; used for set-up only.',
  AUDITRAX_REGIONS_FILE:
    'File (JSON, its owner’s alone) that names the regions and their servers: {"eu": {"url": …, "migrateUrl": …}, …}, as superusers like DATABASE_MIGRATE_URL; the server of DATABASE_URL is one of them. Default: one region.',
  AUDITRAX_WITNESS_POLICY:
    'File (C2SP tlog-policy) with the witnesses of the audit log, each with its https address, and the quorum. Default: no witness.',
  AUDITRAX_TIMESTAMP_URL:
    'https:// address of a timestamping authority (RFC 3161) that stamps the audit log once a day. Needs _CA.',
  AUDITRAX_TIMESTAMP_CA: 'Certificates (PEM) that the authority’s tokens are verified by.',
  NODE_ENV: 'production refuses the embedded database, the try-out listener and the sample.',
} as const;

/** Where the root key comes from, and the file to read. */
export type RootKeySetting =
  | { readonly kind: 'credential'; readonly file: string }
  | { readonly kind: 'passphrase'; readonly file: string }
  | { readonly kind: 'file' };

export interface HsmSetting {
  readonly modulePath: string;
  readonly tokenLabel: string;
  readonly pinFile: string;
  /** What the module itself reads. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Who the installation is at AWS, as the keys process is told. */
export type AwsIdentity =
  | { readonly kind: 'none' }
  | { readonly kind: 'default-chain'; readonly environment: Readonly<Record<string, string>> };

/** What AWS documents for its chain; nothing else of the environment reaches the keys process. */
const AWS_VARIABLES = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'AWS_REGION',
  'AWS_ROLE_ARN',
  'AWS_ROLE_SESSION_NAME',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
] as const;

/** A shorter time would destroy keys that last week's backup needs; a longer one than ten years is a mistyped number. */
const BACKUP_RETENTION_DAYS = { least: 7, usual: 30, most: 3_650 } as const;

export interface Settings {
  readonly state: string;
  readonly port: number;
  /** As browsers see it. */
  readonly publicPort: number | undefined;
  readonly balancers: readonly string[];
  readonly bind: string;
  readonly host: string;
  /** Undefined: no try-out listener. */
  readonly tryoutPort: number | undefined;
  /** Undefined: the gateway makes its own for localhost. */
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly log: 'info' | 'warn';
  readonly pageWebhook: string | undefined;
  /** Networks that are not public and may be streamed to. */
  readonly streamNetworks: readonly string[];
  /** Networks, and single places as `host:port`, where an identity provider may be although they are not public. */
  readonly identityNetworks: readonly string[];
  /** Undefined: the public authorities alone. */
  readonly identityCaFile: string | undefined;
  readonly rootKey: RootKeySetting;
  /** `none`: nobody. Otherwise the variables that AWS's own chain reads, for the keys process alone. */
  readonly awsIdentity: AwsIdentity;
  readonly backupRetention_days: number;
  /** Where keys of tenants without a source of their own are. */
  readonly kekProvider: 'local' | 'pkcs11';
  /** Undefined: no HSM. */
  readonly hsm: HsmSetting | undefined;
  readonly peerIdentity: PeerSetting;
  readonly databaseUrl: string | undefined;
  readonly databaseMigrateUrl: string | undefined;
  /** Undefined: one region, or the two of the embedded database. */
  readonly regionsFile: string | undefined;
  /** Undefined: no outside witness. */
  readonly witnessPolicyFile: string | undefined;
  /** Undefined: no timestamps. */
  readonly timestamps: { readonly url: string; readonly certificatesFile: string } | undefined;
  readonly production: boolean;
  readonly hasDisplay: boolean;
}

function isNetwork(text: string): boolean {
  const [network = '', length = '', more] = text.split('/');
  const family = isIP(network);
  return family !== 0 && more === undefined && /^\d{1,3}$/.test(length) && Number(length) <= (family === 6 ? 128 : 32);
}

const PORT = z.coerce.number().int().min(0).max(65_535);

const PATH = z.string().startsWith('/', 'must be an absolute path');

const ENVIRONMENT = z.object({
  AUDITRAX_STATE: PATH.optional(),
  AUDITRAX_PORT: PORT.default(8443),
  AUDITRAX_BIND: z.string().default('127.0.0.1'),
  AUDITRAX_HOST: z
    .string()
    .regex(/^[a-z0-9.-]+$/, 'must be a host name')
    .default('localhost'),
  AUDITRAX_TRYOUT_PORT: z.union([z.literal('off'), PORT]).optional(),
  AUDITRAX_PUBLIC_PORT: PORT.min(1).optional(),
  AUDITRAX_BALANCERS: z
    .string()
    .transform((text) => text.split(',').map((one) => one.trim()))
    .refine((all) => all.every((one) => isIP(one) !== 0), 'must be IP addresses, separated by commas')
    .optional(),
  AUDITRAX_TLS_CERT: PATH.optional(),
  AUDITRAX_TLS_KEY: PATH.optional(),
  AUDITRAX_WITNESS_POLICY: PATH.optional(),
  AUDITRAX_TIMESTAMP_URL: z.string().refine(isDialable, 'must be an https address').optional(),
  AUDITRAX_TIMESTAMP_CA: PATH.optional(),
  AUDITRAX_LOG: z.enum(['info', 'warn']).default('warn'),
  AUDITRAX_PAGE_WEBHOOK: z.url({ protocol: /^https$/ }).optional(),
  AUDITRAX_STREAM_NETWORKS: z
    .string()
    .transform((text) => text.split(',').map((one) => one.trim()))
    .refine((all) => all.every(isNetwork), 'must be networks such as 10.20.0.0/16, separated by commas')
    .optional(),
  AUDITRAX_IDENTITY_NETWORKS: z
    .string()
    .transform((text) => text.split(',').map((one) => one.trim()))
    .refine(
      (all) => all.every((one) => isNetwork(one) || parsePlace(one) !== undefined),
      'must be networks such as 10.20.0.0/16 or places such as adfs.example:443, separated by commas',
    )
    .optional(),
  AUDITRAX_IDENTITY_CA: PATH.optional(),
  AUDITRAX_ROOT_KEY: z.enum(['credential', 'passphrase-file', 'file']).optional(),
  AUDITRAX_PASSPHRASE_FILE: PATH.optional(),
  CREDENTIALS_DIRECTORY: PATH.optional(),
  AUDITRAX_PKCS11_MODULE: PATH.optional(),
  AUDITRAX_PKCS11_TOKEN: z.string().min(1).max(32).optional(),
  AUDITRAX_PKCS11_PIN_FILE: PATH.optional(),
  AUDITRAX_PKCS11_ENVIRONMENT: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*(,[A-Za-z_][A-Za-z0-9_]*)*$/, 'must be names of variables with commas')
    .optional(),
  AUDITRAX_AWS_IDENTITY: z.enum(['none', 'default-chain']).default('none'),
  AUDITRAX_BACKUP_RETENTION_DAYS: z.coerce
    .number()
    .int()
    .min(BACKUP_RETENTION_DAYS.least)
    .max(BACKUP_RETENTION_DAYS.most)
    .default(BACKUP_RETENTION_DAYS.usual),
  AUDITRAX_KEK_PROVIDER: z.enum(['local', 'pkcs11']).default('local'),
  AUDITRAX_PEER_IDENTITY: z.enum(PEER_IDENTITIES).default('own'),
  AUDITRAX_PEER_NAMES: z.string().max(250).optional(),
  AUDITRAX_PEER_FOLDER: PATH.optional(),
  DATABASE_URL: z.string().optional(),
  DATABASE_MIGRATE_URL: z.string().optional(),
  AUDITRAX_REGIONS_FILE: PATH.optional(),
  NODE_ENV: z.string().optional(),
  DISPLAY: z.string().optional(),
  WAYLAND_DISPLAY: z.string().optional(),
});

type Environment = z.infer<typeof ENVIRONMENT>;

/** Name of the systemd credential: `LoadCredentialEncrypted=auditrax-root-key:…`. */
const ROOT_CREDENTIAL = 'auditrax-root-key';

function rootKeySetting(value: Environment): RootKeySetting {
  const { AUDITRAX_ROOT_KEY: asked, AUDITRAX_PASSPHRASE_FILE: passphrase, CREDENTIALS_DIRECTORY: folder } = value;
  const credential = folder === undefined ? undefined : join(folder, ROOT_CREDENTIAL);
  if (asked === 'credential' && credential === undefined) {
    throw new AppError(
      'bad_setting',
      `AUDITRAX_ROOT_KEY: there is no credential: the unit needs LoadCredentialEncrypted=${ROOT_CREDENTIAL}`,
    );
  }
  if (asked === 'passphrase-file' && passphrase === undefined)
    throw new AppError('bad_setting', 'AUDITRAX_ROOT_KEY=passphrase-file needs AUDITRAX_PASSPHRASE_FILE');
  if (credential !== undefined && (asked === 'credential' || (asked === undefined && existsSync(credential))))
    return { kind: 'credential', file: credential };
  if (passphrase !== undefined && asked !== 'file') return { kind: 'passphrase', file: passphrase };
  return { kind: 'file' };
}

function hsmSetting(
  value: Environment,
  environment: Readonly<Record<string, string | undefined>>,
): HsmSetting | undefined {
  const { AUDITRAX_PKCS11_MODULE: modulePath, AUDITRAX_PKCS11_TOKEN: tokenLabel } = value;
  const pinFile = value.AUDITRAX_PKCS11_PIN_FILE;
  if (modulePath === undefined && tokenLabel === undefined && pinFile === undefined) return undefined;
  if (modulePath === undefined || tokenLabel === undefined || pinFile === undefined) {
    throw new AppError(
      'bad_setting',
      'AUDITRAX_PKCS11_MODULE, AUDITRAX_PKCS11_TOKEN and AUDITRAX_PKCS11_PIN_FILE belong together: set all or none',
    );
  }
  const names = value.AUDITRAX_PKCS11_ENVIRONMENT?.split(',') ?? [];
  const given = names.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]] as const]));
  return { modulePath, tokenLabel, pinFile, environment: Object.fromEntries(given) };
}

function awsIdentity(value: Environment, environment: Readonly<Record<string, string | undefined>>): AwsIdentity {
  if (value.AUDITRAX_AWS_IDENTITY === 'none') return { kind: 'none' };
  const given = AWS_VARIABLES.flatMap((name) =>
    environment[name] === undefined ? [] : [[name, environment[name]] as const],
  );
  return { kind: 'default-chain', environment: Object.fromEntries(given) };
}

function timestampSetting(value: Environment): Settings['timestamps'] {
  const { AUDITRAX_TIMESTAMP_URL: url, AUDITRAX_TIMESTAMP_CA: certificatesFile } = value;
  if (url === undefined && certificatesFile === undefined) return undefined;
  if (url !== undefined && certificatesFile !== undefined) return { url, certificatesFile };
  throw new AppError(
    'bad_setting',
    'AUDITRAX_TIMESTAMP_URL and AUDITRAX_TIMESTAMP_CA belong together: set both or neither',
  );
}

/** Who may be dialled beyond the house, beside the public. */
function outwardSettings(value: Environment): Pick<Settings, 'streamNetworks' | 'identityNetworks' | 'identityCaFile'> {
  return {
    streamNetworks: value.AUDITRAX_STREAM_NETWORKS ?? [],
    identityNetworks: value.AUDITRAX_IDENTITY_NETWORKS ?? [],
    identityCaFile: value.AUDITRAX_IDENTITY_CA,
  };
}

function peerIdentity(value: Environment): PeerSetting {
  const { AUDITRAX_PEER_IDENTITY: kind, AUDITRAX_PEER_NAMES: names, AUDITRAX_PEER_FOLDER: folder } = value;
  return peerSetting({ kind, names, folder });
}

function checkEdgeCertificate(value: Environment): void {
  if ((value.AUDITRAX_TLS_CERT === undefined) !== (value.AUDITRAX_TLS_KEY === undefined)) {
    throw new AppError('bad_setting', 'AUDITRAX_TLS_CERT and AUDITRAX_TLS_KEY belong together: set both or neither');
  }
}

/** Parses the environment once. Throws `bad_setting` naming the variable. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const parsed = ENVIRONMENT.safeParse(environment);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new AppError('bad_setting', `${issue.path.join('.')}: ${issue.message}`, { field: issue.path.join('.') });
  }
  const value = parsed.data;
  const production = value.NODE_ENV === 'production';
  const external = value.DATABASE_URL !== undefined;
  if (external !== (value.DATABASE_MIGRATE_URL !== undefined)) {
    throw new AppError('bad_setting', 'DATABASE_URL and DATABASE_MIGRATE_URL belong together: set both or neither');
  }
  if (value.AUDITRAX_REGIONS_FILE !== undefined && !external) {
    throw new AppError(
      'bad_setting',
      'AUDITRAX_REGIONS_FILE needs DATABASE_URL: the embedded database has its own regions',
    );
  }
  if (production && !external) {
    throw new AppError(
      'bad_setting',
      'NODE_ENV=production needs DATABASE_URL and DATABASE_MIGRATE_URL: the embedded database is for trying out',
    );
  }
  checkEdgeCertificate(value);
  const asked = value.AUDITRAX_TRYOUT_PORT;
  if (asked !== undefined && asked !== 'off' && (production || external)) {
    throw new AppError(
      'bad_setting',
      'AUDITRAX_TRYOUT_PORT: the try-out listener is refused in production and with DATABASE_URL',
    );
  }
  const hsm = hsmSetting(value, environment);
  if (value.AUDITRAX_KEK_PROVIDER === 'pkcs11' && hsm === undefined) {
    throw new AppError(
      'bad_setting',
      'AUDITRAX_KEK_PROVIDER=pkcs11 needs AUDITRAX_PKCS11_MODULE, AUDITRAX_PKCS11_TOKEN and AUDITRAX_PKCS11_PIN_FILE',
    );
  }
  return {
    state:
      value.AUDITRAX_STATE ??
      (process.getuid!() === 0 ? '/var/lib/auditrax' : join(homedir(), '.local/state/auditrax')),
    port: value.AUDITRAX_PORT,
    publicPort: value.AUDITRAX_PUBLIC_PORT,
    balancers: value.AUDITRAX_BALANCERS ?? [],
    bind: value.AUDITRAX_BIND,
    host: value.AUDITRAX_HOST,
    tryoutPort: asked === 'off' || production || external ? undefined : (asked ?? 8080),
    certificateFile: value.AUDITRAX_TLS_CERT,
    keyFile: value.AUDITRAX_TLS_KEY,
    log: value.AUDITRAX_LOG,
    pageWebhook: value.AUDITRAX_PAGE_WEBHOOK,
    ...outwardSettings(value),
    rootKey: rootKeySetting(value),
    awsIdentity: awsIdentity(value, environment),
    backupRetention_days: value.AUDITRAX_BACKUP_RETENTION_DAYS,
    kekProvider: value.AUDITRAX_KEK_PROVIDER,
    hsm,
    peerIdentity: peerIdentity(value),
    databaseUrl: value.DATABASE_URL,
    databaseMigrateUrl: value.DATABASE_MIGRATE_URL,
    regionsFile: value.AUDITRAX_REGIONS_FILE,
    witnessPolicyFile: value.AUDITRAX_WITNESS_POLICY,
    timestamps: timestampSetting(value),
    production,
    hasDisplay: value.DISPLAY !== undefined || value.WAYLAND_DISPLAY !== undefined,
  };
}
