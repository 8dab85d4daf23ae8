/**
 * Where the key-encryption key of a tenant lives. `local` is the installation's own key store, whatever that is. The
 * secrets in it (`KEY_SOURCE_SECRETS`) stay in the process that holds key-encryption keys: nothing prints them.
 */
export type TenantKeySource = LocalKeySource | AwsKmsKeySource | Pkcs11KeySource | XksKeySource;
export type KeySourceKind = TenantKeySource['kind'];

export interface LocalKeySource {
  readonly kind: 'local';
}

/** A symmetric key of AWS KMS, in the tenant's own account as a rule. */
export interface AwsKmsKeySource {
  readonly kind: 'aws-kms';
  readonly keyArn: string;
  readonly region: string;
  /** Another place than the region's public one: a VPC endpoint. */
  readonly endpoint?: string | undefined;
  /** Role of the tenant's account that is assumed first, with the external id that the tenant chose. */
  readonly roleArn?: string | undefined;
  readonly externalId?: string | undefined;
  /** Both or neither; neither takes the credentials of the installation. */
  readonly accessKeyId?: string | undefined;
  readonly secretAccessKey?: string | undefined;
}

/** A key in the HSM that the installation is configured with. */
export interface Pkcs11KeySource {
  readonly kind: 'pkcs11';
  readonly keyLabel: string;
}

/** A key behind a proxy that speaks the AWS KMS External Key Store Proxy API. Certificates and keys are PEM. */
export interface XksKeySource {
  readonly kind: 'xks';
  /** `https://host[:port]`, no path. */
  readonly endpoint: string;
  /** What stands before `/kms/xks/v1`: empty, or begins with a slash. */
  readonly uriPathPrefix: string;
  readonly keyId: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Authority of the proxy's certificate when it is not a public one. */
  readonly caCertificate?: string | undefined;
  /** Both or neither: our certificate towards a proxy that asks for one. */
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
}

/** Which members of a source are secret. */
export const KEY_SOURCE_SECRETS: Readonly<Record<KeySourceKind, readonly string[]>> = {
  local: [],
  'aws-kms': ['secretAccessKey'],
  pkcs11: [],
  xks: ['secretAccessKey', 'clientKey'],
};

/** What may be shown of a source: every member that is set and is no secret, by name. */
export function publicKeySource(source: TenantKeySource): Readonly<Record<string, string>> {
  const secrets = KEY_SOURCE_SECRETS[source.kind];
  const shown = Object.entries(source as object as Readonly<Record<string, string | undefined>>);
  return Object.fromEntries(
    shown.filter((entry): entry is [string, string] => entry[1] !== undefined && !secrets.includes(entry[0])),
  );
}
