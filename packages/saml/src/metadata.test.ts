import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { isAppError, manualClock, systemRandom } from '@auditrax/base';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  applyMetadata,
  certificateExpiry,
  makeAuthnRequest,
  parseCertificate,
  parseConnection,
  parseIdpMetadata,
  SAML_CHECKS,
  spMetadata,
  type ConnectionInput,
} from './index.ts';
import { CERTIFICATES_ACTIVE_MAX } from './limits.ts';
import { BINDING_POST, BINDING_REDIRECT, METADATA, PROTOCOL, SAML_NAMESPACES } from './names.ts';
import { parseTree, type XmlElement } from './tree.ts';
import { signedResponse, signRoot, WORLD } from './testing/generator.ts';
import { makeTestKey, type TestKey } from './testing/keys.ts';
import { attempt, makeTestWorld, type TestWorld } from './testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await makeTestWorld();
});

const clock = manualClock(WORLD.now_ms);
const input = (changes: Partial<ConnectionInput> = {}): ConnectionInput => ({
  idpEntityId: WORLD.idp,
  ssoUrl: WORLD.sso,
  spEntityId: WORLD.sp,
  acsUrl: WORLD.acs,
  certificates: [{ pem: world.idp.certificate, state: 'active' }],
  ...changes,
});
function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isAppError(error)) return error.field === undefined ? error.code : `${error.code} ${error.field}`;
    throw error;
  }
  return 'fine';
}

describe('G34: settings of a connection', () => {
  it.each<[string, Partial<ConnectionInput>, string]>([
    ['an empty entity', { idpEntityId: '' }, 'idpEntityId'],
    ['a padded entity', { idpEntityId: 'JumpCloud ' }, 'idpEntityId'],
    ['an overlong entity', { idpEntityId: 'x'.repeat(1025) }, 'idpEntityId'],
    ['a line break in our own name', { spEntityId: 'a\nb' }, 'spEntityId'],
    ['http', { ssoUrl: 'http://idp.example/' }, 'ssoUrl'],
    ['a script', { ssoUrl: 'javascript:alert(1)' }, 'ssoUrl'],
    ['data', { ssoUrl: 'data:text/html,x' }, 'ssoUrl'],
    ['no address', { ssoUrl: '/sso' }, 'ssoUrl'],
    ['credentials', { ssoUrl: 'https://a:b@idp.example/' }, 'ssoUrl'],
    ['a fragment', { acsUrl: 'https://auditrax.example/#x' }, 'acsUrl'],
    ['a quote', { ssoUrl: 'https://idp.example/"><script>' }, 'ssoUrl'],
    ['an overlong address', { ssoUrl: `https://idp.example/${'x'.repeat(2048)}` }, 'ssoUrl'],
    ['another binding', { ssoBinding: 'artifact' as never }, 'ssoBinding'],
    ['SHA-1', { signatureAlgorithms: ['rsa-sha1'] }, 'signatureAlgorithms'],
    ['a name of Object’s', { signatureAlgorithms: ['constructor'] }, 'signatureAlgorithms'],
    ['no algorithm', { signatureAlgorithms: [] }, 'signatureAlgorithms'],
    ['no age', { authnAge_seconds_max: 0 }, 'authnAge_seconds_max'],
    ['a broken age', { authnAge_seconds_max: Number.NaN }, 'authnAge_seconds_max'],
    ['a year', { authnAge_seconds_max: 31_536_000 }, 'authnAge_seconds_max'],
    ['a format of one’s own', { nameIdFormat: 'x"/>' }, 'nameIdFormat'],
  ])('refuses %s', (_name, changes, field) => {
    expect(codeOf(() => parseConnection(input(changes)))).toBe(`saml_setting_invalid ${field}`);
  });

  it('takes a provider on the machine itself, and free text as its name', () => {
    const connection = parseConnection(input({ ssoUrl: 'http://127.0.0.1:8080/sso?x=y', idpEntityId: 'JumpCloud' }));
    expect(connection).toMatchObject({
      ssoBinding: 'redirect',
      idpEntityId: 'JumpCloud',
      authnAge_seconds_max: 43_200,
    });
  });

  it('refuses a certificate that is none, weak, of another kind, doubled, or one too many', async () => {
    const ec = execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        '/dev/null',
        '-subj',
        '/CN=ec',
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const weak = await makeTestKey('weak', { bits: 1024 });
    const of = (...pems: string[]) =>
      codeOf(() => parseConnection(input({ certificates: pems.map((pem) => ({ pem, state: 'active' })) })));
    expect(of(ec)).toBe('saml_certificate_key');
    expect(of(weak.certificate)).toBe('saml_certificate_key');
    expect(of('')).toBe('saml_certificate_unreadable');
    expect(of('MIIB')).toBe('saml_certificate_unreadable');
    expect(of(world.idp.privateKey)).toBe('saml_certificate_unreadable');
    expect(of(world.idp.certificate + world.next.certificate)).toBe('saml_certificate_unreadable');
    expect(of(world.idp.certificate, world.idp.certificate)).toBe('saml_setting_invalid certificates');
    const many = await Promise.all(
      Array.from({ length: CERTIFICATES_ACTIVE_MAX + 1 }, (_each, index) => makeTestKey(`many-${index}`)),
    );
    expect(of(...many.map(({ certificate }) => certificate))).toBe('saml_certificate_count');
    expect(of(...many.slice(1).map(({ certificate }) => certificate))).toBe('fine');
  });

  it('reads PEM and bare base64 as the same certificate', () => {
    const bare = world.idp.certificate.replaceAll(/-----[A-Z ]+-----/g, '');
    for (const text of [world.idp.certificate, bare, bare.replaceAll('\n', ''), `\r\n${bare}\r\n`])
      expect(parseCertificate(text, 'active')).toMatchObject({
        fingerprint: world.idp.fingerprint,
        notBefore_ms: Date.parse('2020-01-01T00:00:00Z'),
        notAfter_ms: Date.parse('2040-01-01T00:00:00Z'),
        subject: 'CN=idp',
      });
  });
});

