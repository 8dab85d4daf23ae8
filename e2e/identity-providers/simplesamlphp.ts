// SimpleSAMLphp of Debian as an identity provider: a real, foreign implementation (PHP, xmlseclibs). One folder, one
// process group, no web server; nothing of the machine's own configuration is used.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../app/bin/ports.ts';
import { startForeignServer } from './foreign-server.ts';

const WWW = '/usr/share/simplesamlphp/www';
const NEEDED = [
  `${WWW}/index.php`,
  '/usr/bin/php',
  '/usr/share/doc/php-xml/copyright',
  '/usr/share/doc/php-sqlite3/copyright',
];
const START_MS_MAX = 20_000;

/** What is missing on this machine to run it; empty when nothing is. */
export const missingForSimpleSaml = (): string[] => NEEDED.filter((file) => !existsSync(file));

/** A service that the provider knows: what of the answer is signed, and whether the assertion is encrypted. */
export interface KnownService {
  readonly entityId: string;
  readonly acsUrl: string;
  /** That the service signs with, and that assertions are encrypted to where there is no other one. */
  readonly certificate: string;
  readonly encryptionCertificate?: string;
  readonly signResponse: boolean;
  readonly signAssertion: boolean;
  readonly encrypt: boolean;
}

export interface SimpleSaml {
  /** Where PHP itself listens, in plain HTTP. */
  readonly port: number;
  readonly entityId: string;
  readonly ssoUrl: string;
  readonly metadataUrl: string;
  /** From now on it signs with another key, and says so in its metadata. */
  rekey(key: { readonly privateKey: string; readonly certificate: string }): void;
  stop(): Promise<void>;
}

/** A value as PHP source. Only what the tests themselves bring goes through here. */
function php(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const pairs = Array.isArray(value)
    ? value.map(php)
    : Object.entries(value as object).map(([key, each]) => `${php(key)}=>${php(each)}`);
  return `[${pairs.join(',')}]`;
}

/** Maps /simplesaml/x.php/info to the package's files, as its Apache configuration would; what its pages load as well. */
const ROUTER = `<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if ($path === '/favicon.ico') { http_response_code(204); return true; }
if (preg_match('#^/simplesaml(/resources/[a-z0-9/._-]+\\.(css|js|png|ico))$#i', $path, $match)) {
  $file = realpath('${WWW}' . $match[1]);
  if ($file === false || strpos($file, '/usr/share/') !== 0) { http_response_code(404); return true; }
  $types = ['css' => 'text/css', 'js' => 'text/javascript', 'png' => 'image/png', 'ico' => 'image/x-icon'];
  header('content-type: ' . $types[strtolower($match[2])]);
  readfile($file);
  return true;
}
if (!preg_match('#^/simplesaml((?:/[a-z0-9_-]+)*/[a-z0-9_-]+\\.php)(/.*)?$#i', $path, $match)) { http_response_code(404); return true; }
$file = realpath('${WWW}' . $match[1]);
if ($file === false) { http_response_code(404); return true; }
$_SERVER['SCRIPT_NAME'] = '/simplesaml' . $match[1];
$_SERVER['PATH_INFO'] = $match[2] ?? '';
$_SERVER['PHP_SELF'] = $_SERVER['SCRIPT_NAME'] . $_SERVER['PATH_INFO'];
$_SERVER['SCRIPT_FILENAME'] = $file;
chdir(dirname($file));
require $file;
`;

interface World {
  readonly folder: string;
  readonly origin: string;
  readonly entityId: string;
}

function writeKey(folder: string, key: { readonly privateKey: string; readonly certificate: string }): void {
  writeFileSync(join(folder, 'cert/idp.pem'), key.privateKey, { mode: 0o600 });
  writeFileSync(join(folder, 'cert/idp.crt'), key.certificate, { mode: 0o600 });
}

