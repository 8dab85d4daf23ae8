import type { AppError } from '@auditrax/base';
import { sealError, type SealErrorCode } from '../../errors.ts';

/** What a failed call comes to. */
export interface Verdict {
  readonly error: AppError<SealErrorCode>;
  /** Name of the error as AWS wrote it, or of the network's own code. */
  readonly name: string;
  /** True when the same call may simply be made again: the store was busy, or never answered. */
  readonly mayRepeat: boolean;
  /** True when the store surely did not act on the call, so that also what is not idempotent may be repeated. */
  readonly isUntouched: boolean;
}

interface Rule {
  readonly code: SealErrorCode;
  /** What it means and what the tenant should do; `KEY` stands for the ARN. */
  readonly text: string;
  readonly repeat?: 'safe' | 'untouched';
}

const DENIED_CREDENTIALS: Rule = {
  code: 'kek_denied',
  text: 'AWS does not know the access key id that signs for KEY: it was deleted or deactivated, or belongs to another partition. Enter a live access key.',
};
const SKEWED: Rule = {
  code: 'clock_skew',
  text: 'AWS refuses the time of this machine. Set its clock (NTP), then try again; nothing is wrong with KEY.',
};
const THROTTLED: Rule = {
  code: 'kek_throttled',
  text: 'AWS KMS asks for fewer requests in the account of KEY. Wait, or ask AWS to raise the request quota of KMS.',
  repeat: 'untouched',
};
const INTERNAL: Rule = {
  code: 'kek_unavailable',
  text: 'AWS KMS failed on its own side for KEY. Try again; look at the AWS health page if it lasts.',
  repeat: 'safe',
};
const IMPORT_TOKEN: Rule = {
  code: 'kek_misconfigured',
  text: 'The import token does not belong to this public key and KEY, or is older than 24 hours. Ask for new import parameters and wrap the material again.',
};
const STORE_OFF: Rule = {
  code: 'kek_unavailable',
  text: 'The custom key store behind KEY is not connected. Reconnect it in AWS KMS and look at its connection error.',
};
const STORE_WRONG: Rule = {
  code: 'kek_misconfigured',
  text: 'The custom key store behind KEY is not set up as AWS KMS needs it. Look at its connection error in AWS KMS and mend its configuration.',
};
const REQUEST_WRONG: Rule = {
  code: 'kek_misconfigured',
  text: 'AWS KMS cannot do this with KEY: it must be a symmetric key (SYMMETRIC_DEFAULT) for ENCRYPT_DECRYPT, named by its ARN.',
};

