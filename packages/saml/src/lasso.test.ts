import { spawnSync } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@auditrax/base';
import { beforeAll, describe, expect, it } from 'vitest';
import { acceptResponse, makeAuthnRequest, parseConnection, spMetadata, type SamlConnection } from './index.ts';
import { BINDING_REDIRECT, METADATA, PROTOCOL } from './names.ts';
import { makeTestWorld, type TestWorld } from './testing/world.ts';

const ORACLE = join(import.meta.dirname, '../oracles/provider.py');
const isThere = existsSync('/usr/bin/python3') && globSync('/usr/lib/python3/dist-packages/lasso.py').length > 0;
const isMissing = !isThere && process.env['CI'] !== 'true';

/** Lasso is what LemonLDAP::NG signs with; it shares no line with SimpleSAMLphp or with the library under the gate. */
describe.skipIf(isMissing)('Lasso, a second foreign provider', () => {
  let world: TestWorld;
  let connection: SamlConnection;
  beforeAll(async () => {
    world = await makeTestWorld();
    connection = parseConnection({
      idpEntityId: 'https://lasso.test/idp',
      ssoUrl: 'https://lasso.test/sso',
      spEntityId: 'https://auditrax.test/saml/lasso',
      acsUrl: 'https://auditrax.test/api/saml/acs/lasso',
      certificates: [{ pem: world.idp.certificate, state: 'active' }],
      nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    });
  });

  const idpMetadata = () =>
    `<md:EntityDescriptor xmlns:md="${METADATA}" entityID="${connection.idpEntityId}"><md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="${PROTOCOL}"><md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${world.idp.certificate.replaceAll(/-----[A-Z ]+-----|\s/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleSignOnService Binding="${BINDING_REDIRECT}" Location="${connection.ssoUrl}"/></md:IDPSSODescriptor></md:EntityDescriptor>`;

  function answer(options: { encrypt: boolean; keyMethod?: string; signingKey?: string }) {
    const { request, departure } = makeAuthnRequest(connection, {
      signingKey: options.signingKey ?? world.sp.privateKey,
      clock: systemClock,
      random: systemRandom,
    });
    if (departure.binding !== 'redirect') throw new Error('not a redirect');
    const { status, stdout, stderr } = spawnSync('/usr/bin/python3', [ORACLE], {
      encoding: 'utf8',
      input: JSON.stringify({
        idpMetadata: idpMetadata(),
        idpKey: world.idp.privateKey,
        idpCertificate: world.idp.certificate,
        spMetadata: spMetadata(connection, { signing: [world.sp.certificate], encryption: [world.sp.certificate] }),
        spEntityId: connection.spEntityId,
        query: departure.url.slice(departure.url.indexOf('?') + 1),
        encrypt: options.encrypt,
        keyMethod: options.keyMethod ?? 'KEY_ENCRYPTION_METHOD_OAEP',
      }),
    });
    return { request, field: stdout.trim(), status, stderr };
  }

  const accept = ({ request, field }: ReturnType<typeof answer>) =>
    acceptResponse(
      {
        samlResponse: field,
        relayState: request.relayState,
        request,
        connection,
        decryptionKeys: [world.sp.privateKey],
      },
      { clock: systemClock, once: () => Promise.resolve(true) },
    );

  it.each([false, true])(
    'G18 G35 G39: reads our metadata and request, and its answer is accepted; encrypted: %s',
    async (encrypt) => {
      const given = answer({ encrypt });
      expect(given.stderr).not.toContain('Error');
      const result = await accept(given);
      expect(result).toMatchObject({ signed: 'both', isEncrypted: encrypt, signedBy: world.idp.fingerprint });
      expect(result.subject).toMatchObject({ spNameQualifier: connection.spEntityId });
      expect(result.attributes.get('mail')).toEqual(['alice@acme.test']);
    },
  );

  it('G16: its RSA 1.5, which it still can, is refused', async () => {
    await expect(accept(answer({ encrypt: true, keyMethod: 'KEY_ENCRYPTION_METHOD_PKCS1' }))).rejects.toMatchObject({
      code: 'saml_encryption_algorithm',
    });
  });

  it('G35: it refuses a request that somebody else has signed', () => {
    const given = answer({ encrypt: false, signingKey: world.attacker.privateKey });
    expect(given.status).not.toBe(0);
    expect(given.stderr).toMatch(/signature/i);
  });
});
