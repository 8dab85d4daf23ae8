import { quoted, refusal, type SamlCode } from './errors.ts';
import { ID_CHARACTERS_MAX } from './limits.ts';
import { descendants, type XmlElement } from './tree.ts';

interface Rule {
  readonly attributes: readonly string[];
  /** The schema lets any attribute of another namespace stand here (ADFS writes `OriginalIssuer`). */
  readonly anyAttribute?: true;
  /** In the order of the schema; a step names alternatives, `*` lets each repeat. No steps: text only. */
  readonly steps?: readonly string[];
}

const NAME_ATTRIBUTES = ['NameQualifier', 'SPNameQualifier', 'Format', 'SPProvidedID'];
const BINARY: Rule = { attributes: [] };
const METHOD: Rule = { attributes: ['Algorithm'], steps: [] };

/** The part of SAML Core that a bearer assertion of a web sign-in needs. What is not in here is refused. */
const RESPONSE_RULES: Readonly<Record<string, Rule>> = {
  'samlp:Response': {
    attributes: ['ID', 'Version', 'IssueInstant', 'Destination', 'Consent', 'InResponseTo'],
    steps: ['saml:Issuer', 'ds:Signature', 'samlp:Status', 'saml:Assertion|saml:EncryptedAssertion*'],
  },
  'saml:Issuer': { attributes: NAME_ATTRIBUTES },
  'samlp:Status': { attributes: [], steps: ['samlp:StatusCode', 'samlp:StatusMessage'] },
  'samlp:StatusCode': { attributes: ['Value'], steps: ['samlp:StatusCode'] },
  'samlp:StatusMessage': { attributes: [] },
  'saml:Assertion': {
    attributes: ['ID', 'Version', 'IssueInstant'],
    steps: [
      'saml:Issuer',
      'ds:Signature',
      'saml:Subject',
      'saml:Conditions',
      'saml:AuthnStatement|saml:AttributeStatement*',
    ],
  },
  'saml:Subject': { attributes: [], steps: ['saml:NameID', 'saml:SubjectConfirmation*'] },
  'saml:NameID': { attributes: NAME_ATTRIBUTES },
  'saml:SubjectConfirmation': { attributes: ['Method'], steps: ['saml:SubjectConfirmationData'] },
  'saml:SubjectConfirmationData': {
    attributes: ['NotBefore', 'NotOnOrAfter', 'Recipient', 'InResponseTo', 'Address'],
    steps: [],
  },
  'saml:Conditions': {
    attributes: ['NotBefore', 'NotOnOrAfter'],
    steps: ['saml:AudienceRestriction|saml:OneTimeUse|saml:ProxyRestriction*'],
  },
  'saml:AudienceRestriction': { attributes: [], steps: ['saml:Audience*'] },
  'saml:Audience': { attributes: [] },
  'saml:OneTimeUse': { attributes: [], steps: [] },
  'saml:ProxyRestriction': { attributes: ['Count'], steps: ['saml:Audience*'] },
  'saml:AuthnStatement': {
    attributes: ['AuthnInstant', 'SessionIndex', 'SessionNotOnOrAfter'],
    steps: ['saml:SubjectLocality', 'saml:AuthnContext'],
  },
  'saml:SubjectLocality': { attributes: ['Address', 'DNSName'], steps: [] },
  'saml:AuthnContext': {
    attributes: [],
    steps: ['saml:AuthnContextClassRef', 'saml:AuthnContextDeclRef', 'saml:AuthenticatingAuthority*'],
  },
  'saml:AuthnContextClassRef': { attributes: [] },
  'saml:AuthnContextDeclRef': { attributes: [] },
  'saml:AuthenticatingAuthority': { attributes: [] },
  'saml:AttributeStatement': { attributes: [], steps: ['saml:Attribute*'] },
  'saml:Attribute': {
    attributes: ['Name', 'NameFormat', 'FriendlyName'],
    anyAttribute: true,
    steps: ['saml:AttributeValue*'],
  },
  'saml:AttributeValue': { attributes: ['xsi:type', 'xsi:nil'] },
};

