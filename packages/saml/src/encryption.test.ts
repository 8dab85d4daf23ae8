import { beforeAll, describe, expect, it } from 'vitest';
import { assertionXml, encryptAssertion, NAME_ID, responseXml, signElement } from './testing/generator.ts';
import { attempt, makeTestWorld, verdict, type TestWorld } from './testing/world.ts';

const CBC = 'http://www.w3.org/2001/04/xmlenc#aes256-cbc';
const CBC_128 = 'http://www.w3.org/2001/04/xmlenc#aes128-cbc';
const GCM = 'http://www.w3.org/2009/xmlenc11#aes256-gcm';
const GCM_128 = 'http://www.w3.org/2009/xmlenc11#aes128-gcm';
const ACCEPTED = `accepted as ${NAME_ID}`;

let world: TestWorld;
beforeAll(async () => {
  world = await makeTestWorld();
});

interface Wanted {
  readonly algorithm?: string;
  readonly transport?: string;
  readonly inner?: string;
  readonly signResponse?: boolean;
  /** On the encrypted assertion, before the response around it is signed. */
  readonly spoil?: (encrypted: string) => string;
  readonly parts?: Parameters<typeof assertionXml>[0];
}

async function encrypted(wanted: Wanted = {}): Promise<string> {
  const inner = wanted.inner ?? signElement(assertionXml(wanted.parts), 'Assertion', { key: world.idp });
  const element = await encryptAssertion(inner, {
    certificate: world.sp.certificate,
    publicKey: world.sp.publicKey,
    algorithm: wanted.algorithm ?? GCM,
    ...(wanted.transport === undefined ? {} : { transport: wanted.transport }),
  });
  const xml = responseXml({}, wanted.spoil?.(element) ?? element);
  return wanted.signResponse === true ? signElement(xml, 'Response', { key: world.idp }) : xml;
}

const judge = async (wanted?: Wanted, keys = [world.sp.privateKey]) =>
  verdict(world, await encrypted(wanted), { decryptionKeys: keys });

