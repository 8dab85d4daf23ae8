// What a person typed about a destination, checked before a passkey is asked for. The server checks it again; this says it
// beside the field. No schema library: the browser loads none.

export type TargetKind = 'splunk-hec' | 'syslog-tls';
export type TargetField = 'host' | 'port' | 'path' | 'token' | 'ca';

/** As typed. */
export type TypedTarget = Readonly<Record<TargetField, string>> & { readonly kind: TargetKind };

export type ReadTarget =
  | { readonly ok: true; readonly target: Readonly<Record<string, string | number>> }
  | { readonly ok: false; readonly errors: Readonly<Partial<Record<TargetField, string>>> };

const HOST = /^(?=.*[A-Za-z0-9])[A-Za-z0-9._:-]{1,253}$/;
const PATH = /^\/[A-Za-z0-9/_.-]{0,199}$/;
const TOKEN = /^[\x21-\x7e]{8,512}$/;
const PEM = /^-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----$/;
const CA_CHARS_MAX = 65_536;
const PORT_MAX = 65_535;

/** The settings in the form that the routes take, or what is wrong with which field. */
export function readTarget(typed: TypedTarget): ReadTarget {
  const [host, port, path, token, ca] = [typed.host, typed.port, typed.path, typed.token, typed.ca].map((text) =>
    text.trim(),
  ) as [string, string, string, string, string];
  const errors: Partial<Record<TargetField, string>> = {};
  if (!HOST.test(host))
    errors.host = 'Write a host name such as siem.example.org, without https:// and without a path.';
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > PORT_MAX)
    errors.port = `Write a port from 1 to ${PORT_MAX}.`;
  if (ca !== '' && (!PEM.test(ca) || ca.length > CA_CHARS_MAX))
    errors.ca = 'Paste the whole file, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.';
  if (typed.kind === 'splunk-hec') {
    if (!PATH.test(path)) errors.path = 'Write a path that begins with a slash, without a question mark.';
    if (!TOKEN.test(token)) errors.token = 'Write the token: 8 to 512 characters, no spaces.';
  }
  if (Object.keys(errors).length > 0) return { ok: false, errors };
  const common = { kind: typed.kind, host, port: Number(port), ...(ca === '' ? {} : { ca }) };
  return { ok: true, target: typed.kind === 'syslog-tls' ? common : { ...common, path, token } };
}