/** Error names of AWS KMS, of its request signing and of STS. Source: API reference of AWS KMS, common errors. */
const RULES: ReadonlyMap<string, Rule> = new Map(
  Object.entries<Rule>({
    DisabledException: {
      code: 'kek_disabled',
      text: 'KEY is disabled. Its data stay unreadable until somebody enables it in AWS KMS.',
    },
    KMSInvalidStateException: {
      code: 'kek_disabled',
      text: 'KEY cannot be used in its present state: it waits for deletion or for its key material, or its custom key store does not answer. Look at its state in AWS KMS.',
    },
    KeyUnavailableException: {
      code: 'kek_unavailable',
      text: 'AWS KMS cannot reach KEY at the moment. Try again.',
      repeat: 'safe',
    },
    DependencyTimeoutException: {
      code: 'kek_unavailable',
      text: 'Something that AWS KMS depends on for KEY was too slow. Try again.',
      repeat: 'safe',
    },
    KMSInternalException: INTERNAL,
    InternalFailure: INTERNAL,
    InternalServerError: INTERNAL,
    ServiceUnavailable: INTERNAL,
    ServiceUnavailableException: INTERNAL,
    ThrottlingException: THROTTLED,
    Throttling: THROTTLED,
    ThrottledException: THROTTLED,
    RequestThrottled: THROTTLED,
    RequestThrottledException: THROTTLED,
    RequestLimitExceeded: THROTTLED,
    TooManyRequestsException: THROTTLED,
    AccessDeniedException: {
      code: 'kek_denied',
      text: 'The policies of AWS do not let us use KEY with this encryption context. Look at the key policy, the grant and, for a key of another account, the policy of the principal.',
    },
    AccessDenied: {
      code: 'kek_denied',
      text: 'The role for KEY may not be assumed. Look at its trust policy: our principal and the external id.',
    },
    NotAuthorized: DENIED_CREDENTIALS,
    OptInRequired: DENIED_CREDENTIALS,
    UnrecognizedClientException: DENIED_CREDENTIALS,
    InvalidClientTokenId: DENIED_CREDENTIALS,
    ExpiredTokenException: {
      code: 'kek_denied',
      text: 'The temporary credentials for KEY have expired. They are asked for anew; if this stays, look at the role.',
      repeat: 'untouched',
    },
    InvalidSignatureException: {
      code: 'kek_denied',
      text: 'The secret access key for KEY is not the one of its access key id. Enter it again.',
    },
    RequestExpired: SKEWED,
    RequestTimeTooSkewed: SKEWED,
    RequestInTheFuture: SKEWED,
    MissingAuthenticationTokenException: {
      code: 'kek_misconfigured',
      text: 'The request for KEY arrived unsigned: something on the way (a proxy) takes headers away.',
    },
    IncompleteSignatureException: {
      code: 'kek_misconfigured',
      text: 'The signature of the request for KEY arrived incomplete: something on the way (a proxy) changes headers.',
    },
    NotFoundException: {
      code: 'kek_gone',
      text: 'KEY does not exist, or no longer. A deleted KMS key cannot be brought back.',
    },
    InvalidArnException: REQUEST_WRONG,
    InvalidKeyUsageException: REQUEST_WRONG,
    ValidationException: REQUEST_WRONG,
    UnsupportedOperationException: REQUEST_WRONG,
    SerializationException: REQUEST_WRONG,
    UnknownOperationException: REQUEST_WRONG,
    InvalidGrantTokenException: {
      code: 'kek_misconfigured',
      text: 'The grant token for KEY is not valid. Make the grant again.',
    },
    LimitExceededException: {
      code: 'kek_misconfigured',
      text: 'A quota of AWS KMS is used up for KEY. Ask AWS to raise it.',
    },
    IncorrectKeyException: {
      code: 'kek_foreign',
      text: 'The data key was wrapped by another KMS key than KEY. The record, or the configured key, is not the one it was.',
    },
    InvalidCiphertextException: {
      code: 'authentication_failed',
      text: 'KEY does not open this data key: other bytes, or wrapped for another tenant, purpose, id or version.',
    },
    InvalidImportTokenException: IMPORT_TOKEN,
    ExpiredImportTokenException: IMPORT_TOKEN,
    IncorrectKeyMaterialException: {
      code: 'kek_misconfigured',
      text: 'This is not the key material that KEY had before: AWS KMS takes back only the very same. Wrap the original material.',
    },
    CustomKeyStoreInvalidStateException: STORE_OFF,
    CustomKeyStoreNotFoundException: STORE_WRONG,
    CloudHsmClusterNotActiveException: STORE_OFF,
    CloudHsmClusterInvalidConfigurationException: STORE_WRONG,
    CloudHsmClusterNotFoundException: STORE_WRONG,
    CloudHsmClusterNotRelatedException: STORE_WRONG,
    IncorrectTrustAnchorException: STORE_WRONG,
    XksProxyIncorrectAuthenticationCredentialException: STORE_WRONG,
    XksProxyInvalidConfigurationException: STORE_WRONG,
    XksProxyInvalidResponseException: STORE_WRONG,
    XksProxyUriUnreachableException: STORE_OFF,
    XksProxyVpcEndpointServiceInvalidConfigurationException: STORE_WRONG,
    XksProxyVpcEndpointServiceNotFoundException: STORE_WRONG,
    XksKeyInvalidConfigurationException: STORE_WRONG,
    XksKeyNotFoundException: STORE_WRONG,
    CredentialsProviderError: {
      code: 'kek_misconfigured',
      text: 'There are no AWS credentials to use KEY with. Enter an access key for it, or give this machine a role.',
    },
  }),
);
/** Other spellings of the same in STS and in older answers. */
const SAME_AS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ExpiredToken: 'ExpiredTokenException',
    SignatureDoesNotMatch: 'InvalidSignatureException',
    IncompleteSignature: 'IncompleteSignatureException',
    MissingAuthenticationToken: 'MissingAuthenticationTokenException',
    ValidationError: 'ValidationException',
  }),
);

