import { beforeAll, describe, expect, it } from 'vitest';
import { ASSERTION, DSIG, PROTOCOL } from './names.ts';
import {
  ASSERTION_ID,
  assertionXml,
  attribute,
  cutSignature,
  NAME_ID,
  RESPONSE_ID,
  responseXml,
  signedResponse,
  signElement,
} from './testing/generator.ts';
import { makeTestWorld, verdict, type TestWorld } from './testing/world.ts';

let world: TestWorld;
/** Signed assertion in an unsigned response, as ADFS and Entra send it. */
let good: string;
/** The signed assertion alone. */
let assertion: string;
/** The attacker's assertion: unsigned, otherwise valid. */
let forged: string;
beforeAll(async () => {
  world = await makeTestWorld();
  good = signedResponse({ key: world.idp });
  assertion = signElement(assertionXml(), 'Assertion', { key: world.idp });
  forged = assertionXml({ attributes: { ID: '_evil' }, nameId: '<saml:NameID>admin</saml:NameID>' });
});

const judge = (xml: string) => verdict(world, xml);
const evilAround = (inner: string) => forged.replace('</saml:Issuer>', `</saml:Issuer>${inner}`);

describe('G7 G8 G9: signature wrapping, each with a real signature over the real assertion', () => {
  it('the unspoilt message is accepted', async () => {
    expect(await judge(good)).toBe(`accepted as ${NAME_ID}`);
  });

  it('XSW1: the signed response inside the signature of a forged one', async () => {
    const signed = signElement(responseXml(), 'Response', { key: world.idp });
    const { without, signature } = cutSignature(signed);
    const holding = signature.replace('</ds:Signature>', `${without}</ds:Signature>`);
    const evil = responseXml({ responseAttributes: { ID: '_evil-response' } }, forged);
    expect(await judge(evil.replace('</saml:Issuer>', `</saml:Issuer>${holding}`))).toBe('saml_element_unexpected');
  });

  it('XSW2: the signed response beside the signature in a forged one', async () => {
    const signed = signElement(responseXml(), 'Response', { key: world.idp });
    const { without, signature } = cutSignature(signed);
    const evil = responseXml({ responseAttributes: { ID: '_evil-response' } }, forged);
    expect(await judge(evil.replace('</saml:Issuer>', `</saml:Issuer>${without}${signature}`))).toBe(
      'saml_element_unexpected',
    );
  });

  it('XSW3: a forged assertion before the signed one', async () => {
    expect(await judge(responseXml({ beforeAssertion: forged }, assertion))).toBe('saml_assertion_count');
  });

  it('XSW4: the signed assertion inside a forged one', async () => {
    expect(await judge(responseXml({}, forged.replace('</saml:Assertion>', `${assertion}</saml:Assertion>`)))).toBe(
      'saml_assertion_misplaced',
    );
  });

  it('XSW5: a forged assertion takes the signature, the signed one stands at the end', async () => {
    const { without, signature } = cutSignature(assertion);
    expect(await judge(responseXml({ afterAssertion: without }, evilAround(signature)))).toBe('saml_assertion_count');
  });

  it('XSW6: the signed assertion inside the signature of a forged one', async () => {
    const { without, signature } = cutSignature(assertion);
    const holding = signature.replace('</ds:Signature>', `${without}</ds:Signature>`);
    expect(await judge(responseXml({}, evilAround(holding)))).toBe('saml_assertion_misplaced');
  });

  it('XSW7: a forged assertion in samlp:Extensions', async () => {
    const extensions = `<samlp:Extensions>${forged}</samlp:Extensions>`;
    expect(await judge(responseXml({ extensions }, assertion))).toBe('saml_extensions');
  });

  it('XSW8: the signed assertion in a ds:Object of the signature', async () => {
    const { without, signature } = cutSignature(assertion);
    const holding = signature.replace('</ds:Signature>', `<ds:Object>${without}</ds:Object></ds:Signature>`);
    expect(await judge(responseXml({}, evilAround(holding)))).toBe('saml_signature_object');
  });

  it('the signed assertion in saml:Advice of a forged one', async () => {
    expect(
      await judge(
        responseXml(
          {},
          assertionXml({ attributes: { ID: '_evil' }, advice: `<saml:Advice>${assertion}</saml:Advice>` }),
        ),
      ),
    ).toBe('saml_advice');
  });

  it('an Advice in the signed assertion itself', async () => {
    const advice = `<saml:Advice>${assertionXml({ attributes: { ID: '_other' } })}</saml:Advice>`;
    expect(await judge(signedResponse({ key: world.idp }, { assertion: { advice } }))).toBe('saml_advice');
  });

  it('the forged assertion in a namespace that only looks alike', async () => {
    const alike = forged.replace(ASSERTION, `${ASSERTION}#`);
    expect(await judge(responseXml({ beforeAssertion: alike }, assertion))).toBe('saml_namespace_foreign');
  });

  it('the forged assertion in no namespace', async () => {
    expect(await judge(responseXml({ beforeAssertion: '<Assertion ID="_evil"/>' }, assertion))).toBe(
      'saml_namespace_foreign',
    );
  });

  it('a SOAP envelope, a bare assertion and another message as the root', async () => {
    expect(await judge(`<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/">${good}</S:Envelope>`)).toBe(
      'saml_namespace_foreign',
    );
    expect(await judge(assertion)).toBe('saml_root');
    expect(await judge(good.replaceAll('samlp:Response', 'samlp:LogoutResponse'))).toBe('saml_root');
    expect(await judge(`<samlp:Response xmlns:samlp="${PROTOCOL}" ID="_outer">${good}</samlp:Response>`)).toBe(
      'saml_element_unexpected',
    );
  });
});

