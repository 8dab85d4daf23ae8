import type { Clock } from '@auditrax/base';
import type { SamlConnection } from './connection.ts';
import { quoted, refusal } from './errors.ts';
import { CLOCK_SKEW_MS, REQUEST_AGE_MS_MAX } from './limits.ts';
import { ENTITY_FORMAT, STATUS_KNOWN, STATUS_SUCCESS } from './names.ts';
import type { StoredRequest } from './request.ts';
import { instantOf } from './time.ts';
import { atPath, firstChild, type XmlElement } from './tree.ts';

/** What a message is measured against. */
export interface Expectation {
  readonly connection: SamlConnection;
  readonly request: StoredRequest;
  readonly clock: Clock;
}

/**
 * G21: only an answer to our own request, which is fresh, by the browser that made it. A provider that starts by itself
 * (or an attacker who signs somebody into his own account) is refused; start a sign-in from here instead.
 */
export function checkSolicited(
  root: XmlElement,
  stored: {
    readonly request: StoredRequest | undefined;
    readonly relayState: string | undefined;
    readonly clock: Clock;
  },
): StoredRequest {
  const { request, relayState, clock } = stored;
  const inResponseTo = root.attributes.get('InResponseTo');
  if (request === undefined || inResponseTo === undefined || inResponseTo === '') throw refusal('saml_unsolicited');
  if (inResponseTo !== request.id) throw refusal('saml_in_response_to', quoted(inResponseTo));
  if (relayState !== request.relayState) throw refusal('saml_relay_state');
  const age_ms = clock.nowMs() - request.issuedAt_ms;
  if (age_ms > REQUEST_AGE_MS_MAX || age_ms < -CLOCK_SKEW_MS) throw refusal('saml_request_expired');
  return request;
}

/** G22 to G26 on the response. It may be unsigned (then these are hints), so the assertion is measured again by itself. */
export function checkResponse(root: XmlElement, expected: Expectation): void {
  checkVersion(root);
  checkStatus(root);
  if (root.attributes.get('Destination') !== expected.connection.acsUrl)
    throw refusal('saml_destination', quoted(root.attributes.get('Destination') ?? ''));
  checkIssuer(root, expected.connection);
  checkIssueInstant(root, expected);
}

export function checkVersion(element: XmlElement): void {
  if (element.attributes.get('Version') !== '2.0')
    throw refusal('saml_version', quoted(element.attributes.get('Version') ?? ''));
}

function checkStatus(root: XmlElement): void {
  const status = firstChild(root, 'samlp:Status');
  const code = status && firstChild(status, 'samlp:StatusCode');
  const value = code?.attributes.get('Value');
  if (status === undefined || code === undefined || value === undefined) throw refusal('saml_status_missing');
  if (value === STATUS_SUCCESS && code.children.length === 0) return;
  const nested = atPath(code, 'samlp:StatusCode')?.attributes.get('Value');
  const message = firstChild(status, 'samlp:StatusMessage')?.text;
  const said = [value, nested, message]
    .filter((part) => part !== undefined && part !== '')
    .map((part) => quoted(part!));
  throw refusal(
    STATUS_KNOWN.has(value) || value === STATUS_SUCCESS ? 'saml_status_not_success' : 'saml_status_unknown',
    said.join(', '),
  );
}

export function checkIssuer(element: XmlElement, connection: SamlConnection): void {
  const issuer = firstChild(element, 'saml:Issuer');
  const format = issuer?.attributes.get('Format') ?? ENTITY_FORMAT;
  if (issuer?.text !== connection.idpEntityId || format !== ENTITY_FORMAT)
    throw refusal('saml_issuer', `${element.name} by ${quoted(issuer?.text ?? '')}`);
}

/** G26: made after our request and not in the future. */
export function checkIssueInstant(element: XmlElement, { request, clock }: Expectation): void {
  const issued_ms = instantOf(element.attributes.get('IssueInstant') ?? '', `${element.name}/@IssueInstant`);
  const isEarly = issued_ms < request.issuedAt_ms - CLOCK_SKEW_MS;
  if (isEarly || issued_ms > clock.nowMs() + CLOCK_SKEW_MS) throw refusal('saml_issue_instant', element.name);
}
