import { z } from 'zod';

/** A PEM file of a few certificates; a whole trust store is a mistake. */
const PEM_LENGTH_MAX = 64 * 1024;
const pem = z.string().max(PEM_LENGTH_MAX).startsWith('-----BEGIN ');

/**
 * Way to a tenant's external key store, as a person types it. Shapes of id, secret, path and key id: AWS KMS External Key
 * Store Proxy API 1.0.3.
 */
export const xksSourceShape = z
  .strictObject({
    /** `https://host[:port]`; what it may name is decided by the outgoing guard. */
    endpoint: z.string().max(300),
    /** Empty, or a path before `/kms/xks/v1`. */
    uriPathPrefix: z
      .string()
      .regex(/^(\/[A-Za-z0-9_-]+)*$/)
      .max(117),
    /** A path segment; two dots alone would climb. */
    keyId: z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}$/),
    accessKeyId: z.string().regex(/^[A-Z2-7]{20,30}$/),
    secretAccessKey: z.string().regex(/^[A-Za-z0-9/+=]{43,64}$/),
    /** Authority of the proxy's certificate; trusted instead of the public ones, not beside them. */
    caCertificate: pem.optional(),
    clientCertificate: pem.optional(),
    clientKey: pem.optional(),
  })
  .refine((source) => (source.clientCertificate === undefined) === (source.clientKey === undefined), {
    message: 'a client certificate and its key come together',
  });

export type XksSource = z.output<typeof xksSourceShape>;

/** Name of a source in `kek_ref` columns: `xks:<id>`. */
export const XKS_REF_PREFIX = 'xks:';