describe('G8: namespaces', () => {
  it.each(['1', 'relative/path', '#', '', 'http://a b', 'http://www.w3.org/2000/xmlns/'])(
    'refuses the declaration %j (void canonicalization)',
    async (uri) => {
      const result = await judge(good.replace('<samlp:Response ', `<samlp:Response xmlns:v="${uri}" `));
      expect(result).toBe('saml_namespace_declaration');
    },
  );

  it('refuses InclusiveNamespaces outside of ds:Transform', async () => {
    const inclusive = '<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="xs"/>';
    for (const place of ['</ds:SignedInfo>', '</saml:Subject>', '</ds:KeyInfo>', '</samlp:Status>'])
      expect(await judge(good.replace(place, `${inclusive}${place}`)), place).toBe(
        'saml_inclusive_namespaces_misplaced',
      );
    const canonicalization = good.replace(
      /<ds:CanonicalizationMethod ([^>]*)\/>/,
      `<ds:CanonicalizationMethod $1>${inclusive}</ds:CanonicalizationMethod>`,
    );
    expect(await judge(canonicalization)).toBe('saml_inclusive_namespaces_misplaced');
    const enveloped = good.replace(
      /<ds:Transform (Algorithm="[^"]*enveloped-signature")\/>/,
      `<ds:Transform $1>${inclusive}</ds:Transform>`,
    );
    expect(await judge(enveloped)).toBe('saml_transforms');
  });
});

