import { request } from 'node:https';

/** What a directory's server is answered. */
export interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The message; empty where there is none. */
  readonly json: Record<string, unknown>;
}

export interface Saying {
  readonly token?: string | undefined;
  /** Sent as it is when it is a text. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Speaks as the server of a directory does: over https, without cookies, by its token. */
export function directoryOf(house: {
  readonly origin: string;
  readonly edgePort: number;
  readonly tls: { ca: string };
}) {
  return (method: string, address: string, { token, body, headers }: Saying = {}): Promise<Told> => {
    const { host, pathname, search } = new URL(address);
    const sent = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const call = request(
        {
          host: '127.0.0.1',
          port: house.edgePort,
          path: `${pathname}${search}`,
          method,
          servername: 'localhost',
          ca: house.tls.ca,
          agent: false,
          headers: {
            host,
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
            ...(sent === undefined
              ? {}
              : { 'content-type': 'application/scim+json', 'content-length': String(Buffer.byteLength(sent)) }),
            ...headers,
          },
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.once('error', reject);
          response.once('end', () => {
            const text = Buffer.concat(pieces).toString('utf8');
            const json = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
            resolve({ status: response.statusCode!, headers: response.headers, text, json });
          });
        },
      );
      call.once('error', reject);
      call.end(sent);
    });
  };
}
