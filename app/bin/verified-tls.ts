import type { ConnectionOptions } from 'node:tls';
import type { DatabaseAccess } from '../platform/supervisor/messages.ts';

/** TLS 1.3 with the server's certificate and name verified; there is no weaker form to ask for. */
export function verifiedTls({ ca, servername }: NonNullable<DatabaseAccess['tls']>): ConnectionOptions {
  return { minVersion: 'TLSv1.3', rejectUnauthorized: true, servername, ...(ca === undefined ? {} : { ca }) };
}
