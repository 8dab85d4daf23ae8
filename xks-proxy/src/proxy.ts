import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { Clock, Random } from '@auditrax/base';
import { headerPairs, verifySigV4 } from '@auditrax/sigv4';
import { strictTls } from '@auditrax/workload/strict-tls';
import { RateLimit } from './admission.ts';
import type { ProxyConfig, Store } from './config.ts';
import { toXksError, XksError } from './errors.ts';
import { HealthCheck } from './health.ts';
import { Hsm, type HsmToken } from './hsm.ts';
import { decryptRequest, encryptRequest, healthRequest, metadataRequest, parse, parseJson } from './messages.ts';
import type { RequestMetadata } from './messages.ts';
import { decrypt, encrypt, keyMetadata, requireCaller } from './operations.ts';
import { targetOf, type Target } from './route.ts';

/** Both texts at their largest in base64, and every ARN of the metadata, fit in half of this. */
const BODY_BYTES_MAX = 65_536;
/** Whoever sends more gets no answer. */
const DISCARD_BYTES_MAX = 1_048_576;
const HEADER_BYTES_MAX = 16_384;
/** Slow senders hold a connection no longer. */
const REQUEST_MS_MAX = 5_000;
/** Longer than KMS keeps an idle connection, so that it is KMS who closes and no request is lost in between. */
const KEEP_ALIVE_MS = 75_000;
/** After this a drain closes what is still open. */
const DRAIN_MS_MAX = 10_000;
/** A load balancer asks here; it needs no credential and is told nothing but whether to send requests. */
const LIVE_PATH = '/livez';

/** One line of the log. Never holds a text, a ciphertext, a secret or a signature. */
export type LogEntry = Readonly<Record<string, string | number | boolean | undefined>> & { readonly event: string };

export interface ProxyOptions {
  readonly config: ProxyConfig;
  readonly token: HsmToken;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (entry: LogEntry) => void;
}

export interface RunningProxy {
  readonly port: number;
  /**
   * Takes another configuration into use between two requests: credentials, keys, limits, certificates. `listen` and
   * the HSM's module, token and sessions need a restart. Throws for a certificate that cannot be used; nothing is then
   * changed.
   */
  reload(config: ProxyConfig): void;
  /** Stops accepting, lets requests under way finish (10 s at most), closes. */
  drain(): Promise<void>;
  /** Closes at once, connections and all; what is under way gets no answer. */
  abort(): Promise<void>;
}

/** Facts of a request, gathered on its way for the one line of log at its end. */
interface Trail {
  readonly peer: string | undefined;
  target?: Target;
  accessKeyId?: string;
  region?: string;
  metadata?: RequestMetadata;
}

function contextOf({ tls }: ProxyConfig): TlsOptions {
  return {
    ...strictTls(),
    cert: tls.certificatePem,
    key: tls.keyPem,
    ...(tls.clients && { ca: tls.clients.caPem }),
  };
}

class Proxy {
  readonly #options: ProxyOptions;
  readonly #hsm: Hsm;
  readonly #health: HealthCheck;
  readonly #limits = new Map<string, RateLimit>();
  readonly #server: Server;
  #config: ProxyConfig;
  #underWay = 0;
  #isDraining = false;

