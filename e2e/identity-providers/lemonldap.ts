// LemonLDAP::NG of Debian as an identity provider: another foreign implementation (Perl, Lasso), which speaks OpenID
// Connect and SAML. One folder, one process group, no web server; nothing of the machine's own configuration is used.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../app/bin/ports.ts';
import { startForeignServer } from './foreign-server.ts';

const PACKAGED_CONFIGURATION = '/var/lib/lemonldap-ng/conf/lmConf-1.json';
const STARMAN = '/usr/bin/starman';
const TEMPLATES = '/usr/share/lemonldap-ng/portal/templates';
/** What it loads at its start although Debian only recommends it, and what runs it. */
const NEEDED = [
  PACKAGED_CONFIGURATION,
  TEMPLATES,
  STARMAN,
  '/usr/share/doc/libplack-perl/copyright',
  '/usr/share/doc/liblasso-perl/copyright',
  '/usr/share/doc/libgd-securityimage-perl/copyright',
  '/usr/share/doc/libimage-magick-perl/copyright',
  '/usr/share/doc/libxml-simple-perl/copyright',
  '/usr/share/doc/libio-string-perl/copyright',
  '/usr/share/doc/libsoap-lite-perl/copyright',
  '/usr/share/doc/libconvert-base32-perl/copyright',
  '/usr/share/doc/libcrypt-openssl-bignum-perl/copyright',
  '/usr/share/doc/libstring-random-perl/copyright',
];
/** Perl reads some two hundred modules; under load that takes a while. */
const START_MS_MAX = 60_000;

/** What is missing on this machine to run it; empty when nothing is. */
export const missingForLemonLdap = (): string[] => NEEDED.filter((file) => !existsSync(file));

export interface LemonLdapParties {
  /** Clients of OpenID Connect. */
  readonly clients: readonly { readonly id: string; readonly secret: string; readonly redirectUri: string }[];
  /** SAML services, and how long what is said to them is promised to hold; by itself the provider says 20 hours. */
  readonly services: readonly { readonly metadata: string; readonly validity_seconds: number }[];
}

export interface LemonLdap {
  readonly issuer: string;
  readonly metadataUrl: string;
  stop(): Promise<void>;
}

export interface ProviderKey {
  readonly privateKey: string;
  readonly publicKey: string;
  readonly certificate: string;
}

const numbered = <T, U>(values: readonly T[], make: (value: T) => U): Record<string, U> =>
  Object.fromEntries(values.map((value, index) => [`party${index}`, make(value)]));