describe('G35: requests', () => {
  const make = (changes: Partial<ConnectionInput> = {}, forceAuthn = false) =>
    makeAuthnRequest(parseConnection(input(changes)), {
      signingKey: world.sp.privateKey,
      clock,
      random: systemRandom,
      forceAuthn,
    });
  const read = (xml: string): XmlElement => parseTree(xml, { namespaces: SAML_NAMESPACES });

  it('by redirect: the signature covers exactly the query that is sent', () => {
    const { request, departure } = make({ ssoUrl: `${WORLD.sso}?tenant=1` }, true);
    if (departure.binding !== 'redirect') throw new Error('not a redirect');
    expect(departure.url.startsWith(`${WORLD.sso}?tenant=1&SAMLRequest=`)).toBe(true);
    const query = departure.url.slice(departure.url.indexOf('SAMLRequest='));
    const [signed, signature] = query.split('&Signature=') as [string, string];
    const key = createPublicKey(world.sp.certificate);
    expect(verify('sha256', Buffer.from(signed), key, Buffer.from(decodeURIComponent(signature), 'base64'))).toBe(true);
    const parameters = new URL(departure.url).searchParams;
    expect(parameters.get('RelayState')).toBe(request.relayState);
    expect(parameters.get('SigAlg')).toBe('http://www.w3.org/2001/04/xmldsig-more#rsa-sha256');
    const root = read(inflateRawSync(Buffer.from(parameters.get('SAMLRequest')!, 'base64')).toString('utf8'));
    expect(root.name).toBe('samlp:AuthnRequest');
    expect(Object.fromEntries(root.attributes)).toEqual({
      ID: request.id,
      Version: '2.0',
      IssueInstant: '2026-11-23T12:00:00Z',
      Destination: `${WORLD.sso}?tenant=1`,
      ForceAuthn: 'true',
      ProtocolBinding: BINDING_POST,
      AssertionConsumerServiceURL: WORLD.acs,
    });
    expect(root.children.map(({ name }) => name)).toEqual(['saml:Issuer', 'samlp:NameIDPolicy']);
  });

  it('by post: signed inside, after the issuer', () => {
    const { request, departure } = make({
      ssoBinding: 'post',
      nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    });
    if (departure.binding !== 'post') throw new Error('not a post');
    expect(departure.url).toBe(WORLD.sso);
    expect(departure.fields.RelayState).toBe(request.relayState);
    const root = read(Buffer.from(departure.fields.SAMLRequest, 'base64').toString('utf8'));
    expect(root.children.map(({ name }) => name)).toEqual(['saml:Issuer', 'ds:Signature', 'samlp:NameIDPolicy']);
    expect(root.attributes.has('ForceAuthn')).toBe(false);
    expect(root.children[2]!.attributes.get('Format')).toBe('urn:oasis:names:tc:SAML:2.0:nameid-format:persistent');
  });

  it('escapes what settings bring', () => {
    const { departure } = make({ ssoBinding: 'post', spEntityId: `a<b>"&'c`, ssoUrl: 'https://idp.example/?a=1&b=2' });
    if (departure.binding !== 'post') throw new Error('not a post');
    const root = read(Buffer.from(departure.fields.SAMLRequest, 'base64').toString('utf8'));
    expect(root.children[0]!.text).toBe(`a<b>"&'c`);
    expect(root.attributes.get('Destination')).toBe('https://idp.example/?a=1&b=2');
  });

  it('never twice the same, and short enough for every provider', () => {
    const made = Array.from({ length: 20 }, () => make().request);
    expect(new Set(made.flatMap(({ id, relayState }) => [id, relayState])).size).toBe(40);
    for (const { relayState } of made) expect(Buffer.byteLength(relayState)).toBeLessThanOrEqual(80);
  });

  it('refuses a key that is none', () => {
    const connection = parseConnection(input());
    for (const signingKey of ['', world.sp.certificate])
      expect(codeOf(() => makeAuthnRequest(connection, { signingKey, clock, random: systemRandom }))).toBe(
        'saml_setting_invalid signingKey',
      );
  });
});