describe('G16: encrypted assertions', () => {
  it.each([GCM, GCM_128])('takes %s, the response signed or not', async (algorithm) => {
    expect(await judge({ algorithm })).toBe(ACCEPTED);
    expect(await judge({ algorithm, signResponse: true })).toBe(ACCEPTED);
  });

  it.each([CBC, CBC_128])('takes %s in a signed response', async (algorithm) => {
    expect(await judge({ algorithm, signResponse: true })).toBe(ACCEPTED);
  });

  it('says what was signed, and that it was encrypted', async () => {
    const options = { decryptionKeys: [world.sp.privateKey] };
    const result = async (wanted: Wanted) => attempt(world, await encrypted(wanted), options);
    expect(await result({})).toMatchObject({ signed: 'assertion', isEncrypted: true, signedBy: world.idp.fingerprint });
    expect(await result({ signResponse: true })).toMatchObject({ signed: 'both', isEncrypted: true });
    expect(await result({ signResponse: true, inner: assertionXml() })).toMatchObject({
      signed: 'response',
      isEncrypted: true,
    });
  });

  it('takes either of two overlapping keys of ours', async () => {
    const keys = [world.next.privateKey, world.sp.privateKey];
    expect(await judge({}, keys)).toBe(ACCEPTED);
    expect(await judge({ signResponse: true, algorithm: CBC }, keys)).toBe(ACCEPTED);
  });

  it('refuses RSA 1.5, which lets an attacker decrypt by asking', async () => {
    for (const signResponse of [true, false])
      expect(await judge({ transport: 'http://www.w3.org/2001/04/xmlenc#rsa-1_5', signResponse })).toBe(
        'saml_encryption_algorithm',
      );
  });

  it('refuses triple DES and whatever else is not on the list', async () => {
    expect(await judge({ algorithm: 'http://www.w3.org/2001/04/xmlenc#tripledes-cbc', signResponse: true })).toBe(
      'saml_encryption_algorithm',
    );
    for (const name of ['http://www.w3.org/2001/04/xmlenc#aes192-cbc', 'none', ''])
      expect(await judge({ spoil: (xml) => xml.replace(GCM, name) })).toBe('saml_encryption_algorithm');
  });

  it('refuses an OAEP digest that the decrypter would not use', async () => {
    const digest = (name: string) => ({
      spoil: (xml: string) =>
        xml.replace(
          /(<e:EncryptionMethod Algorithm="[^"]*mgf1p">).*?(<\/e:EncryptionMethod>)/s,
          `$1<DigestMethod Algorithm="${name}" xmlns="http://www.w3.org/2000/09/xmldsig#"/>$2`,
        ),
    });
    expect(await judge(digest('http://www.w3.org/2001/04/xmlenc#sha256'))).toBe('saml_encryption_algorithm');
    expect(await judge(digest('http://www.w3.org/2000/09/xmldsig#sha256'))).toBe('saml_encryption_algorithm');
    expect(await judge(digest('http://www.w3.org/2000/09/xmldsig#sha1'))).toBe(ACCEPTED);
  });

  it('refuses it where this side has no key', async () => {
    expect(await judge({}, [])).toBe('saml_encryption_no_key');
  });

  it.each<[string, (xml: string) => string, string]>([
    [
      'a reference instead of the ciphertext',
      (xml) =>
        xml.replace(
          /<xenc:CipherValue>[^<]*<\/xenc:CipherValue>/,
          '<xenc:CipherReference URI="https://attacker.example/"/>',
        ),
      'saml_element_unexpected',
    ],
    [
      'a ciphertext with a child',
      (xml) => xml.replace('<xenc:CipherValue>', '<xenc:CipherValue><xenc:CipherValue/>'),
      'saml_value_not_text',
    ],
    [
      'a ciphertext that is no base64',
      (xml) => xml.replace('<xenc:CipherValue>', '<xenc:CipherValue>%'),
      'saml_encryption_shape',
    ],
    ['two keys', (xml) => xml.replace(/(<e:EncryptedKey.*<\/e:EncryptedKey>)/s, '$1$1'), 'saml_encryption_shape'],
    ['no key', (xml) => xml.replace(/<e:EncryptedKey.*<\/e:EncryptedKey>/s, ''), 'saml_encryption_shape'],
    [
      'a query in the reference to the key',
      (xml) => xml.replace(/(<KeyInfo[^>]*>)/, `$1<RetrievalMethod URI="#x' or '1'='1"/>`),
      'saml_encryption_shape',
    ],
    ['content instead of an element', (xml) => xml.replace('#Element"', '#Content"'), 'saml_encryption_shape'],
    [
      'no ciphertext',
      (xml) => xml.replace(/<xenc:EncryptedData.*<\/xenc:EncryptedData>/s, ''),
      'saml_encryption_shape',
    ],
    [
      'a clear assertion beside the ciphertext',
      (xml) => xml.replace('</saml:EncryptedAssertion>', `${assertionXml()}</saml:EncryptedAssertion>`),
      'saml_assertion_misplaced',
    ],
  ])('refuses %s', async (_name, spoil, code) => {
    const before = await encrypted();
    expect(spoil(before)).not.toBe(before);
    expect(await judge({ spoil })).toBe(code);
  });

  it('takes a key beside the data with a reference (Lasso, Shibboleth)', async () => {
    const spoil = (xml: string) => {
      const key = /<e:EncryptedKey.*<\/e:EncryptedKey>/s.exec(xml)![0];
      const reference = '<RetrievalMethod Type="http://www.w3.org/2001/04/xmlenc#EncryptedKey" URI="#_key"/>';
      return xml
        .replace(key, reference)
        .replace(
          '</saml:EncryptedAssertion>',
          `${key.replace('<e:EncryptedKey ', '<e:EncryptedKey Id="_key" xmlns="http://www.w3.org/2000/09/xmldsig#" ')}</saml:EncryptedAssertion>`,
        );
    };
    expect(await judge({ spoil })).toBe(ACCEPTED);
    expect(await judge({ spoil: (xml) => spoil(xml).replace('URI="#_key"', 'URI="#_other"') })).toBe(
      'saml_encryption_shape',
    );
  });
});

