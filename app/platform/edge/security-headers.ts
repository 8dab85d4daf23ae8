const EVERYWHERE = [
  'x-content-type-options',
  'nosniff',
  'referrer-policy',
  'no-referrer',
  'cross-origin-opener-policy',
  'same-origin',
  'cross-origin-resource-policy',
  'same-origin',
  'x-frame-options',
  'DENY',
  'permissions-policy',
  'publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=(), browsing-topics=()',
] as const;

const APP_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/** Public pages run no script at all. */
const PAGE_POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/** Answers of the API are data; should a browser ever show one, evidence above all, it is shown inert. */
const API_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox";

/** Raw header lists, ready for `writeHead`. */
export interface SecurityHeaders {
  readonly app: readonly string[];
  readonly page: readonly string[];
  readonly api: readonly string[];
}

/**
 * The headers of every answer. HSTS is sent where TLS is spoken and the host is not `localhost`: browsers apply it to
 * all ports of a name, so it would lock people out of the loopback try-out listener.
 */
export function securityHeaders(options: { readonly tls: boolean; readonly host: string }): SecurityHeaders {
  const transport =
    options.tls && !/^localhost(:|$)/.test(options.host)
      ? ['strict-transport-security', 'max-age=63072000; includeSubDomains']
      : [];
  const base = [...EVERYWHERE, ...transport];
  return {
    app: [...base, 'content-security-policy', APP_POLICY],
    page: [...base, 'content-security-policy', PAGE_POLICY],
    api: [...base, 'content-security-policy', API_POLICY, 'cache-control', 'no-store'],
  };
}