describe('G9: what has no place', () => {
  it.each<[string, string, (xml: string) => string]>([
    [
      'Extensions without content',
      'saml_extensions',
      (xml) => xml.replace('<samlp:Status>', '<samlp:Extensions/><samlp:Status>'),
    ],
    [
      'a StatusDetail',
      'saml_element_unexpected',
      (xml) => xml.replace('</samlp:Status>', '<samlp:StatusDetail/></samlp:Status>'),
    ],
    [
      'an EncryptedID',
      'saml_element_unexpected',
      (xml) => xml.replace('</saml:Subject>', '<saml:EncryptedID/></saml:Subject>'),
    ],
    [
      'a second NameID',
      'saml_element_repeated',
      (xml) => xml.replace('</saml:NameID>', '</saml:NameID><saml:NameID>admin</saml:NameID>'),
    ],
    [
      'a second Subject',
      'saml_element_repeated',
      (xml) => xml.replace('</saml:Subject>', '</saml:Subject><saml:Subject/>'),
    ],
    [
      'a second Issuer',
      'saml_element_repeated',
      (xml) => xml.replace('</saml:Issuer>', `</saml:Issuer><saml:Issuer xmlns:saml="${ASSERTION}">x</saml:Issuer>`),
    ],
    [
      'a Status after the assertion',
      'saml_element_repeated',
      (xml) => xml.replace('</samlp:Response>', '<samlp:Status/></samlp:Response>'),
    ],
    [
      'a Conditions before the Subject',
      'saml_element_order',
      (xml) =>
        xml
          .replace('<saml:Subject>', '<saml:Conditions/><saml:Subject>')
          .replace(/<saml:Conditions N.*?<\/saml:Conditions>/, ''),
    ],
    [
      'an attribute of no schema',
      'saml_attribute_unexpected',
      (xml) => xml.replace('<saml:Subject>', '<saml:Subject admin="true">'),
    ],
    [
      'xml:base',
      'saml_attribute_unexpected',
      (xml) => xml.replace('<saml:Subject>', '<saml:Subject xml:base="http://attacker.example/">'),
    ],
    [
      'xml:id',
      'saml_attribute_unexpected',
      (xml) => xml.replace('<saml:Subject>', `<saml:Subject xml:id="${ASSERTION_ID}">`),
    ],
    [
      'an id in a foreign namespace',
      'saml_attribute_unexpected',
      (xml) => xml.replace('<saml:Attribute ', `<saml:Attribute xmlns:w="urn:w" w:Id="${ASSERTION_ID}" `),
    ],
    [
      'xsi:type at the Subject',
      'saml_attribute_unexpected',
      (xml) =>
        xml.replace(
          '<saml:Subject>',
          '<saml:Subject xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x">',
        ),
    ],
  ])('refuses %s', async (_name, code, spoil) => {
    expect(await judge(spoil(good))).toBe(code);
  });

  it('takes a foreign attribute where the schema does (ADFS)', async () => {
    const adfs = attribute('upn', 'alice').replace(
      '<saml:Attribute ',
      '<saml:Attribute xmlns:a="http://schemas.xmlsoap.org/ws/2009/09/identity/claims" a:OriginalIssuer="x" ',
    );
    expect(
      await judge(
        signedResponse(
          { key: world.idp },
          { assertion: { statement: `<saml:AttributeStatement>${adfs}</saml:AttributeStatement>` } },
        ),
      ),
    ).toBe(`accepted as ${NAME_ID}`);
  });
});

describe('G10: values are text', () => {
  const signed = (nameId: string) => judge(signedResponse({ key: world.idp }, { assertion: { nameId } }));
  it('refuses a child in a NameID, signed by the provider itself', async () => {
    expect(await signed(`<saml:NameID>admin<saml:NameID>x</saml:NameID></saml:NameID>`)).toBe('saml_value_not_text');
    expect(await signed(`<saml:NameID>ali<saml:Audience/>ce</saml:NameID>`)).toBe('saml_value_not_text');
  });
  it('refuses a child in an AttributeValue', async () => {
    const statement = `<saml:AttributeStatement><saml:Attribute Name="a"><saml:AttributeValue><saml:NameID>x</saml:NameID></saml:AttributeValue></saml:Attribute></saml:AttributeStatement>`;
    expect(await judge(signedResponse({ key: world.idp }, { assertion: { statement } }))).toBe('saml_value_not_text');
  });
  it('refuses a child in DigestValue and SignatureValue', async () => {
    for (const name of ['DigestValue', 'SignatureValue'])
      expect(await judge(good.replace(`<ds:${name}>`, `<ds:${name}><ds:${name}>AAAA</ds:${name}>`))).toBe(
        'saml_value_not_text',
      );
  });
  it('refuses text between elements', async () => {
    expect(await judge(good.replace('<saml:Subject>', '<saml:Subject>admin'))).toBe('saml_text_unexpected');
    expect(await judge(good.replace('</ds:SignedInfo>', 'x</ds:SignedInfo>'))).toBe('saml_text_unexpected');
  });
});

