import { quoted, refusal } from './errors.ts';
import {
  ASSERTION_LIFETIME_MS_MAX,
  ATTRIBUTE_NAME_CHARACTERS_MAX,
  ATTRIBUTE_VALUES_MAX,
  ATTRIBUTE_VALUE_CHARACTERS_MAX,
  ATTRIBUTES_MAX,
  CLOCK_SKEW_MS,
  NAME_ID_CHARACTERS_MAX,
  SESSION_INDEX_CHARACTERS_MAX,
} from './limits.ts';
import { BEARER } from './names.ts';
import { checkIssueInstant, checkIssuer, checkVersion, type Expectation } from './response.ts';
import { instantOf } from './time.ts';
import { atPath, childrenOf, firstChild, type XmlElement } from './tree.ts';

export interface Subject {
  /** Opaque. The immutable key of the account within (tenant, connection), never an address. */
  readonly nameId: string;
  readonly format: string | undefined;
  readonly nameQualifier: string | undefined;
  readonly spNameQualifier: string | undefined;
}

/** One attribute as the provider sent it, for the page that shows a test sign-in. */
export interface Claim {
  readonly name: string;
  readonly friendlyName: string | undefined;
  readonly nameFormat: string | undefined;
  readonly values: readonly string[];
}

/** Everything that is read of an assertion. Times in milliseconds since the Unix epoch. */
export interface AssertionContent {
  readonly assertionId: string;
  readonly issuer: string;
  readonly subject: Subject;
  readonly sessionIndex: string | undefined;
  readonly authnInstant_ms: number;
  readonly authnContext: string | undefined;
  readonly sessionNotOnOrAfter_ms: number | undefined;
  /** Until then (and the skew) its id must be remembered as used. */
  readonly notOnOrAfter_ms: number;
  /** By name. A Map: a provider, or who writes its directory, chooses the names, `__proto__` included. */
  readonly attributes: ReadonlyMap<string, readonly string[]>;
  readonly claims: readonly Claim[];
}

/** Pass 4 on the signed bytes: G22 and G25 to G32. Throws the code of the first check that fails. */
export function readAssertion(assertion: XmlElement, expected: Expectation): AssertionContent {
  checkVersion(assertion);
  checkIssuer(assertion, expected.connection);
  checkIssueInstant(assertion, expected);
  const confirmed_ms = checkConfirmation(assertion, expected);
  const conditioned_ms = checkConditions(assertion, expected);
  const session = readAuthnStatement(assertion, expected);
  const claims = readClaims(assertion);
  return {
    assertionId: assertion.attributes.get('ID')!,
    issuer: expected.connection.idpEntityId,
    subject: readSubject(assertion, expected.connection.spEntityId),
    ...session,
    notOnOrAfter_ms: Math.max(confirmed_ms, conditioned_ms ?? 0),
    attributes: new Map(claims.map(({ name, values }) => [name, values])),
    claims,
  };
}

/** G27 (SAML Profiles 4.1.4.2): one bearer confirmation for this address and this request, still valid. */
function checkConfirmation(assertion: XmlElement, { connection, request, clock }: Expectation): number {
  const subject = firstChild(assertion, 'saml:Subject');
  const confirmations = subject === undefined ? [] : childrenOf(subject, 'saml:SubjectConfirmation');
  const [confirmation] = confirmations;
  if (confirmation === undefined || confirmations.length !== 1)
    throw refusal('saml_confirmation_count', `${confirmations.length}`);
  if (confirmation.attributes.get('Method') !== BEARER)
    throw refusal('saml_confirmation_method', quoted(confirmation.attributes.get('Method') ?? ''));
  const data = firstChild(confirmation, 'saml:SubjectConfirmationData')?.attributes;
  const until = data?.get('NotOnOrAfter');
  if (data === undefined || until === undefined || data.has('NotBefore')) throw refusal('saml_confirmation_data');
  if (data.get('Recipient') !== connection.acsUrl) throw refusal('saml_recipient', quoted(data.get('Recipient') ?? ''));
  if (data.get('InResponseTo') !== request.id)
    throw refusal('saml_in_response_to', `confirmation of ${quoted(data.get('InResponseTo') ?? '')}`);
  const until_ms = instantOf(until, 'SubjectConfirmationData/@NotOnOrAfter');
  if (clock.nowMs() >= until_ms + CLOCK_SKEW_MS) throw refusal('saml_confirmation_expired');
  if (until_ms > clock.nowMs() + ASSERTION_LIFETIME_MS_MAX) throw refusal('saml_lifetime_excessive');
  return until_ms;
}