const keyDescriptor = (key: TestKey, use = ' use="signing"') =>
  `<md:KeyDescriptor${use}><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${key.certificate.replaceAll(/-----[A-Z ]+-----|\s/g, '')}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`;

function metadata(
  parts: { keys?: string; root?: string; role?: string; services?: string; before?: string } = {},
): string {
  const services =
    parts.services ??
    `<md:SingleSignOnService Binding="${BINDING_REDIRECT}" Location="${WORLD.sso}"/><md:SingleSignOnService Binding="${BINDING_POST}" Location="${WORLD.sso}/post"/>`;
  return (
    `<md:EntityDescriptor xmlns:md="${METADATA}" ID="_metadata" entityID="${WORLD.idp}"${parts.root ?? ''}>${parts.before ?? ''}` +
    `<md:IDPSSODescriptor protocolSupportEnumeration="${PROTOCOL}"${parts.role ?? ''}>${parts.keys ?? keyDescriptor(world.idp)}` +
    `<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>${services}</md:IDPSSODescriptor></md:EntityDescriptor>`
  );
}

const trusted = () => parseConnection(input()).certificates;
const parse = (text: string, certificates = trusted()) => parseIdpMetadata(Buffer.from(text), certificates, clock);

describe('G36: metadata of a provider', () => {
  it('is read, whatever else the document holds', () => {
    const foreign =
      '<fed:Role xmlns:fed="http://docs.oasis-open.org/wsfed/federation/200706"><fed:X>y</fed:X></fed:Role>';
    const read = parse(
      `\ufeff<?xml version="1.0" encoding="utf-8"?>\r\n${metadata({ before: foreign, keys: keyDescriptor(world.idp) + keyDescriptor(world.next, '') + keyDescriptor(world.sp, ' use="encryption"') })}`,
    );
    expect(read).toMatchObject({
      entityId: WORLD.idp,
      sso: [
        { binding: 'redirect', url: WORLD.sso },
        { binding: 'post', url: `${WORLD.sso}/post` },
      ],
      nameIdFormats: ['urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'],
      validUntil_ms: undefined,
      signedBy: undefined,
    });
    expect(read.certificates.map(({ fingerprint, state }) => [fingerprint, state])).toEqual([
      [world.idp.fingerprint, 'pending'],
      [world.next.fingerprint, 'pending'],
    ]);
  });

  it.each<[string, () => string, string]>([
    ['a DOCTYPE', () => `<!DOCTYPE a>${metadata()}`, 'saml_doctype'],
    ['an external entity', () => `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>${metadata()}`, 'saml_doctype'],
    ['a comment', () => metadata({ before: '<!-- -->' }), 'saml_comment'],
    [
      'another root',
      () => `<md:EntitiesDescriptor xmlns:md="${METADATA}">${metadata()}</md:EntitiesDescriptor>`,
      'saml_metadata_invalid',
    ],
    ['a service provider', () => metadata().replaceAll('IDPSSO', 'SPSSO'), 'saml_metadata_invalid'],
    [
      'another protocol',
      () => metadata().replace(PROTOCOL, 'urn:oasis:names:tc:SAML:1.1:protocol'),
      'saml_metadata_invalid',
    ],
    ['no name', () => metadata().replace(`entityID="${WORLD.idp}"`, ''), 'saml_metadata_invalid'],
    ['no address', () => metadata({ services: '' }), 'saml_metadata_invalid'],
    ['no certificate', () => metadata({ keys: '' }), 'saml_metadata_invalid'],
    [
      'a broken certificate',
      () => metadata().replace('<ds:X509Certificate>M', '<ds:X509Certificate>%'),
      'saml_certificate_unreadable',
    ],
    ['an end in the past', () => metadata({ root: ' validUntil="2026-11-23T11:00:00Z"' }), 'saml_metadata_expired'],
    [
      'an end of the role in the past',
      () => metadata({ role: ' validUntil="2026-11-23T11:00:00Z"' }),
      'saml_metadata_expired',
    ],
    ['half a megabyte and more', () => metadata({ before: ' '.repeat(600_000) }), 'saml_too_large'],
    [
      'a signature elsewhere',
      () => metadata({ before: '<x xmlns="urn:x"><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></x>' }),
      'saml_signature_misplaced',
    ],
    ['HTML', () => '<html><body>Sign in</body></html>', 'saml_metadata_invalid'],
    ['nothing', () => '', 'saml_not_well_formed'],
  ])('refuses %s', (_name, make, code) => {
    expect(codeOf(() => parse(make()))).toBe(code);
  });
});