describe('G11: IDs are unique names', () => {
  it('refuses one ID twice, also in other letters', async () => {
    expect(await judge(good.replace(`ID="${RESPONSE_ID}"`, `ID="${ASSERTION_ID}"`))).toBe('saml_id_duplicate');
    expect(await judge(good.replace('<ds:SignedInfo>', `<ds:SignedInfo Id="${ASSERTION_ID}">`))).toBe(
      'saml_id_duplicate',
    );
  });
  it.each(["_a' or '1'='1", 'a b', '1a', '', '#a', 'ä', 'a:b', `_${'a'.repeat(300)}`])(
    'refuses the ID %j',
    async (id) => {
      expect(await judge(good.replace(`ID="${RESPONSE_ID}"`, `ID="${id}"`))).toBe('saml_id_invalid');
    },
  );
  it('refuses a missing ID', async () => {
    expect(await judge(good.replace(` ID="${RESPONSE_ID}"`, ''))).toBe('saml_id_invalid');
    expect(await judge(responseXml({ assertion: { attributes: { ID: undefined } } }))).toBe('saml_id_invalid');
  });
});

describe('G12: exactly one assertion', () => {
  it('refuses none, two signed ones, and one beside an encrypted one', async () => {
    expect(await judge(signElement(responseXml({}, ''), 'Response', { key: world.idp }))).toBe('saml_assertion_count');
    const second = signElement(assertionXml({ attributes: { ID: '_second' } }), 'Assertion', { key: world.idp });
    expect(await judge(responseXml({}, assertion + second))).toBe('saml_assertion_count');
    expect(
      await judge(
        signElement(responseXml({}, assertionXml() + assertionXml({ attributes: { ID: '_second' } })), 'Response', {
          key: world.idp,
        }),
      ),
    ).toBe('saml_assertion_count');
    expect(
      await judge(responseXml({ afterAssertion: `<saml:EncryptedAssertion xmlns:saml="${ASSERTION}"/>` }, assertion)),
    ).toBe('saml_assertion_count');
  });
  it('refuses an assertion inside of another element', async () => {
    expect(await judge(good.replace('</samlp:Status>', `${forged}</samlp:Status>`))).toBe('saml_assertion_misplaced');
    expect(await judge(good.replace('</ds:KeyInfo>', `${forged}</ds:KeyInfo>`))).toBe('saml_assertion_misplaced');
  });
});

describe('G13: signatures in their places', () => {
  it('refuses an unsigned and a stripped message', async () => {
    expect(await judge(responseXml())).toBe('saml_unsigned');
    expect(await judge(cutSignature(good).without)).toBe('saml_unsigned');
  });
  it('refuses a signature elsewhere', async () => {
    const { without, signature } = cutSignature(good);
    for (const place of [
      '</samlp:Status>',
      '</saml:Subject>',
      '</saml:Conditions>',
      '</saml:AttributeStatement>',
      '</samlp:StatusCode>',
    ])
      if (without.includes(place))
        expect(await judge(without.replace(place, `${signature}${place}`)), place).toBe('saml_signature_misplaced');
    expect(await judge(without.replace('</saml:Assertion>', `${signature}</saml:Assertion>`))).toBe(
      'saml_element_order',
    );
  });
  it('refuses the signature of the assertion as that of the response', async () => {
    const { without, signature } = cutSignature(good);
    expect(await judge(without.replace('</saml:Issuer>', `</saml:Issuer>${signature}`))).toBe('saml_reference_target');
  });
});