  constructor(options: ProxyOptions) {
    const { config } = options;
    this.#options = options;
    this.#config = config;
    this.#hsm = new Hsm({
      token: options.token,
      random: options.random,
      deadlineMs: config.hsm.deadlineMilliseconds,
      healthLabel: config.hsm.healthKeyLabel,
    });
    this.#health = new HealthCheck(this.#hsm, options.clock);
    this.#server = createServer(
      {
        ...contextOf(config),
        requestCert: config.tls.clients !== undefined,
        rejectUnauthorized: true,
        maxHeaderSize: HEADER_BYTES_MAX,
        headersTimeout: REQUEST_MS_MAX,
        requestTimeout: REQUEST_MS_MAX,
        keepAliveTimeout: KEEP_ALIVE_MS,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.maxConnections = config.connectionsMax;
    // Before the HTTP parser sees the connection; and again at each request, for names that a reload took out.
    this.#server.prependListener('secureConnection', (socket) => void this.#isNamedClient(socket));
    this.#server.on('tlsClientError', (error, socket) =>
      options.log({ event: 'tls-refused', peer: socket.remoteAddress, reason: error.message }),
    );
  }

  async listen(): Promise<number> {
    const { host, port } = this.#config.listen;
    this.#server.listen(port, host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  reload(config: ProxyConfig): void {
    this.#server.setSecureContext(contextOf(config));
    this.#server.maxConnections = config.connectionsMax;
    const isTlsChanged = JSON.stringify(config.tls) !== JSON.stringify(this.#config.tls);
    this.#config = config;
    // Connections that wait for their next request were made under the old certificates. Only then: a caller whose
    // request crosses the closing of its connection has to send it again.
    if (isTlsChanged) this.#server.closeIdleConnections();
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => this.#server.closeAllConnections(), DRAIN_MS_MAX);
    await closed;
    clearTimeout(timer);
  }

  async abort(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** A certificate of the right authority is not enough: it must be of one of the clients that are named now. */
  #isNamedClient(socket: TLSSocket): boolean {
    const { clients } = this.#config.tls;
    if (!clients) return true;
    const { CN: commonName } = socket.getPeerCertificate().subject ?? {};
    if (typeof commonName === 'string' && clients.commonNames.includes(commonName)) return true;
    this.#options.log({ event: 'tls-refused', peer: socket.remoteAddress, reason: `client ${String(commonName)}` });
    socket.destroy();
    return false;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#isNamedClient(request.socket as TLSSocket)) return;
    const startedAt = performance.now();
    const trail: Trail = { peer: request.socket.remoteAddress };
    if (request.url === LIVE_PATH) {
      response.writeHead(this.#isDraining ? 503 : 200).end();
      return;
    }
    this.#underWay += 1;
    let status = 200;
    let error: XksError | undefined;
    try {
      const target = targetOf(request.url!);
      const store = target && this.#config.stores.get(target.prefix);
      if (target) trail.target = target;
      if (target && store && request.method !== 'POST') {
        status = 405;
        response.writeHead(status, { allow: 'POST' }).end();
      } else {
        const reply = await this.#answer(request, { target, store, trail });
        this.#send(response, status, reply);
      }
    } catch (cause) {
      error = toXksError(cause);
      status = error.status;
      this.#send(response, status, error.body);
    } finally {
      this.#underWay -= 1;
    }
    this.#options.log(entryOf(trail, { status, error, ms: performance.now() - startedAt }));
  }

  #send(response: ServerResponse, status: number, reply: object): void {
    const body = Buffer.from(JSON.stringify(reply));
    // Asked only now: a drain that began meanwhile would otherwise wait for this connection's next request.
    if (this.#isDraining) response.setHeader('connection', 'close');
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  }

  async #answer(
    request: IncomingMessage,
    { target, store, trail }: { target: Target | undefined; store: Store | undefined; trail: Trail },
  ): Promise<object> {
    if (!target || !store) throw new XksError('InvalidUriPathException', 'no such path');
    if (this.#underWay > this.#config.concurrentRequestsMax) {
      throw new XksError('ThrottlingException', 'too many requests at once', 'concurrentRequestsMax');
    }
    const body = await readBody(request);
    this.#authenticate(request, { store, body, trail });
    if (!this.#limitOf(store).take(store.requestsPerSecondMax)) {
      throw new XksError('ThrottlingException', 'too many requests', 'requestsPerSecondMax');
    }
    const value = parseJson(body);
    body.fill(0);
    return this.#operate(target, { value, store, trail });
  }

  #authenticate(request: IncomingMessage, { store, body, trail }: { store: Store; body: Buffer; trail: Trail }): void {
    const result = verifySigV4({
      method: request.method!,
      path: request.url!,
      query: '',
      headers: headerPairs(request.rawHeaders),
      body,
      credentials: (accessKeyId) => {
        const secretAccessKey = store.credentials.get(accessKeyId);
        return secretAccessKey === undefined ? undefined : { secretAccessKey };
      },
      service: 'kms-xks-proxy',
      clock: this.#options.clock,
    });
    if (result.accessKeyId !== undefined) trail.accessKeyId = result.accessKeyId;
    if (!result.ok) {
      const skew = result.skewSeconds === undefined ? '' : ` of ${result.skewSeconds} s`;
      throw new XksError('AuthenticationFailedException', 'the signature is not valid', result.reason + skew);
    }
    trail.region = result.region;
    if (this.#config.regions && !this.#config.regions.includes(result.region)) {
      throw new XksError('AuthenticationFailedException', 'the signature is not valid', 'region');
    }
  }

  #limitOf({ uriPathPrefix, requestsPerSecondMax }: Store): RateLimit {
    const known = this.#limits.get(uriPathPrefix);
    if (known) return known;
    const made = new RateLimit(this.#options.clock, requestsPerSecondMax);
    this.#limits.set(uriPathPrefix, made);
    return made;
  }

  async #operate(
    target: Target,
    { value, store, trail }: { value: unknown; store: Store; trail: Trail },
  ): Promise<object> {
    if (target.operation === 'health') {
      trail.metadata = parse(healthRequest, value).requestMetadata;
      return this.#health.report(this.#config.fleetSize);
    }
    const keyCall = (metadata: RequestMetadata) => {
      trail.metadata = metadata;
      const key = store.keys.get(target.keyId);
      if (!key) throw new XksError('KeyNotFoundException', 'no such external key');
      requireCaller(key, metadata);
      return { hsm: this.#hsm, key };
    };
    switch (target.operation) {
      case 'metadata':
        return keyMetadata(keyCall(parse(metadataRequest, value).requestMetadata));
      case 'encrypt': {
        const asked = parse(encryptRequest, value);
        return encrypt(keyCall(asked.requestMetadata), asked);
      }
      case 'decrypt': {
        const asked = parse(decryptRequest, value);
        return decrypt(keyCall(asked.requestMetadata), asked);
      }
    }
  }
}

