import { createHash, randomUUID, sign, type KeyObject } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import type { Clock } from '@auditrax/base';
import { FORMATS, type SamlReplay } from './saml-profiles.ts';

// Everything that is signed is written in its canonical form (attributes in order, no empty tags, namespaces where they
// are first used), so that the bytes that are signed are the bytes that are sent.

const ASSERTION = 'urn:oasis:names:tc:SAML:2.0:assertion';
const PROTOCOL = 'urn:oasis:names:tc:SAML:2.0:protocol';
const DSIG = 'http://www.w3.org/2000/09/xmldsig#';
const EXCLUSIVE_C14N = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const METHODS = {
  sha256: {
    method: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
    digest: 'http://www.w3.org/2001/04/xmlenc#sha256',
  },
  sha512: {
    method: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
    digest: 'http://www.w3.org/2001/04/xmlenc#sha512',
  },
  sha1: { method: `${DSIG}rsa-sha1`, digest: `${DSIG}sha1` },
} as const;
const LIFE_SECONDS = 300;

/** What an attacker would have different in an assertion; the response around it is signed by nobody, and right. */
export interface SamlBend {
  readonly nameId?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly recipient?: string;
  /** Id of another request. */
  readonly inResponseTo?: string;
  /** Of the assertion's end, from now. */
  readonly end_seconds?: number;
  readonly signed?: 'own' | 'stranger' | 'none' | 'sha1';
  /** Changes the signed text. `forge` gives it another person's name and, beside its own, another id. */
  readonly changed?: (assertion: string, forge: (text: string) => string) => string;
}

interface Asked {
  readonly id: string;
  readonly acs: string;
  readonly audience: string;
  readonly relayState: string;
}

function askedAt(departure: string): Asked {
  const { searchParams } = new URL(departure);
  const xml = inflateRawSync(Buffer.from(searchParams.get('SAMLRequest') ?? '', 'base64')).toString('utf8');
  const found = (pattern: RegExp): string => pattern.exec(xml)?.[1] ?? '';
  return {
    id: found(/ ID="([^"]+)"/),
    acs: found(/ AssertionConsumerServiceURL="([^"]+)"/),
    audience: found(/<saml:Issuer>([^<]+)</),
    relayState: searchParams.get('RelayState') ?? '',
  };
}

interface Said extends Asked {
  readonly issuer: string;
  readonly recipient: string;
  readonly inResponseTo: string;
  readonly nameId: string;
  readonly format: string;
  readonly attributes: Readonly<Record<string, readonly string[]>>;
  readonly instant: (seconds: number) => string;
  readonly end_seconds: number;
}

const PERSON = {
  format: FORMATS.persistent,
  attributes: { mail: ['person@canary.invalid'], displayName: ['Canary person'] },
} as const;
const NAME_ID = 'canary-person';
const FORGED_NAME_ID = 'canary-administrator';