function writeConfiguration(
  { folder, origin, entityId }: World,
  key: { privateKey: string; certificate: string },
  services: readonly KnownService[],
): void {
  for (const name of ['config', 'metadata', 'cert', 'log', 'data', 'tmp']) mkdirSync(join(folder, name));
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  const config = {
    baseurlpath: `${origin}/simplesaml/`,
    certdir: `${folder}/cert/`,
    metadatadir: `${folder}/metadata/`,
    loggingdir: `${folder}/log/`,
    datadir: `${folder}/data/`,
    tempdir: `${folder}/tmp/`,
    secretsalt: randomBytes(24).toString('hex'),
    'auth.adminpassword': randomBytes(24).toString('hex'),
    technicalcontact_email: 'nobody@provider.test',
    timezone: 'UTC',
    'enable.saml20-idp': true,
    'module.enable': { exampleauth: true, core: true, saml: true },
    'session.cookie.secure': false,
    'session.cookie.samesite': null,
    'store.type': 'sql',
    'store.sql.dsn': `sqlite:${folder}/data/store.sq3`,
    'logging.handler': 'file',
    'logging.level': 7,
    'trusted.url.domains': [],
    'metadata.sources': [{ type: 'flatfile' }],
    'language.default': 'en',
    'theme.use': 'default',
  };
  write('config/config.php', `<?php $config = ${php(config)};`);
  write(
    'config/authsources.php',
    `<?php $config = ['users'=>['exampleauth:UserPass','alice:alicepass'=>['uid'=>['alice-0451'],'mail'=>['alice@acme.test'],'groups'=>['g-1','g-2']]]];`,
  );
  writeKey(folder, key);
  const persistent = 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent';
  const hosted = {
    host: '__DEFAULT__',
    privatekey: 'idp.pem',
    certificate: 'idp.crt',
    auth: 'users',
    'signature.algorithm': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    NameIDFormat: persistent,
    authproc: { 3: { class: 'saml:AttributeNameID', attribute: 'uid', Format: persistent } },
  };
  write('metadata/saml20-idp-hosted.php', `<?php $metadata[${php(entityId)}] = ${php(hosted)};`);
  const remote = services.map((service, index) => {
    write(`cert/service-${index}.crt`, service.certificate);
    const key = (use: { signing: boolean; encryption: boolean }, pem: string) => ({
      ...use,
      type: 'X509Certificate',
      X509Certificate: pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''),
    });
    const { certificate, encryptionCertificate } = service;
    const certificates =
      encryptionCertificate === undefined
        ? { certificate: `service-${index}.crt` }
        : {
            keys: [
              key({ signing: true, encryption: false }, certificate),
              key({ signing: false, encryption: true }, encryptionCertificate),
            ],
          };
    const entry = {
      AssertionConsumerService: service.acsUrl,
      ...certificates,
      'validate.authnrequest': true,
      'saml20.sign.response': service.signResponse,
      'saml20.sign.assertion': service.signAssertion,
      'assertion.encryption': service.encrypt,
    };
    return `$metadata[${php(service.entityId)}] = ${php(entry)};`;
  });
  write('metadata/saml20-sp-remote.php', `<?php ${remote.join('\n')}`);
  write('router.php', ROUTER);
}

/** Starts the provider with one person, alice / alicepass. Throws with what it printed when it does not answer. */
export async function startSimpleSaml(
  key: { privateKey: string; certificate: string },
  services: (origin: string) => readonly KnownService[],
  /** Where browsers find it, when something stands in front. */
  front?: string,
): Promise<SimpleSaml> {
  const folder = mkdtempSync(join(tmpdir(), 'auditrax-simplesaml-'));
  const port = await freePort('127.0.0.1');
  const own = `http://127.0.0.1:${port}`;
  const origin = front ?? own;
  const entityId = `${origin}/provider`;
  writeConfiguration({ folder, origin, entityId }, key, services(origin));
  const metadataUrl = `${own}/simplesaml/saml2/idp/metadata.php`;
  const stop = await startForeignServer({
    name: 'SimpleSAMLphp',
    command: 'php',
    // No opcache: it answers from stale metadata.
    args: [
      '-d',
      'opcache.enable=0',
      '-d',
      'display_errors=stderr',
      '-S',
      `127.0.0.1:${port}`,
      join(folder, 'router.php'),
    ],
    env: { SIMPLESAMLPHP_CONFIG_DIR: join(folder, 'config') },
    folder,
    readyUrl: metadataUrl,
    start_ms_max: START_MS_MAX,
  });
  const ssoUrl = `${origin}/simplesaml/saml2/idp/SSOService.php`;
  return { port, entityId, ssoUrl, metadataUrl, rekey: (next) => writeKey(folder, next), stop };
}