describe('G37: a new certificate waits, unless a trusted key signed', () => {
  const both = () => metadata({ keys: keyDescriptor(world.idp) + keyDescriptor(world.next) });
  const change = (
    text: string,
    certificates: ConnectionInput['certificates'] = [{ pem: world.idp.certificate, state: 'active' }],
  ) => {
    const connection = parseConnection(input({ certificates }));
    return applyMetadata(connection, parse(text, [...connection.certificates]));
  };

  it('unsigned: pending', () => {
    const result = change(both());
    expect(result).toMatchObject({
      pending: [world.next.fingerprint],
      activated: [],
      withdrawn: [],
      ssoUrl: undefined,
    });
    expect(result.certificates.map(({ state }) => state)).toEqual(['active', 'pending']);
  });

  it('signed by the trusted key: active', () => {
    const result = change(signRoot(both(), { key: world.idp }));
    expect(result).toMatchObject({ pending: [], activated: [world.next.fingerprint] });
    expect(result.certificates.map(({ state }) => state)).toEqual(['active', 'active']);
  });

  it('signed by the new key itself, by an attacker, or by a retired or pending one: pending', () => {
    for (const key of [world.next, world.attacker])
      expect(change(signRoot(both(), { key })).pending).toEqual([world.next.fingerprint]);
    for (const state of ['retired', 'pending'] as const) {
      const certificates = [{ pem: world.idp.certificate, state }];
      expect(change(signRoot(both(), { key: world.idp }), certificates)).toMatchObject({
        activated: [],
        pending: [world.next.fingerprint],
      });
    }
  });

  it('a key that is no longer trusted, or whose certificate is over, signs nothing', async () => {
    const old = await makeTestKey('old', { notAfter_ms: WORLD.now_ms });
    const signedBy = (key: TestKey, state: 'active' | 'pending' | 'retired') =>
      parse(signRoot(both(), { key }), [parseCertificate(key.certificate, state)]).signedBy;
    expect(signedBy(world.idp, 'active')).toBe(world.idp.fingerprint);
    for (const state of ['pending', 'retired'] as const) expect(signedBy(world.idp, state)).toBeUndefined();
    expect(signedBy(old, 'active')).toBeUndefined();
  });

  it('only the signed bytes are read, where the verifier’s parser reads something else', () => {
    const spaced = both().replace('nameid-format:persistent', 'one\ntwo');
    const signed = signRoot(spaced, { key: world.idp });
    const read = parse(signed.replace('one\ntwo', 'one\u2028two'));
    expect(read.signedBy).toBe(world.idp.fingerprint);
    expect(read.nameIdFormats[0]).toContain('one\ntwo');
  });

  it('changed after it was signed: pending', () => {
    const signed = signRoot(metadata({ keys: keyDescriptor(world.idp) }), { key: world.idp });
    const swapped = signed.replace('</md:KeyDescriptor>', `</md:KeyDescriptor>${keyDescriptor(world.attacker)}`);
    expect(change(swapped)).toMatchObject({ activated: [], pending: [world.attacker.fingerprint] });
  });

  it('wrapped: the signed document inside of another is refused', () => {
    const signed = signRoot(both(), { key: world.idp });
    const signature = /<ds:Signature.*<\/ds:Signature>/s.exec(signed)![0];
    const evil = metadata({ keys: keyDescriptor(world.attacker), before: signature }).replace('_metadata', '_evil');
    expect(codeOf(() => change(evil))).toBe('saml_reference_target');
    expect(
      codeOf(() =>
        change(metadata({ keys: keyDescriptor(world.attacker), before: signed }).replace('_metadata', '_evil')),
      ),
    ).toBe('saml_signature_misplaced');
  });

  it('a retired certificate stays retired, one that is gone is named, and so is a new address', () => {
    const certificates = [
      { pem: world.idp.certificate, state: 'active' as const },
      { pem: world.next.certificate, state: 'retired' as const },
    ];
    const signed = signRoot(
      metadata({
        keys: keyDescriptor(world.next),
        services: `<md:SingleSignOnService Binding="${BINDING_REDIRECT}" Location="https://idp.example/new"/>`,
      }),
      { key: world.idp },
    );
    const result = change(signed, certificates);
    expect(result.certificates.map(({ state }) => state)).toEqual(['active', 'retired']);
    expect(result).toMatchObject({
      pending: [],
      activated: [],
      withdrawn: [world.idp.fingerprint],
      ssoUrl: 'https://idp.example/new',
    });
  });

  it('refuses another provider’s document', () => {
    expect(codeOf(() => change(metadata().replace(WORLD.idp, 'https://other.example/')))).toBe('saml_metadata_entity');
  });

  it('a whole change of keys locks nobody out and lets nobody in', async () => {
    const before = change(both());
    const sign = (key: TestKey) =>
      attempt(world, signedResponse({ key }), { connection: { certificates: before.certificates } });
    await expect(sign(world.next)).rejects.toMatchObject({ code: 'saml_signer_pending' });
    expect((await sign(world.idp)).signedBy).toBe(world.idp.fingerprint);
    const approved = before.certificates.map((certificate) => ({ ...certificate, state: 'active' as const }));
    for (const key of [world.idp, world.next])
      expect((await attempt(world, signedResponse({ key }), { connection: { certificates: approved } })).signedBy).toBe(
        key.fingerprint,
      );
  });
});