describe('G14: decoys and other shapes of signatures', () => {
  const decoy = (spoil: (signature: string) => string) => {
    const { without, signature } = cutSignature(good);
    const end = '</saml:Issuer>';
    const at = without.lastIndexOf(end) + end.length;
    return judge(without.slice(0, at) + spoil(signature) + without.slice(at));
  };
  const inInfo = (signature: string, from: RegExp | string, to: string) => signature.replace(from, to);

  it.each<[string, string, (signature: string) => string]>([
    ['a decoy with the same value before it', 'saml_element_repeated', (signature) => signature + signature],
    [
      'a decoy inside',
      'saml_signature_misplaced',
      (signature) => inInfo(signature, '</ds:Signature>', `<ds:Signature/></ds:Signature>`),
    ],
    [
      'a decoy in KeyInfo',
      'saml_signature_misplaced',
      (signature) => inInfo(signature, '</ds:KeyInfo>', `<ds:Signature/></ds:KeyInfo>`),
    ],
    [
      'two SignedInfo (CVE-2025-29774)',
      'saml_element_repeated',
      (signature) => inInfo(signature, /(<ds:SignedInfo>.*<\/ds:SignedInfo>)/, '$1$1'),
    ],
    [
      'two SignatureValue',
      'saml_element_repeated',
      (signature) => inInfo(signature, /(<ds:SignatureValue>.*<\/ds:SignatureValue>)/, '$1$1'),
    ],
    [
      'two KeyInfo',
      'saml_element_repeated',
      (signature) => inInfo(signature, /(<ds:KeyInfo>.*<\/ds:KeyInfo>)/, '$1$1'),
    ],
    [
      'SignatureValue first',
      'saml_element_order',
      (signature) =>
        inInfo(signature, /(<ds:SignedInfo>.*<\/ds:SignedInfo>)(<ds:SignatureValue>.*<\/ds:SignatureValue>)/, '$2$1'),
    ],
    [
      'no SignedInfo',
      'saml_signature_shape',
      (signature) => inInfo(signature, /<ds:SignedInfo>.*<\/ds:SignedInfo>/, ''),
    ],
    [
      'no SignatureValue',
      'saml_signature_shape',
      (signature) => inInfo(signature, /<ds:SignatureValue>.*<\/ds:SignatureValue>/, ''),
    ],
    [
      'an empty SignatureValue',
      'saml_signature_shape',
      (signature) => inInfo(signature, /<ds:SignatureValue>[^<]*/, '<ds:SignatureValue>'),
    ],
    [
      'a ds:Object',
      'saml_signature_object',
      (signature) => inInfo(signature, '</ds:Signature>', '<ds:Object/></ds:Signature>'),
    ],
    [
      'a ds:Manifest',
      'saml_element_unexpected',
      (signature) => inInfo(signature, '</ds:Signature>', '<ds:Manifest/></ds:Signature>'),
    ],
    ['no reference', 'saml_reference_count', (signature) => inInfo(signature, /<ds:Reference.*<\/ds:Reference>/, '')],
    [
      'two references',
      'saml_reference_count',
      (signature) => inInfo(signature, /(<ds:Reference.*<\/ds:Reference>)/, '$1$1'),
    ],
    [
      'a reference to the response',
      'saml_reference_target',
      (signature) => inInfo(signature, /URI="[^"]*"/, `URI="#${RESPONSE_ID}"`),
    ],
    [
      'a reference to the whole document',
      'saml_reference_target',
      (signature) => inInfo(signature, /URI="[^"]*"/, 'URI=""'),
    ],
    [
      'a reference to an address',
      'saml_reference_target',
      (signature) => inInfo(signature, /URI="[^"]*"/, 'URI="https://attacker.example/"'),
    ],
    ['a reference without URI', 'saml_reference_target', (signature) => inInfo(signature, / URI="[^"]*"/, '')],
    [
      'an XPointer',
      'saml_reference_target',
      (signature) => inInfo(signature, /URI="[^"]*"/, `URI="#xpointer(id('${ASSERTION_ID}'))"`),
    ],
    ['no transforms', 'saml_transforms', (signature) => inInfo(signature, /<ds:Transforms>.*<\/ds:Transforms>/, '')],
    [
      'one transform',
      'saml_transforms',
      (signature) => inInfo(signature, /<ds:Transform [^>]*enveloped-signature"\/>/, ''),
    ],
    [
      'a third transform',
      'saml_transforms',
      (signature) =>
        inInfo(
          signature,
          '</ds:Transforms>',
          '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>',
        ),
    ],
    [
      'an XPath transform',
      'saml_transforms',
      (signature) =>
        inInfo(
          signature,
          'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
          'http://www.w3.org/TR/1999/REC-xpath-19991116',
        ),
    ],
    [
      'an XSLT transform',
      'saml_transforms',
      (signature) =>
        inInfo(
          signature,
          'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
          'http://www.w3.org/TR/1999/REC-xslt-19991116',
        ),
    ],
    [
      'canonicalization with comments',
      'saml_transforms',
      (signature) => inInfo(signature, /(<ds:Transform Algorithm="[^"]*xml-exc-c14n#)"/, '$1WithComments"'),
    ],
    [
      'transforms in the other order',
      'saml_transforms',
      (signature) => inInfo(signature, /(<ds:Transform [^>]*\/>)(<ds:Transform [^>]*\/>)/, '$2$1'),
    ],
    [
      'a RetrievalMethod in KeyInfo',
      'saml_signature_shape',
      (signature) =>
        inInfo(
          signature,
          /<ds:KeyInfo>.*<\/ds:KeyInfo>/,
          '<ds:KeyInfo><ds:RetrievalMethod URI="https://attacker.example/"/></ds:KeyInfo>',
        ),
    ],
    [
      'an output length (HMAC truncation)',
      'saml_element_unexpected',
      (signature) =>
        inInfo(
          signature,
          /<ds:SignatureMethod ([^>]*)\/>/,
          '<ds:SignatureMethod $1><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>',
        ),
    ],
    [
      'a digest value that is no base64',
      'saml_signature_shape',
      (signature) => inInfo(signature, /<ds:DigestValue>/, '<ds:DigestValue>%'),
    ],
  ])('refuses %s', async (_name, code, spoil) => {
    expect(await decoy(spoil)).toBe(code);
  });
});

describe('G15: algorithms', () => {
  const DS = DSIG;
  it.each<[string, Record<string, string>]>([
    ['RSA with SHA-1', { method: `${DS}rsa-sha1` }],
    ['a SHA-1 digest', { digest: `${DS}sha1` }],
    [
      'inclusive canonicalization of SignedInfo',
      { canonicalization: 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315' },
    ],
    [
      'canonicalization of SignedInfo with comments',
      { canonicalization: 'http://www.w3.org/2001/10/xml-exc-c14n#WithComments' },
    ],
  ])('refuses %s, really signed by the provider', async (_name, options) => {
    for (const sign of ['assertion', 'response'] as const)
      expect(await judge(signedResponse({ key: world.idp, sign, ...options }))).toBe('saml_algorithm_refused');
  });
  it.each([
    `${DS}hmac-sha1`,
    'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256',
    `${DS}dsa-sha1`,
    'http://www.w3.org/2001/04/xmldsig-more#rsa-md5',
    'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256',
    'none',
    '',
  ])('refuses the method %j', async (method) => {
    expect(await judge(good.replace(/(<ds:SignatureMethod Algorithm=")[^"]*/, `$1${method}`))).toBe(
      'saml_algorithm_refused',
    );
  });
  it('takes what is on the list, and only what the connection’s own list has', async () => {
    const methods = {
      'rsa-sha256': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
      'rsa-sha512': 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
      'rsa-pss-sha256': 'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
    };
    for (const [name, method] of Object.entries(methods)) {
      const xml = signedResponse({ key: world.idp, method, digest: 'http://www.w3.org/2001/04/xmlenc#sha512' });
      expect(await verdict(world, xml), name).toBe(`accepted as ${NAME_ID}`);
      const others = Object.keys(methods).filter((other) => other !== name);
      expect(await verdict(world, xml, { connection: { signatureAlgorithms: others } }), name).toBe(
        'saml_algorithm_refused',
      );
    }
  });
});