/** XML Signature as far as a signature inside of its own element needs it. No ds:Object, no ds:Manifest. */
export const SIGNATURE_RULES: Readonly<Record<string, Rule>> = {
  'ds:Signature': { attributes: ['Id'], steps: ['ds:SignedInfo', 'ds:SignatureValue', 'ds:KeyInfo'] },
  'ds:SignedInfo': {
    attributes: ['Id'],
    steps: ['ds:CanonicalizationMethod', 'ds:SignatureMethod', 'ds:Reference*'],
  },
  'ds:CanonicalizationMethod': METHOD,
  'ds:SignatureMethod': METHOD,
  'ds:Reference': { attributes: ['Id', 'URI', 'Type'], steps: ['ds:Transforms', 'ds:DigestMethod', 'ds:DigestValue'] },
  'ds:Transforms': { attributes: [], steps: ['ds:Transform*'] },
  'ds:Transform': { attributes: ['Algorithm'], steps: ['ec:InclusiveNamespaces'] },
  'ec:InclusiveNamespaces': { attributes: ['PrefixList'], steps: [] },
  'ds:DigestMethod': METHOD,
  'ds:DigestValue': BINARY,
  'ds:SignatureValue': { attributes: ['Id'] },
  'ds:KeyInfo': {
    attributes: ['Id'],
    steps: ['ds:KeyName|ds:KeyValue|ds:X509Data|ds:RetrievalMethod|xenc:EncryptedKey*'],
  },
  'ds:KeyName': { attributes: [] },
  'ds:KeyValue': { attributes: [], steps: ['ds:RSAKeyValue'] },
  'ds:RSAKeyValue': { attributes: [], steps: ['ds:Modulus', 'ds:Exponent'] },
  'ds:Modulus': BINARY,
  'ds:Exponent': BINARY,
  'ds:X509Data': {
    attributes: [],
    steps: ['ds:X509IssuerSerial|ds:X509SKI|ds:X509SubjectName|ds:X509Certificate*'],
  },
  'ds:X509IssuerSerial': { attributes: [], steps: ['ds:X509IssuerName', 'ds:X509SerialNumber'] },
  'ds:X509IssuerName': { attributes: [] },
  'ds:X509SerialNumber': { attributes: [] },
  'ds:X509SKI': BINARY,
  'ds:X509SubjectName': { attributes: [] },
  'ds:X509Certificate': BINARY,
};

const ENCRYPTION_RULES: Readonly<Record<string, Rule>> = {
  'saml:EncryptedAssertion': { attributes: [], steps: ['xenc:EncryptedData', 'xenc:EncryptedKey'] },
  'xenc:EncryptedData': {
    attributes: ['Id', 'Type', 'MimeType', 'Encoding', 'Recipient'],
    steps: ['xenc:EncryptionMethod', 'ds:KeyInfo', 'xenc:CipherData'],
  },
  'xenc:EncryptedKey': {
    attributes: ['Id', 'Type', 'MimeType', 'Encoding', 'Recipient'],
    steps: ['xenc:EncryptionMethod', 'ds:KeyInfo', 'xenc:CipherData', 'xenc:ReferenceList', 'xenc:CarriedKeyName'],
  },
  'xenc:EncryptionMethod': { attributes: ['Algorithm'], steps: ['xenc:KeySize', 'ds:DigestMethod'] },
  'xenc:KeySize': { attributes: [] },
  'xenc:CipherData': { attributes: [], steps: ['xenc:CipherValue'] },
  'xenc:CipherValue': BINARY,
  'xenc:ReferenceList': { attributes: [], steps: ['xenc:DataReference*'] },
  'xenc:DataReference': { attributes: ['URI'], steps: [] },
  'xenc:CarriedKeyName': { attributes: [] },
  'ds:RetrievalMethod': { attributes: ['URI', 'Type'], steps: [] },
};

interface Step {
  readonly rank: number;
  readonly repeats: boolean;
}

interface CompiledRule {
  readonly attributes: ReadonlySet<string>;
  readonly anyAttribute: boolean;
  readonly steps: ReadonlyMap<string, Step> | undefined;
}

function compile(rules: Readonly<Record<string, Rule>>): ReadonlyMap<string, CompiledRule> {
  return new Map(
    Object.entries(rules).map(([name, { attributes, anyAttribute, steps }]) => {
      const compiled = steps?.flatMap((step, rank) =>
        step.split('|').map((alternative): [string, Step] => {
          const repeats = step.endsWith('*');
          return [alternative.replace('*', ''), { rank, repeats }];
        }),
      );
      return [
        name,
        {
          attributes: new Set(attributes),
          anyAttribute: anyAttribute ?? false,
          steps: compiled === undefined ? undefined : new Map(compiled),
        },
      ];
    }),
  );
}