describe('G38: certificates that end', () => {
  const DAY_MS = 86_400_000;
  it.each([
    [61, undefined],
    [60, 60],
    [31, 60],
    [30, 30],
    [8, 30],
    [7, 7],
    [1, 7],
    [0, 0],
    [-3, 0],
  ] as const)('with %d days left the stage is %s', (days, stage) => {
    const certificate = { ...trusted()[0]!, notAfter_ms: WORLD.now_ms + days * DAY_MS };
    expect(certificateExpiry([certificate], clock)).toEqual([
      { fingerprint: certificate.fingerprint, notAfter_ms: certificate.notAfter_ms, days, stage, isCovered: false },
    ]);
  });
  it('says whether another active one covers it, and leaves out what is not active', () => {
    const [idp] = trusted();
    const soon = { ...idp!, notAfter_ms: WORLD.now_ms + DAY_MS };
    const next = { ...parseCertificate(world.next.certificate, 'active') };
    expect(certificateExpiry([next, soon], clock).map(({ isCovered }) => isCovered)).toEqual([true, false]);
    expect(certificateExpiry([{ ...next, state: 'pending' }, soon], clock).map(({ isCovered }) => isCovered)).toEqual([
      false,
    ]);
  });
});

describe('G39: our own metadata', () => {
  it('names address, name and certificates, as a reader sees them', () => {
    const text = spMetadata(parseConnection(input({ spEntityId: `https://a.example/?a&b="'<>` })), {
      signing: [world.sp.certificate, world.next.certificate],
      encryption: [world.sp.certificate],
    });
    const root = parseTree(text.slice(text.indexOf('\n') + 1), {
      namespaces: new Map([...SAML_NAMESPACES, [METADATA, 'md']]),
    });
    expect(root.attributes.get('entityID')).toBe(`https://a.example/?a&b="'<>`);
    const [role] = root.children;
    expect(role!.attributes.get('WantAssertionsSigned')).toBe('true');
    expect(role!.children.map(({ name }) => name)).toEqual([
      ...Array.from({ length: 3 }, () => 'md:KeyDescriptor'),
      'md:AssertionConsumerService',
    ]);
    const certificates = role!.children.slice(0, 3).map((key) => key.children[0]!.children[0]!.children[0]!.text);
    expect(
      certificates.map((base64) => createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex')),
    ).toEqual([world.sp, world.next, world.sp].map(({ fingerprint }) => fingerprint));
    expect(Object.fromEntries(role!.children[3]!.attributes)).toMatchObject({
      Location: WORLD.acs,
      Binding: BINDING_POST,
    });
  });
  it('refuses a certificate that is none', () => {
    expect(codeOf(() => spMetadata(parseConnection(input()), { signing: ['x'], encryption: [] }))).toBe(
      'saml_certificate_unreadable',
    );
  });
});

describe('G18: every code has its check', () => {
  it('and every check that can refuse stands in the specification', () => {
    for (const [code, [check, sentence]] of Object.entries(SAML_CHECKS)) {
      expect(code).toMatch(/^saml_[a-z0-9_]+$/);
      expect(check).toMatch(/^G\d{1,2}$/);
      expect(sentence).toMatch(/\.$/);
    }
  });
});