/** The packaged configuration, with what differs for this place, these parties and this key. */
function configuration(
  { folder, origin }: { folder: string; origin: string },
  key: ProviderKey,
  { clients, services }: LemonLdapParties,
): unknown {
  const sessions = { Directory: join(folder, 'sessions'), LockDirectory: join(folder, 'locks') };
  return {
    ...(JSON.parse(readFileSync(PACKAGED_CONFIGURATION, 'utf8')) as object),
    portal: `${origin}/`,
    domain: '127.0.0.1',
    // Its login form otherwise wants a token that only its script sends.
    requireToken: 0,
    loginHistoryEnabled: 0,
    notification: 0,
    // What would send mail.
    registerDB: 'Null',
    portalDisplayResetPassword: 0,
    portalDisplayCertificateResetByMail: 0,
    globalStorageOptions: { ...sessions, generateModule: 'Lemonldap::NG::Common::Apache::Session::Generate::SHA256' },
    localSessionStorageOptions: { cache_root: join(folder, 'cache'), default_expires_in: 600, namespace: 'sessions' },
    persistentStorage: 'Apache::Session::File',
    persistentStorageOptions: sessions,
    // A new sign-in is not asked for so soon after the last one.
    portalForceAuthnInterval: 1,
    issuerDBOpenIDConnectActivation: 1,
    oidcServiceMetaDataIssuer: origin,
    oidcServicePrivateKeySig: key.privateKey,
    oidcServicePublicKeySig: key.publicKey,
    oidcServiceKeyIdSig: 'lemon-1',
    oidcServiceAllowAuthorizationCodeFlow: 1,
    oidcRPMetaDataOptions: numbered(clients, (client) => ({
      oidcRPMetaDataOptionsClientID: client.id,
      oidcRPMetaDataOptionsClientSecret: client.secret,
      oidcRPMetaDataOptionsRedirectUris: client.redirectUri,
      oidcRPMetaDataOptionsIDTokenSignAlg: 'RS256',
      oidcRPMetaDataOptionsBypassConsent: 1,
      oidcRPMetaDataOptionsRequirePKCE: 1,
      oidcRPMetaDataOptionsIDTokenExpiration: 3600,
      oidcRPMetaDataOptionsAccessTokenExpiration: 3600,
      oidcRPMetaDataOptionsIDTokenForceClaims: 1,
    })),
    oidcRPMetaDataExportedVars: numbered(clients, () => ({ email: 'mail', name: 'cn' })),
    issuerDBSAMLActivation: 1,
    samlServicePrivateKeySig: key.privateKey,
    samlServicePublicKeySig: key.certificate,
    samlSPMetaDataXML: numbered(services, ({ metadata }) => ({ samlSPMetaDataXML: metadata })),
    samlSPMetaDataExportedAttributes: numbered(services, () => ({
      mail: '1;mail;urn:oasis:names:tc:SAML:2.0:attrname-format:basic;',
      uid: '1;uid;urn:oasis:names:tc:SAML:2.0:attrname-format:basic;',
    })),
    samlSPMetaDataOptions: numbered(services, ({ validity_seconds }) => ({
      samlSPMetaDataOptionsNameIDFormat: 'persistent',
      samlSPMetaDataOptionsSignSSOMessage: 1,
      samlSPMetaDataOptionsNotOnOrAfterTimeout: validity_seconds,
      samlSPMetaDataOptionsSessionNotOnOrAfterTimeout: validity_seconds,
      samlSPMetaDataOptionsCheckSSOMessageSignature: 1,
    })),
  };
}

const APPLICATION = `use Plack::Builder;
use Lemonldap::NG::Portal::Main;
my $portal = Lemonldap::NG::Portal::Main->run({});
builder { $portal };
`;

/** Starts the provider with the people of its demonstration (dwho / dwho, timelord). Throws with what it printed. */
export async function startLemonLdap(
  key: ProviderKey,
  parties: (origin: string) => LemonLdapParties,
): Promise<LemonLdap> {
  const folder = mkdtempSync(join(tmpdir(), 'auditrax-lemonldap-'));
  for (const name of ['conf', 'sessions', 'locks', 'cache']) mkdirSync(join(folder, name));
  const port = await freePort('127.0.0.1');
  const origin = `http://127.0.0.1:${port}`;
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  write('conf/lmConf-1.json', JSON.stringify(configuration({ folder, origin }, key, parties(origin))));
  write(
    'lemonldap-ng.ini',
    `[all]\nlogLevel = notice\n[configuration]\ntype = File\ndirName = ${folder}/conf\nlocalStorage = Cache::FileCache\nlocalStorageOptions = { 'namespace' => 'config', 'default_expires_in' => 600, 'cache_root' => '${folder}/cache' }\n[portal]\nstaticPrefix = /static\ntemplateDir = ${TEMPLATES}\nlanguages = en\n`,
  );
  write('app.psgi', APPLICATION);
  const stop = await startForeignServer({
    name: 'LemonLDAP::NG',
    command: STARMAN,
    args: [
      '--workers',
      '1',
      '--disable-keepalive',
      '--listen',
      `127.0.0.1:${port}`,
      '--preload-app',
      join(folder, 'app.psgi'),
    ],
    env: { LLNG_DEFAULTCONFFILE: join(folder, 'lemonldap-ng.ini') },
    folder,
    readyUrl: `${origin}/.well-known/openid-configuration`,
    start_ms_max: START_MS_MAX,
  });
  return { issuer: origin, metadataUrl: `${origin}/saml/metadata`, stop };
}