describe('G17: a ciphertext that does not authenticate itself needs a signature over it', () => {
  it('refuses CBC in an unsigned response, before anything is decrypted', async () => {
    expect(await judge({ algorithm: CBC })).toBe('saml_encryption_unauthenticated');
  });
  it('refuses a changed CBC ciphertext by the signature, not by its padding', async () => {
    const xml = await encrypted({ algorithm: CBC, signResponse: true });
    const changed = xml.replace(
      /(<xenc:CipherValue>.{40})(.)/s,
      (_all, before: string, letter: string) => before + (letter === 'A' ? 'B' : 'A'),
    );
    expect(changed).not.toBe(xml);
    expect(await verdict(world, changed, { decryptionKeys: [world.sp.privateKey] })).toBe('saml_signature_invalid');
  });
});

describe('G20: what is inside goes through the same gate, and failing has one face', () => {
  it.each<[string, () => Wanted]>([
    ['an unsigned assertion in an unsigned response', () => ({ inner: assertionXml() })],
    ['an attacker’s assertion', () => ({ inner: signElement(assertionXml(), 'Assertion', { key: world.attacker }) })],
    [
      'an attacker’s assertion in a signed response',
      () => ({ inner: signElement(assertionXml(), 'Assertion', { key: world.attacker }), signResponse: true }),
    ],
    [
      'SHA-1 inside',
      () => ({
        inner: signElement(assertionXml(), 'Assertion', {
          key: world.idp,
          method: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1',
        }),
      }),
    ],
    [
      'SHA-1 inside of a signed response',
      () => ({
        inner: signElement(assertionXml(), 'Assertion', {
          key: world.idp,
          method: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1',
        }),
        signResponse: true,
      }),
    ],
    [
      'a comment inside',
      () => ({
        inner: signElement(assertionXml({ nameId: '<saml:NameID>ali<!-- -->ce</saml:NameID>' }), 'Assertion', {
          key: world.idp,
        }),
      }),
    ],
    [
      'a DOCTYPE inside',
      () => ({
        inner: `<!DOCTYPE a [<!ENTITY e "x">]>${signElement(assertionXml(), 'Assertion', { key: world.idp })}`,
      }),
    ],
    [
      'an Advice inside of a signed response',
      () => ({ inner: assertionXml({ advice: '<saml:Advice/>' }), signResponse: true }),
    ],
    [
      'two assertions inside',
      () => ({ inner: signElement(assertionXml(), 'Assertion', { key: world.idp }) + assertionXml() }),
    ],
    ['a whole response inside', () => ({ inner: responseXml() })],
    ['no XML inside', () => ({ inner: 'admin' })],
    ['nothing that our key opens', () => ({ spoil: (xml: string) => xml.replace(/(<e:CipherValue>)..../, '$1AAAA') })],
    [
      'a changed ciphertext',
      () => ({ spoil: (xml: string) => xml.replace(/(<xenc:CipherValue>)......../, '$1AAAAAAAA') }),
    ],
  ])('refuses %s', async (_name, wanted) => {
    expect(await judge(wanted())).toBe('saml_decryption_failed');
  });

  it('judges the meaning of what is inside by its own codes', async () => {
    const parts = { confirmationData: { Recipient: 'https://other.example/' } };
    expect(await judge({ parts })).toBe('saml_recipient');
    expect(await judge({ parts, signResponse: true })).toBe('saml_recipient');
  });
});
