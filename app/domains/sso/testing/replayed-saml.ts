// Six providers (app/rehearsal/saml-profiles.ts), signed by keys of a test through the library that many providers use.
import { inflateRawSync } from 'node:zlib';
import { attribute, base64, freshId, signedResponse, type ResponseParts } from '@auditrax/saml/testing/generator';
import type { TestKey } from '@auditrax/saml/testing/keys';
import { FORMATS, type SamlReplay } from '../../../rehearsal/saml-profiles.ts';

const RSA_SHA512 = 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512';

/** What one answer says otherwise. */
export interface SaidInSaml {
  readonly nameId?: string;
  readonly format?: keyof typeof FORMATS;
  readonly attributes?: Readonly<Record<string, readonly string[]>>;
  readonly entityId?: string;
}

const LIFE_SECONDS = 300;
const SESSION_SECONDS = 28_800;

const instant = (seconds: number): string =>
  new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');

function partsOf(
  replay: SamlReplay,
  to: { readonly id: string; readonly acs: string; readonly audience: string },
  said: SaidInSaml,
): ResponseParts {
  const entityId = said.entityId ?? replay.entityId;
  const issuer = `<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${entityId}</saml:Issuer>`;
  const { nameId = replay.nameId, format = replay.format ?? 'persistent', attributes = replay.attributes } = said;
  const statement = Object.entries(attributes).map(([name, values]) => attribute(name, ...values));
  return {
    responseAttributes: {
      ID: freshId(),
      IssueInstant: instant(-1),
      Destination: to.acs,
      InResponseTo: to.id,
      ...replay.responseAttributes,
    },
    responseIssuer: issuer,
    assertion: {
      attributes: { ID: freshId(), IssueInstant: instant(-1) },
      issuer: `<saml:Issuer>${entityId}</saml:Issuer>`,
      nameId: `<saml:NameID Format="${FORMATS[format]}">${nameId}</saml:NameID>`,
      confirmationData: { InResponseTo: to.id, NotOnOrAfter: instant(LIFE_SECONDS), Recipient: to.acs },
      conditionsAttributes: { NotBefore: instant(-LIFE_SECONDS), NotOnOrAfter: instant(LIFE_SECONDS) },
      conditionsContent: `<saml:AudienceRestriction><saml:Audience>${to.audience}</saml:Audience></saml:AudienceRestriction>`,
      authnAttributes: { AuthnInstant: instant(-5), SessionNotOnOrAfter: instant(SESSION_SECONDS) },
      statement: `<saml:AttributeStatement>${statement.join('')}</saml:AttributeStatement>`,
    },
  };
}

/** The form that the browser brings back, after the provider was asked at `departure`. */
export function samlAnswerTo(
  replay: SamlReplay,
  given: { readonly departure: string; readonly key: TestKey; readonly acs: string; readonly audience: string },
  said: SaidInSaml = {},
): { readonly action: string; readonly fields: Readonly<Record<string, string>> } {
  const { key, acs, audience } = given;
  const asked = new URL(given.departure).searchParams;
  const request = inflateRawSync(Buffer.from(asked.get('SAMLRequest')!, 'base64')).toString('utf8');
  const id = / ID="([^"]+)"/.exec(request)![1]!;
  const xml = signedResponse(
    {
      key,
      sign: replay.sign,
      ...(replay.digest === undefined ? {} : { method: RSA_SHA512 }),
      ...(replay.inclusivePrefixes === undefined ? {} : { inclusivePrefixes: replay.inclusivePrefixes }),
    },
    partsOf(replay, { id, acs, audience }, said),
  );
  return { action: acs, fields: { SAMLResponse: base64(xml), RelayState: asked.get('RelayState')! } };
}