/** G28 and G29. Returns the end of validity, if one is named. */
function checkConditions(assertion: XmlElement, { connection, clock }: Expectation): number | undefined {
  const conditions = firstChild(assertion, 'saml:Conditions');
  if (conditions === undefined) throw refusal('saml_conditions_missing');
  const notBefore = conditions.attributes.get('NotBefore');
  if (notBefore !== undefined && clock.nowMs() + CLOCK_SKEW_MS < instantOf(notBefore, 'Conditions/@NotBefore'))
    throw refusal('saml_not_yet_valid');
  const notOnOrAfter = conditions.attributes.get('NotOnOrAfter');
  const until_ms = notOnOrAfter === undefined ? undefined : instantOf(notOnOrAfter, 'Conditions/@NotOnOrAfter');
  if (until_ms !== undefined && clock.nowMs() >= until_ms + CLOCK_SKEW_MS) throw refusal('saml_expired');
  if (until_ms !== undefined && until_ms > clock.nowMs() + ASSERTION_LIFETIME_MS_MAX)
    throw refusal('saml_lifetime_excessive');
  // Exactly us: what is also meant for another service could be replayed by it.
  const restrictions = childrenOf(conditions, 'saml:AudienceRestriction');
  const audiences = restrictions.flatMap((restriction) => childrenOf(restriction, 'saml:Audience'));
  if (restrictions.length !== 1 || audiences.length !== 1 || audiences[0]!.text !== connection.spEntityId)
    throw refusal('saml_audience', audiences.map(({ text }) => quoted(text)).join(', '));
  return until_ms;
}

/** G30: when and in which session the person signed in at the provider. */
function readAuthnStatement(assertion: XmlElement, { connection, request, clock }: Expectation) {
  const statements = childrenOf(assertion, 'saml:AuthnStatement');
  const [statement] = statements;
  if (statement === undefined || statements.length !== 1)
    throw refusal('saml_authn_statement_count', `${statements.length}`);
  const now_ms = clock.nowMs();
  const authnInstant_ms = instantOf(statement.attributes.get('AuthnInstant') ?? '', 'AuthnStatement/@AuthnInstant');
  if (authnInstant_ms > now_ms + CLOCK_SKEW_MS) throw refusal('saml_authn_instant_future');
  const oldest_ms = request.forceAuthn ? request.issuedAt_ms : now_ms - connection.authnAge_seconds_max * 1000;
  if (authnInstant_ms < oldest_ms - CLOCK_SKEW_MS) throw refusal('saml_authn_too_old');
  const end = statement.attributes.get('SessionNotOnOrAfter');
  const sessionNotOnOrAfter_ms = end === undefined ? undefined : instantOf(end, 'AuthnStatement/@SessionNotOnOrAfter');
  if (sessionNotOnOrAfter_ms !== undefined && sessionNotOnOrAfter_ms <= now_ms) throw refusal('saml_session_over');
  const sessionIndex = statement.attributes.get('SessionIndex');
  if (sessionIndex !== undefined && (sessionIndex === '' || sessionIndex.length > SESSION_INDEX_CHARACTERS_MAX))
    throw refusal('saml_session_index');
  const authnContext = atPath(statement, 'saml:AuthnContext', 'saml:AuthnContextClassRef')?.text.trim();
  return { sessionIndex, authnInstant_ms, authnContext, sessionNotOnOrAfter_ms };
}

/** G31: one spelling only; "admin" and " admin" must never become one account, nor two. */
function readSubject(assertion: XmlElement, spEntityId: string): Subject {
  const element = atPath(assertion, 'saml:Subject', 'saml:NameID');
  if (element === undefined) throw refusal('saml_name_id_missing');
  const { text: nameId, attributes } = element;
  const isPlain = nameId !== '' && nameId === nameId.trim() && !/[\p{Cc}\p{Cf}\p{Cs}]/u.test(nameId);
  if (!isPlain || nameId.length > NAME_ID_CHARACTERS_MAX) throw refusal('saml_name_id_form', quoted(nameId));
  const spNameQualifier = attributes.get('SPNameQualifier');
  if (spNameQualifier !== undefined && spNameQualifier !== spEntityId)
    throw refusal('saml_name_id_qualifier', quoted(spNameQualifier));
  return { nameId, format: attributes.get('Format'), nameQualifier: attributes.get('NameQualifier'), spNameQualifier };
}

/** G32: one attribute a name, so that no reader can pick another one of two. */
function readClaims(assertion: XmlElement): Claim[] {
  const elements = childrenOf(assertion, 'saml:AttributeStatement').flatMap((each) =>
    childrenOf(each, 'saml:Attribute'),
  );
  if (elements.length > ATTRIBUTES_MAX) throw refusal('saml_attribute_limit', `${elements.length} attributes`);
  const seen = new Set<string>();
  let valueCount = 0;
  return elements.map((element) => {
    const name = element.attributes.get('Name') ?? '';
    if (name.trim() === '' || name.length > ATTRIBUTE_NAME_CHARACTERS_MAX) throw refusal('saml_attribute_name');
    if (seen.has(name)) throw refusal('saml_attribute_duplicate', quoted(name));
    seen.add(name);
    const values = childrenOf(element, 'saml:AttributeValue').map(({ text }) => text);
    valueCount += values.length;
    if (valueCount > ATTRIBUTE_VALUES_MAX || values.some(({ length }) => length > ATTRIBUTE_VALUE_CHARACTERS_MAX))
      throw refusal('saml_attribute_limit', quoted(name));
    return {
      name,
      friendlyName: element.attributes.get('FriendlyName'),
      nameFormat: element.attributes.get('NameFormat'),
      values,
    };
  });
}