/** Two halves: the signature goes in between, and is not part of what it signs. */
function halves(id: string, said: Said): readonly [string, string] {
  const { instant, end_seconds } = said;
  const attributes = Object.entries(said.attributes).map(([name, values]) => {
    const inner = values.map((value) => `<saml:AttributeValue>${value}</saml:AttributeValue>`);
    return `<saml:Attribute Name="${name}">${inner.join('')}</saml:Attribute>`;
  });
  return [
    `<saml:Assertion xmlns:saml="${ASSERTION}" ID="${id}" IssueInstant="${instant(0)}" Version="2.0">` +
      `<saml:Issuer>${said.issuer}</saml:Issuer>`,
    '<saml:Subject>' +
      `<saml:NameID Format="${said.format}">${said.nameId}</saml:NameID>` +
      '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">' +
      `<saml:SubjectConfirmationData InResponseTo="${said.inResponseTo}" NotOnOrAfter="${instant(end_seconds)}"` +
      ` Recipient="${said.recipient}"></saml:SubjectConfirmationData></saml:SubjectConfirmation></saml:Subject>` +
      `<saml:Conditions NotBefore="${instant(Math.min(0, end_seconds) - LIFE_SECONDS)}" NotOnOrAfter="${instant(end_seconds)}">` +
      `<saml:AudienceRestriction><saml:Audience>${said.audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
      `<saml:AuthnStatement AuthnInstant="${instant(0)}" SessionIndex="_${randomUUID()}"><saml:AuthnContext>` +
      '<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef>' +
      '</saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement>' +
      `${attributes.join('')}</saml:AttributeStatement></saml:Assertion>`,
  ];
}

/** XML Signature over the element that `unsigned` is, by reference to its id. */
function signatureOf(
  id: string,
  unsigned: string,
  { key, how }: { key: KeyObject; how: keyof typeof METHODS },
): string {
  const { method, digest } = METHODS[how];
  const value = createHash(how).update(unsigned, 'utf8').digest('base64');
  const algorithm = (name: string, uri: string) => `<ds:${name} Algorithm="${uri}"></ds:${name}>`;
  const inner =
    `${algorithm('CanonicalizationMethod', EXCLUSIVE_C14N)}${algorithm('SignatureMethod', method)}` +
    `<ds:Reference URI="#${id}"><ds:Transforms>${algorithm('Transform', `${DSIG}enveloped-signature`)}` +
    `${algorithm('Transform', EXCLUSIVE_C14N)}</ds:Transforms>${algorithm('DigestMethod', digest)}` +
    `<ds:DigestValue>${value}</ds:DigestValue></ds:Reference></ds:SignedInfo>`;
  const signed = sign(how, Buffer.from(`<ds:SignedInfo xmlns:ds="${DSIG}">${inner}`, 'utf8'), key).toString('base64');
  return `<ds:Signature xmlns:ds="${DSIG}"><ds:SignedInfo>${inner}<ds:SignatureValue>${signed}</ds:SignatureValue></ds:Signature>`;
}

/** The response around an assertion, in two halves as well. */
function responseHalves(
  id: string,
  asked: Asked,
  by: {
    readonly entityId: string;
    readonly now: string;
    readonly assertion: string;
    readonly consent?: string | undefined;
  },
): readonly [string, string] {
  const consent = by.consent === undefined ? '' : ` Consent="${by.consent}"`;
  return [
    `<samlp:Response xmlns:samlp="${PROTOCOL}"${consent} Destination="${asked.acs}" ID="${id}" InResponseTo="${asked.id}"` +
      ` IssueInstant="${by.now}" Version="2.0"><saml:Issuer xmlns:saml="${ASSERTION}">${by.entityId}</saml:Issuer>`,
    '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"></samlp:StatusCode></samlp:Status>' +
      `${by.assertion}</samlp:Response>`,
  ];
}

type Signing = { readonly key: KeyObject; readonly how: keyof typeof METHODS } | undefined;

/** One element, with its signature between its halves. */
function signedElement(id: string, [head, tail]: readonly [string, string], signing: Signing): string {
  return `${head}${signing === undefined ? '' : signatureOf(id, `${head}${tail}`, signing)}${tail}`;
}

const formOf = (xml: string, { relayState }: Asked): URLSearchParams =>
  new URLSearchParams({ SAMLResponse: Buffer.from(xml, 'utf8').toString('base64'), RelayState: relayState });

const instantFrom = (clock: Clock) => {
  const now_ms = clock.nowMs();
  return (seconds: number) => new Date(now_ms + seconds * 1000).toISOString();
};

const freshId = (): string => `_${randomUUID()}`;

/** The form that the browser would post to us, in answer to the request at `departure`. */
export function assertionAnswer(
  departure: string,
  by: {
    readonly entityId: string;
    readonly keys: { readonly own: KeyObject; readonly stranger: KeyObject };
    readonly clock: Clock;
  },
  bend: SamlBend = {},
): URLSearchParams {
  const asked = askedAt(departure);
  const { entityId, keys } = by;
  const { issuer = entityId, recipient = asked.acs, inResponseTo = asked.id, signed = 'own' } = bend;
  const { audience = asked.audience, nameId = NAME_ID, end_seconds = LIFE_SECONDS } = bend;
  const instant = instantFrom(by.clock);
  const id = freshId();
  const said = { ...asked, audience, issuer, recipient, inResponseTo, nameId, instant, end_seconds };
  const key = signed === 'stranger' ? keys.stranger : keys.own;
  const signing = signed === 'none' ? undefined : ({ key, how: signed === 'sha1' ? 'sha1' : 'sha256' } as const);
  const assertion = signedElement(id, halves(id, { ...said, ...PERSON }), signing);
  const forge = (text: string) =>
    text
      .replace(`>${nameId}</saml:NameID>`, `>${FORGED_NAME_ID}</saml:NameID>`)
      .replace(` ID="${id}"`, ` ID="${freshId()}"`);
  const content = bend.changed?.(assertion, forge) ?? assertion;
  const around = responseHalves(freshId(), asked, { entityId, now: instant(0), assertion: content });
  return formOf(around.join(''), asked);
}

/** The same as one of the providers that are replayed would post it. */
export function replayedAssertion(
  departure: string,
  by: { readonly replay: SamlReplay; readonly keys: { readonly own: KeyObject }; readonly clock: Clock },
): URLSearchParams {
  const asked = askedAt(departure);
  const { entityId, nameId, format = 'persistent', attributes, sign: where, digest, responseAttributes } = by.replay;
  const instant = instantFrom(by.clock);
  const signing = { key: by.keys.own, how: digest ?? 'sha256' } as const;
  const [id, outer] = [freshId(), freshId()];
  const said = { ...asked, issuer: entityId, recipient: asked.acs, inResponseTo: asked.id, nameId, attributes };
  const inner = halves(id, { ...said, format: FORMATS[format], instant, end_seconds: LIFE_SECONDS });
  const assertion = signedElement(id, inner, where === 'response' ? undefined : signing);
  const consent = responseAttributes?.['Consent'];
  const around = responseHalves(outer, asked, { entityId, now: instant(0), assertion, consent });
  return formOf(signedElement(outer, around, where === 'assertion' ? undefined : signing), asked);
}
