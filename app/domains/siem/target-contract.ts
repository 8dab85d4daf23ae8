import { secret } from '@auditrax/base/secret';
import { z } from 'zod';

/** A chain of authorities, pasted. */
const CA_CHARS_MAX = 65_536;
const TOKEN_CHARS_MAX = 512;

const host = z
  .string()
  .max(253)
  .regex(/^(?=.*[A-Za-z0-9])[A-Za-z0-9._:-]+$/, 'must be a host name or an address');
const port = z.number().int().min(1).max(65_535);
const ca = z
  .string()
  .max(CA_CHARS_MAX)
  .regex(/^\s*-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----\s*$/, 'must be certificates in PEM')
  .optional();

/** Splunk HTTP Event Collector: HTTPS, a token in a header. */
const hec = z.strictObject({
  kind: z.literal('splunk-hec'),
  host,
  port,
  path: z
    .string()
    .max(200)
    .regex(/^\/[A-Za-z0-9/_.-]*$/)
    .default('/services/collector/event'),
  // Visible ASCII: it becomes a header.
  token: secret(
    z
      .string()
      .min(8)
      .max(TOKEN_CHARS_MAX)
      .regex(/^[\x21-\x7e]+$/),
  ),
  ca,
});

/** Syslog over TLS (RFC 5425), RFC 5424 messages. */
const syslog = z.strictObject({ kind: z.literal('syslog-tls'), host, port, ca });

/** Where a stream goes, with its secret. */
export const target = z.discriminatedUnion('kind', [hec, syslog]);
export type Target = z.output<typeof target>;
export type HecTarget = Extract<Target, { kind: 'splunk-hec' }>;
