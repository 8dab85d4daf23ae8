import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRandom, manualClock } from '@auditrax/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeAuthnRequest, parseConnection } from './index.ts';
import {
  NAME_ID,
  assertionXml,
  cutSignature,
  responseXml,
  signedResponse,
  signElement,
  WORLD,
} from './testing/generator.ts';
import { makeTestWorld, verdict, type TestWorld } from './testing/world.ts';

// xmlsec1 shows that the generator's signatures are real and that others can read ours. It is no judge of sign-ins: it
// says that *a* signature holds, which is exactly what wrapping attacks live on.
const XMLSEC = '/usr/bin/xmlsec1';
const isMissing = !existsSync(XMLSEC) && process.env['CI'] !== 'true';

describe.skipIf(isMissing)('xmlsec1, a foreign reader of signatures', () => {
  let world: TestWorld;
  const folder = mkdtempSync(join(tmpdir(), 'auditrax-xmlsec-'));
  beforeAll(async () => {
    world = await makeTestWorld();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function holds(xml: string, certificate: string, node?: string): boolean {
    writeFileSync(join(folder, 'message.xml'), xml);
    writeFileSync(join(folder, 'certificate.pem'), certificate);
    const { status } = spawnSync(
      XMLSEC,
      [
        '--verify',
        '--enabled-key-data',
        'key-name',
        '--pubkey-cert-pem',
        join(folder, 'certificate.pem'),
        ...['protocol:Response', 'protocol:AuthnRequest', 'assertion:Assertion'].flatMap((name) => [
          '--id-attr:ID',
          `urn:oasis:names:tc:SAML:2.0:${name}`,
        ]),
        ...(node === undefined ? [] : ['--node-xpath', node]),
        join(folder, 'message.xml'),
      ],
      { stdio: 'ignore' },
    );
    return status === 0;
  }

  it.each([{}, { method: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512' }, { inclusivePrefixes: ['xs'] }])(
    'G18: agrees on what the generator signs: %j',
    async (options) => {
      for (const sign of ['assertion', 'response', 'both'] as const) {
        const xml = signedResponse({ key: world.idp, sign, keyInfo: false, ...options });
        expect(await verdict(world, xml)).toBe(`accepted as ${NAME_ID}`);
        expect(holds(xml, world.idp.certificate)).toBe(true);
        expect(holds(xml, world.attacker.certificate)).toBe(false);
        expect(holds(xml.replace(NAME_ID, 'admin'), world.idp.certificate)).toBe(false);
      }
    },
  );

  it('G9: finds a sound signature in wrapped messages, which the gate refuses', async () => {
    const forged = assertionXml({ attributes: { ID: '_evil' }, nameId: '<saml:NameID>admin</saml:NameID>' });
    const assertion = signElement(assertionXml(), 'Assertion', { key: world.idp, keyInfo: false });
    const { without, signature } = cutSignature(assertion);
    const wrapped = {
      XSW3: responseXml({ beforeAssertion: forged }, assertion),
      XSW4: responseXml({}, forged.replace('</saml:Assertion>', `${assertion}</saml:Assertion>`)),
      XSW5: responseXml({ afterAssertion: without }, forged.replace('</saml:Issuer>', `</saml:Issuer>${signature}`)),
      XSW7: responseXml({ extensions: `<samlp:Extensions>${forged}</samlp:Extensions>` }, assertion),
    };
    for (const [name, xml] of Object.entries(wrapped)) {
      expect(holds(xml, world.idp.certificate), name).toBe(true);
      expect(await verdict(world, xml), name).toMatch(/^saml_/);
    }
  });

  it('G35: reads the signature of our request', () => {
    const connection = parseConnection({
      idpEntityId: WORLD.idp,
      ssoUrl: WORLD.sso,
      ssoBinding: 'post',
      spEntityId: WORLD.sp,
      acsUrl: WORLD.acs,
      certificates: [],
    });
    const { departure } = makeAuthnRequest(connection, {
      signingKey: world.sp.privateKey,
      clock: manualClock(WORLD.now_ms),
      random: systemRandom,
    });
    if (departure.binding !== 'post') throw new Error('not a post');
    const xml = Buffer.from(departure.fields.SAMLRequest, 'base64').toString('utf8');
    expect(holds(xml, world.sp.certificate)).toBe(true);
    expect(holds(xml.replace(WORLD.acs, 'https://attacker.example/'), world.sp.certificate)).toBe(false);
  });
});
