import { request as plainRequest } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** TLS in front of a program that speaks plain HTTP on loopback. */
export interface TlsFront {
  readonly origin: string;
  /** From now on what comes in goes to this port. */
  lead(port: number): void;
  close(): void;
}

/** Opens a front on 127.0.0.1 with a certificate and key in PEM. */
export async function openTlsFront(tls: { readonly key: string; readonly cert: string }): Promise<TlsFront> {
  let port = 0;
  const server = createServer(tls, (request, response) => {
    const { method, url: path, headers } = request;
    const inner = plainRequest({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    inner.on('error', () => response.destroy());
    request.pipe(inner);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead: (to) => void (port = to),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