/** The whole body. What is too long is read on and thrown away, so that the sender gets its answer; not for ever. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length_bytes = 0;
  request.on('data', (chunk: Buffer) => {
    length_bytes += chunk.length;
    if (length_bytes <= BODY_BYTES_MAX) chunks.push(chunk);
    else if (length_bytes > DISCARD_BYTES_MAX) request.destroy();
  });
  await once(request, 'end');
  if (length_bytes > BODY_BYTES_MAX) {
    throw new XksError('ValidationException', `the body has more than ${BODY_BYTES_MAX} bytes`);
  }
  return Buffer.concat(chunks);
}

function entryOf(
  trail: Trail,
  { status, error, ms }: { status: number; error: XksError | undefined; ms: number },
): LogEntry {
  const { target, accessKeyId, region, metadata, peer } = trail;
  return {
    event: 'request',
    status,
    error: error?.errorName,
    reason: error?.reason ?? (error?.errorName === 'ValidationException' ? error.message : undefined),
    operation: target?.operation,
    uriPathPrefix: target?.prefix,
    keyId: target && 'keyId' in target ? target.keyId : undefined,
    milliseconds: Math.round(ms * 100) / 100,
    accessKeyId,
    region,
    peer,
    ...metadata,
  };
}

/** Starts the proxy on the configuration's address. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const proxy = new Proxy(options);
  const port = await proxy.listen();
  return { port, reload: (config) => proxy.reload(config), drain: () => proxy.drain(), abort: () => proxy.abort() };
}
