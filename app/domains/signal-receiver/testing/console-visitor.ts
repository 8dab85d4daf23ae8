import { createEdgeClient, type EdgeClient } from '../../../probes/edge-client.ts';
import { sessionCookieOf } from '../../../probes/house.ts';
import type { ProbeResponse } from '../../../claims/probe.ts';
import type { SsoHouse } from '../../sso/testing/sso-house.ts';
import type { Enrolled } from '../../tenants/testing/seeded-issuer.ts';

interface Asked {
  readonly operation: string;
  readonly path: string;
  /** Ids of the path, as the page names them. */
  readonly ids: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Approved instead of `body`: what an attacker would exchange. */
  readonly approved?: object;
}

/** Somebody at the page, over HTTP through the gateway, with a passkey in software. */
export class ConsoleVisitor {
  readonly #edge: EdgeClient;
  readonly #who: Enrolled;
  #cookie: string;

  constructor(house: SsoHouse, who: Enrolled) {
    const { host } = new URL(house.origin);
    const dialled = createEdgeClient({
      host: 'localhost',
      port: house.edgePort,
      authorityPem: () => house.tls.ca,
    });
    this.#edge = {
      origin: house.origin,
      fetch: (path, request = {}) =>
        dialled.fetch(path, {
          ...request,
          headers: { host, origin: house.origin, ...request.headers },
        }),
      close: dialled.close,
    };
    this.#who = who;
    this.#cookie = `__Host-auditrax=${who.cookie}`;
  }

  get(path: string): Promise<ProbeResponse> {
    return this.#edge.fetch(path, { cookie: this.#cookie });
  }

  async post(path: string, body: object = {}, headers: Readonly<Record<string, string>> = {}): Promise<ProbeResponse> {
    const reply = await this.#edge.fetch(path, {
      method: 'POST',
      json: body as never,
      cookie: this.#cookie,
      headers,
    });
    // Each confirmation renews it.
    this.#cookie = sessionCookieOf(reply.headers['set-cookie']) ?? this.#cookie;
    return reply;
  }

  /** Approves with the passkey, and does it. */
  async approve({ operation, path, ids, body = {}, approved = body }: Asked): Promise<ProbeResponse> {
    const begun = await this.post('/api/access/step-up', {
      operation,
      input: { ...ids, ...approved },
    });
    if (begun.status !== 200) return begun;
    const { challengeId, options } = begun.json() as { challengeId: string; options: never };
    const confirmed = { challengeId, assertion: this.#who.device.authenticate(options) };
    const header = Buffer.from(JSON.stringify(confirmed)).toString('base64url');
    return this.post(path, body, { 'x-step-up': header });
  }

  close(): Promise<void> {
    return this.#edge.close();
  }
}
