import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, Random } from '@auditrax/base';
import type { XksKeySource } from '@auditrax/seal/key-source';
import { openToken, type Pkcs11Token } from '@auditrax/seal/pkcs11';
import { newCredential, startProxy, type HsmToken, type LogEntry, type ProxyConfig } from '@auditrax/xks-proxy';
import type { ThrowAwayAuthority } from './certificates.ts';
import type { RehearsedHsm } from './stand-in.ts';

const PREFIX = '/rehearsal';
const KEY_ID = 'rehearsal-key';
const HEALTH_LABEL = 'rehearsal-health';
const CLIENT_NAME = 'rehearsal client';
/** Enough of the log for a probe to look for its own request in. */
const LOG_LINES_MAX = 1000;
/** Beyond what any probe asks at once. */
const CONCURRENT_REQUESTS_MAX = 64;

/**
 * A customer's external key store: the real `auditrax-xks-proxy`, mutual TLS and all, in front of a stand-in HSM. What
 * the customer can do with it, a probe can do here.
 */
export interface RehearsedStore {
  /** What a tenant's administrator would type in. */
  readonly source: XksKeySource;
  /** Withdraws the key, or gives it back. */
  setKeyEnabled(isEnabled: boolean): void;
  /** Each call to the HSM takes so much longer; 0 ends it. */
  slowDown(milliseconds: number): void;
  /** Closes the listener and every connection, until `comeBack` opens the same port. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /** What the proxy has logged, the customer's view of who asked; the last 1000 lines. */
  log(): readonly LogEntry[];
  close(): Promise<void>;
}

export interface StoreParts {
  readonly hsm: RehearsedHsm;
  readonly authority: ThrowAwayAuthority;
  readonly clock: Clock;
  readonly random: Random;
}

/** Puts a wait that can be changed in front of every call of a token. */
function delayed(token: Pkcs11Token, delayMs: () => number): HsmToken {
  const slowly =
    <Given extends unknown[], Result>(work: (...given: Given) => Promise<Result>) =>
    async (...given: Given): Promise<Result> => {
      if (delayMs() > 0) await sleep(delayMs());
      return work(...given);
    };
  return {
    facts: slowly(token.facts),
    findKey: slowly(token.findKey),
    createAesKey: slowly(token.createAesKey),
    describeKey: slowly(token.describeKey),
    encryptGcm: slowly(token.encryptGcm),
    decryptGcm: slowly(token.decryptGcm),
    destroyKey: slowly(token.destroyKey),
    health: slowly(token.health),
  };
}

interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

async function configOf(parts: StoreParts, credential: Credential): Promise<ProxyConfig> {
  const { hsm, authority } = parts;
  const { certificatePem, keyPem } = await authority.server();
  const key = {
    id: KEY_ID,
    labels: [KEY_ID],
    operations: ['ENCRYPT', 'DECRYPT'] as const,
    enabled: true,
    callers: {},
  };
  return {
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificatePem, keyPem, clients: { caPem: authority.authorityPem, commonNames: [CLIENT_NAME] } },
    hsm: {
      modulePath: hsm.options.modulePath,
      tokenLabel: hsm.options.tokenLabel,
      pinFile: '',
      sessions: 1,
      environment: {},
      deadlineMilliseconds: 200,
      healthKeyLabel: HEALTH_LABEL,
    },
    pin: hsm.options.pin,
    concurrentRequestsMax: CONCURRENT_REQUESTS_MAX,
    connectionsMax: CONCURRENT_REQUESTS_MAX,
    fleetSize: 1,
    stores: new Map([
      [
        PREFIX,
        {
          uriPathPrefix: PREFIX,
          credentials: new Map([[credential.accessKeyId, credential.secretAccessKey]]),
          requestsPerSecondMax: 1800,
          keys: new Map([[KEY_ID, key]]),
        },
      ],
    ]),
  };
}

function withKeyEnabled(config: ProxyConfig, enabled: boolean): ProxyConfig {
  const store = config.stores.get(PREFIX)!;
  const keys = new Map([...store.keys].map(([id, key]) => [id, { ...key, enabled }]));
  return { ...config, stores: new Map([[PREFIX, { ...store, keys }]]) };
}

/** Starts the proxy on a free loopback port, over a token on which its two keys are made. */
export async function startRehearsedStore(parts: StoreParts): Promise<RehearsedStore> {
  const token = await openToken({ ...parts.hsm.options, sessions: 1 });
  try {
    for (const label of [KEY_ID, HEALTH_LABEL]) await token.createAesKey({ label, use: 'gcm' });
    return await startOver(parts, token);
  } catch (error) {
    token.close();
    throw error;
  }
}

async function startOver(parts: StoreParts, token: Pkcs11Token): Promise<RehearsedStore> {
  const { clock, random, authority } = parts;
  const { AccessKeyId: accessKeyId, RawSecretAccessKey: secretAccessKey } = newCredential(
    PREFIX,
    random,
  ).XksProxyAuthenticationCredential;
  let config = await configOf(parts, { accessKeyId, secretAccessKey });
  let delay_ms = 0;
  const lines: LogEntry[] = [];
  const log = (entry: LogEntry) => {
    lines.push(entry);
    if (lines.length > LOG_LINES_MAX) lines.shift();
  };
  const slow = delayed(token, () => delay_ms);
  const start = () => startProxy({ config, token: slow, clock, random, log });
  let proxy: Awaited<ReturnType<typeof start>> | undefined = await start();
  const { port } = proxy;
  config = { ...config, listen: { ...config.listen, port } };
  const { certificatePem, keyPem } = await authority.client(CLIENT_NAME);
  const goAway = async () => {
    const leaving = proxy;
    proxy = undefined;
    await leaving?.abort();
  };
  return {
    source: {
      kind: 'xks',
      endpoint: `https://127.0.0.1:${port}`,
      uriPathPrefix: PREFIX,
      keyId: KEY_ID,
      accessKeyId,
      secretAccessKey,
      caCertificate: authority.authorityPem,
      clientCertificate: certificatePem,
      clientKey: keyPem,
    },
    setKeyEnabled: (isEnabled) => {
      config = withKeyEnabled(config, isEnabled);
      proxy?.reload(config);
    },
    slowDown: (milliseconds) => {
      delay_ms = milliseconds;
    },
    goAway,
    comeBack: async () => {
      proxy ??= await start();
    },
    log: () => lines,
    close: async () => {
      await goAway();
      token.close();
    },
  };
}