/** Codes of Node for a connection that never carried the request. */
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);
const TLS_CODE = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH)/;
/** As AWS tolerates, with a margin for the seconds that the answer took. */
const SKEW_SECONDS_MIN = 290;
const SIGNING_REFUSED = new Set(['InvalidSignatureException', 'UnrecognizedClientException', 'InvalidClientTokenId']);

interface Thrown {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: unknown; readonly requestId?: unknown };
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
}

/** A name or an id that may be shown: shorter than a data key in whatever spelling, or letters and underscores alone. */
function plain(text: unknown): string | undefined {
  return typeof text === 'string' && /^([\w-]{1,40}|[A-Za-z_]{1,80})$/.test(text) ? text : undefined;
}

/** Seconds that our clock is ahead of the answer's `Date`; undefined where there is none. */
function aheadSeconds(thrown: Thrown, nowMs: number): number | undefined {
  const date = Date.parse(thrown.$response?.headers?.['date'] ?? '');
  return Number.isNaN(date) ? undefined : Math.round((nowMs - date) / 1000);
}

function signingRule(thrown: Thrown, name: string, nowMs: number): Rule | undefined {
  if (!SIGNING_REFUSED.has(name) && !(RULES.get(name) === SKEWED)) return undefined;
  const ahead = aheadSeconds(thrown, nowMs);
  const isSaid = typeof thrown.message === 'string' && /signature (expired|not yet current)/i.test(thrown.message);
  const isSeen = ahead !== undefined && Math.abs(ahead) >= SKEW_SECONDS_MIN;
  if (RULES.get(name) !== SKEWED && !isSaid && !isSeen) return undefined;
  if (!isSeen) return SKEWED;
  const way = `${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'} AWS`;
  return { code: 'clock_skew', text: `The clock of this machine is ${way}. Set it (NTP); nothing is wrong with KEY.` };
}

function networkRule(name: string): Rule | undefined {
  if (name === 'AbortError' || name === 'TimeoutError' || name === 'ETIMEDOUT') {
    return { code: 'kek_unavailable', text: 'AWS KMS did not answer in time for KEY. Try again.', repeat: 'safe' };
  }
  if (NEVER_SENT.has(name)) {
    const text = 'AWS KMS cannot be reached for KEY. Look at the network, the firewall and the endpoint.';
    return { code: 'kek_unavailable', text, repeat: 'untouched' };
  }
  if (TLS_CODE.test(name)) {
    const text =
      'The endpoint of KEY does not speak TLS 1.3 with a certificate that this machine trusts. Look at the endpoint, and at a proxy that opens TLS.';
    return { code: 'kek_misconfigured', text };
  }
  return undefined;
}

function ruleOf(thrown: Thrown, name: string, nowMs: number): Rule {
  const status = Number(thrown.$metadata?.httpStatusCode);
  const known = signingRule(thrown, name, nowMs) ?? RULES.get(name) ?? networkRule(name);
  if (known) return known;
  if (status === 429) return THROTTLED;
  if (status >= 400 && status < 500)
    return { ...REQUEST_WRONG, text: `AWS KMS refuses the request for KEY (${name}).` };
  // No sense in the answer, a connection cut: what came of the call is unknown.
  return INTERNAL;
}

/**
 * Turns whatever a call of the AWS SDK threw into a typed error of this library. Neither the message nor the cause holds
 * anything of the answer beyond the error's name and the request id: the SDK hangs the raw answer onto its errors, and
 * for Decrypt that is a data key.
 */
export function verdictOf(thrown: unknown, about: { readonly keyArn: string; readonly nowMs: number }): Verdict {
  const fault = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as Thrown;
  const given = plain(fault.name) ?? 'Unknown';
  const code = plain(fault.code);
  const spelled = given === 'Error' || given === 'TypeError' ? (code ?? given) : given;
  const name = SAME_AS.get(spelled) ?? (!RULES.has(spelled) && code !== undefined ? code : spelled);
  const rule = ruleOf(fault, name, about.nowMs);
  const requestId = plain(fault.$metadata?.requestId);
  const trail = `${name}${requestId === undefined ? '' : `, AWS request ${requestId}`}`;
  return {
    error: sealError(rule.code, `${rule.text.replace('KEY', `KMS key ${about.keyArn}`)} (${trail})`),
    name,
    mayRepeat: rule.repeat !== undefined,
    isUntouched: rule.repeat === 'untouched',
  };
}