const RULES = compile({ ...RESPONSE_RULES, ...SIGNATURE_RULES, ...ENCRYPTION_RULES });
const SIGNATURE_ONLY = compile(SIGNATURE_RULES);

/** Known tricks get a name of their own, so that an administrator's page says what was tried. */
const NAMED: ReadonlyMap<string, SamlCode> = new Map([
  ['samlp:Extensions', 'saml_extensions'],
  ['saml:Advice', 'saml_advice'],
  ['ds:Object', 'saml_signature_object'],
  ['ds:Signature', 'saml_signature_misplaced'],
  ['saml:Assertion', 'saml_assertion_misplaced'],
  ['saml:EncryptedAssertion', 'saml_assertion_misplaced'],
  ['ec:InclusiveNamespaces', 'saml_inclusive_namespaces_misplaced'],
]);

/** G9 and G10: every element below `root` stands where the rules want it, in order and number, with text or children. */
function checkElement(element: XmlElement, rules: ReadonlyMap<string, CompiledRule>): void {
  const rule = rules.get(element.name);
  if (rule === undefined) throw refusal(NAMED.get(element.name) ?? 'saml_element_unexpected', quoted(element.name));
  for (const key of element.attributes.keys()) {
    const isForeign = key.startsWith('{') && rule.anyAttribute;
    if (!rule.attributes.has(key) && (!isForeign || /}id$/i.test(key)))
      throw refusal('saml_attribute_unexpected', `${quoted(key)} at ${element.name}`);
  }
  if (rule.steps === undefined) {
    const [child] = element.children;
    if (child !== undefined) throw refusal('saml_value_not_text', `${quoted(child.name)} in ${element.name}`);
    return;
  }
  if (element.text.trim() !== '') throw refusal('saml_text_unexpected', element.name);
  checkSequence(element, rule.steps);
  for (const child of element.children) checkElement(child, rules);
}

function checkSequence(element: XmlElement, steps: ReadonlyMap<string, Step>): void {
  let rank = 0;
  const seen = new Set<string>();
  for (const { name } of element.children) {
    const step = steps.get(name);
    if (step === undefined)
      throw refusal(NAMED.get(name) ?? 'saml_element_unexpected', `${quoted(name)} in ${element.name}`);
    if (seen.has(name) && !step.repeats) throw refusal('saml_element_repeated', `${name} in ${element.name}`);
    if (step.rank < rank) throw refusal('saml_element_order', `${name} in ${element.name}`);
    rank = step.rank;
    seen.add(name);
  }
}

/** An XML name without a colon, as an ID must be; quotes would end a query of the verifier. */
const ID = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

/** G11: IDs are names and unique, whatever the case of the attribute: the verifier searches `ID`, `Id` and `id`. */
export function checkIds(root: XmlElement): void {
  const seen = new Set<string>();
  for (const { name, attributes } of descendants(root)) {
    for (const [key, value] of attributes) {
      if (!/^(?:.*[:}])?id$/i.test(key)) continue;
      if (!ID.test(value) || value.length > ID_CHARACTERS_MAX) throw refusal('saml_id_invalid', `at ${name}`);
      if (seen.has(value)) throw refusal('saml_id_duplicate', quoted(value));
      seen.add(value);
    }
  }
  for (const { name, attributes } of descendants(root)) {
    const needsId = name === 'samlp:Response' || name === 'saml:Assertion';
    if (needsId && !attributes.has('ID')) throw refusal('saml_id_invalid', `${name} has none`);
  }
}

/** Pass 2 for a whole response or, after decryption, for an assertion alone. */
export function checkStructure(root: XmlElement, expected: 'samlp:Response' | 'saml:Assertion'): void {
  if (root.name !== expected) throw refusal('saml_root', quoted(root.name));
  checkElement(root, RULES);
  checkIds(root);
}

/** The same for a signature in a document of another kind (metadata). */
export function checkSignatureElement(signature: XmlElement): void {
  checkElement(signature, SIGNATURE_ONLY);
}
