import { beforeAll, describe, expect, it } from 'vitest';
import { CLOCK_SKEW_MS } from './limits.ts';
import {
  ASSERTION_ID,
  assertionXml,
  at,
  attribute,
  NAME_ID,
  responseXml,
  signedResponse,
  signElement,
  WORLD,
  type AssertionParts,
  type ResponseParts,
} from './testing/generator.ts';
import { makeTestKey } from './testing/keys.ts';
import { attempt, makeTestWorld, verdict, type Attempt, type TestWorld } from './testing/world.ts';

let world: TestWorld;
beforeAll(async () => {
  world = await makeTestWorld();
});

const ACCEPTED = `accepted as ${NAME_ID}`;
/** Signed by the provider after it was spoilt: the signature is right, what it says is not. */
const says = (assertion: AssertionParts, options?: Attempt) =>
  verdict(world, signedResponse({ key: world.idp, sign: 'both' }, { assertion }), options);
const responds = (parts: ResponseParts, options?: Attempt) =>
  verdict(world, signedResponse({ key: world.idp, sign: 'both' }, parts), options);
const good = () => signedResponse({ key: world.idp, sign: 'both' });

describe('G18 G19: shapes of the providers', () => {
  it.each([
    ['ADFS, Entra: the assertion is signed', 'assertion'],
    ['Google with "Signed response": the response instead of the assertion', 'response'],
    ['Okta, SimpleSAMLphp, LemonLDAP: both', 'both'],
  ] as const)('%s', async (_name, sign) => {
    const result = await attempt(world, signedResponse({ key: world.idp, sign }));
    expect(result).toMatchObject({
      assertionId: ASSERTION_ID,
      issuer: WORLD.idp,
      subject: { nameId: NAME_ID, format: 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent' },
      sessionIndex: '_session-1',
      authnInstant_ms: WORLD.now_ms - 5000,
      sessionNotOnOrAfter_ms: WORLD.now_ms + 28_800_000,
      notOnOrAfter_ms: WORLD.now_ms + 300_000,
      signedBy: world.idp.fingerprint,
      signed: sign,
      isEncrypted: false,
    });
    expect([...result.attributes]).toEqual([
      ['mail', ['alice@acme.test']],
      ['groups', ['g-1', 'g-2']],
    ]);
    expect(result.claims.map(({ name }) => name)).toEqual(['mail', 'groups']);
  });

  it('Okta: InclusiveNamespaces inside of ds:Transform', async () => {
    for (const sign of ['assertion', 'both'] as const)
      expect(await verdict(world, signedResponse({ key: world.idp, sign, inclusivePrefixes: ['xs'] }))).toBe(ACCEPTED);
  });

  it('without KeyInfo, with blanks between elements, with prefixes of its own', async () => {
    expect(await verdict(world, signedResponse({ key: world.idp, keyInfo: false }))).toBe(ACCEPTED);
    const spread = assertionXml().replaceAll('><', '>\n    <');
    expect(await verdict(world, responseXml({}, signElement(spread, 'Assertion', { key: world.idp })))).toBe(ACCEPTED);
    const renamed = assertionXml().replaceAll('saml:', 'q0.a:').replace('xmlns:saml', 'xmlns:q0.a');
    expect(await verdict(world, responseXml({}, signElement(renamed, 'Assertion', { key: world.idp })))).toBe(ACCEPTED);
    const unprefixed = assertionXml()
      .replaceAll('<saml:', '<')
      .replaceAll('</saml:', '</')
      .replace('xmlns:saml', 'xmlns');
    expect(await verdict(world, responseXml({}, signElement(unprefixed, 'Assertion', { key: world.idp })))).toBe(
      ACCEPTED,
    );
  });

  it('values with line breaks, quotes, markup and other scripts come out as they were', async () => {
    const values = ['123 Main St.\r\nSuite 11', `<b>"&'`, 'Łódź 東京 😀', '', ' padded '];
    const statement = `<saml:AttributeStatement>${attribute('a', ...values).replaceAll('\r', '&#13;')}</saml:AttributeStatement>`;
    for (const sign of ['assertion', 'response', 'both'] as const) {
      const { attributes } = await attempt(
        world,
        signedResponse({ key: world.idp, sign }, { assertion: { statement } }),
      );
      expect(attributes.get('a')!.map((value) => value.replaceAll('\r\n', '\n'))).toEqual(
        values.map((value) => value.replaceAll('\r\n', '\n')),
      );
    }
  });
});

describe('G19: two readers, one content', () => {
  it('refuses what the verifier’s parser reads as something else, although the signature holds', async () => {
    // xmldom takes U+2028 and U+0085 for line ends, as XML 1.1 does; XML 1.0 has them as characters.
    const statement = `<saml:AttributeStatement>${attribute('note', 'one\ntwo')}</saml:AttributeStatement>`;
    for (const sign of ['assertion', 'response', 'both'] as const) {
      const xml = signedResponse({ key: world.idp, sign }, { assertion: { statement } });
      expect(await verdict(world, xml)).toBe(ACCEPTED);
      for (const other of ['\u2028', '\u0085'])
        expect(await verdict(world, xml.replace('one\ntwo', `one${other}two`))).toBe('saml_signed_bytes_differ');
    }
  });
});

describe('G18: who signed', () => {
  it('refuses a foreign key, whose certificate is in the message or not', async () => {
    const evil = { key: world.attacker, sign: 'both' } as const;
    expect(await verdict(world, signedResponse(evil))).toBe('saml_signer_unknown');
    expect(await verdict(world, signedResponse({ ...evil, keyInfo: false }))).toBe('saml_signature_invalid');
  });

  it('refuses a foreign key that shows the provider’s certificate', async () => {
    const key = { ...world.attacker, certificate: world.idp.certificate };
    expect(await verdict(world, signedResponse({ key, sign: 'both' }))).toBe('saml_signature_invalid');
  });

  it.each([
    ['the NameID', NAME_ID, 'admin'],
    ['a group', 'g-1', 'g-admin'],
    ['the recipient in capitals', 'Recipient="https://auditrax', 'Recipient="https://AUDITRAX'],
    ['a blank', '<saml:Subject>', '<saml:Subject> '],
  ])('refuses a change of %s', async (_name, from, to) => {
    for (const sign of ['assertion', 'response', 'both'] as const)
      expect(await verdict(world, signedResponse({ key: world.idp, sign }).replace(from, to))).toMatch(
        /^saml_(signature_invalid|recipient)$/,
      );
  });

  it('needs both signatures where there are two: one that does not hold is not made up for', async () => {
    const forged = signElement(assertionXml(), 'Assertion', { key: world.attacker });
    const xml = signElement(responseXml({}, forged), 'Response', { key: world.idp });
    expect(await verdict(world, xml)).toBe('saml_signature_invalid');
    const inner = signElement(assertionXml(), 'Assertion', { key: world.idp });
    expect(await verdict(world, signElement(responseXml({}, inner), 'Response', { key: world.attacker }))).toBe(
      'saml_signer_unknown',
    );
    const mixed = signElement(
      responseXml({}, signElement(assertionXml(), 'Assertion', { key: world.next })),
      'Response',
      { key: world.idp },
    );
    const certificates = [world.idp, world.next].map(({ certificate }) => ({
      pem: certificate,
      state: 'active' as const,
    }));
    expect(await verdict(world, mixed, { connection: { certificates } })).toBe('saml_signature_invalid');
  });

  it('takes either of two overlapping certificates and says which', async () => {
    const certificates = [world.idp, world.next].map(({ certificate }) => ({
      pem: certificate,
      state: 'active' as const,
    }));
    for (const key of [world.idp, world.next])
      for (const keyInfo of [true, false]) {
        const result = await attempt(world, signedResponse({ key, keyInfo }), { connection: { certificates } });
        expect(result.signedBy).toBe(key.fingerprint);
      }
  });

  it.each([
    ['pending', 'saml_signer_pending'],
    ['retired', 'saml_signer_retired'],
  ] as const)('refuses a %s certificate and says so', async (state, code) => {
    const certificates = [
      { pem: world.idp.certificate, state: 'active' as const },
      { pem: world.next.certificate, state },
    ];
    expect(await verdict(world, signedResponse({ key: world.next }), { connection: { certificates } })).toBe(code);
    expect(
      await verdict(world, signedResponse({ key: world.next, keyInfo: false }), { connection: { certificates } }),
    ).toBe('saml_signature_invalid');
  });

  it('refuses a certificate outside of its validity, and a connection that has no other', async () => {
    const old = await makeTestKey('old', { notAfter_ms: WORLD.now_ms });
    const early = await makeTestKey('early', { notBefore_ms: WORLD.now_ms + 1000 });
    for (const key of [old, early]) {
      const expired = { pem: key.certificate, state: 'active' as const };
      const current = { pem: world.idp.certificate, state: 'active' as const };
      expect(await verdict(world, signedResponse({ key }), { connection: { certificates: [expired] } })).toBe(
        'saml_no_usable_certificate',
      );
      expect(await verdict(world, signedResponse({ key }), { connection: { certificates: [expired, current] } })).toBe(
        'saml_signer_expired',
      );
    }
    expect(await verdict(world, good(), { connection: { certificates: [] } })).toBe('saml_no_usable_certificate');
  });
});

describe('G21: only an answer to our own request', () => {
  it('refuses a sign-in that the provider started', async () => {
    expect(await verdict(world, good(), { request: null })).toBe('saml_unsolicited');
    expect(await responds({ responseAttributes: { InResponseTo: undefined } })).toBe('saml_unsolicited');
    expect(await responds({ responseAttributes: { InResponseTo: '' } })).toBe('saml_unsolicited');
  });
  it('refuses the answer to another request, in either place', async () => {
    expect(await responds({ responseAttributes: { InResponseTo: '_other' } })).toBe('saml_in_response_to');
    expect(await says({ confirmationData: { InResponseTo: '_other' } })).toBe('saml_in_response_to');
    expect(await says({ confirmationData: { InResponseTo: undefined } })).toBe('saml_in_response_to');
    expect(await verdict(world, good(), { request: { id: '_other' } })).toBe('saml_in_response_to');
  });
  it('refuses another relay state, and none', async () => {
    expect(await verdict(world, good(), { relayState: 'https://attacker.example/' })).toBe('saml_relay_state');
    expect(await verdict(world, good(), { relayState: null })).toBe('saml_relay_state');
  });
  it('refuses a request of long ago, and one of the future', async () => {
    expect(await verdict(world, good(), { request: { issuedAt_ms: WORLD.now_ms - 3_600_000 } })).toBe(
      'saml_request_expired',
    );
    expect(await verdict(world, good(), { request: { issuedAt_ms: WORLD.now_ms + 3_600_000 } })).toBe(
      'saml_request_expired',
    );
  });
});

describe('G22 G23 G24 G25: what the response says of itself', () => {
  it.each(['1.1', '2.1', '', undefined])('refuses the version %j on either level', async (Version) => {
    expect(await responds({ responseAttributes: { Version } })).toBe('saml_version');
    expect(await says({ attributes: { Version } })).toBe('saml_version');
  });
  const status = (value: string, nested = '', message = '') =>
    `<samlp:Status><samlp:StatusCode Value="${value}">${nested}</samlp:StatusCode>${message}</samlp:Status>`;
  const URN = 'urn:oasis:names:tc:SAML:2.0:status:';
  it.each([
    ['Requester beside an assertion', status(`${URN}Requester`), 'saml_status_not_success'],
    [
      'Responder with a reason',
      status(
        `${URN}Responder`,
        `<samlp:StatusCode Value="${URN}AuthnFailed"/>`,
        '<samlp:StatusMessage>no</samlp:StatusMessage>',
      ),
      'saml_status_not_success',
    ],
    [
      'Success with a second code below',
      status(`${URN}Success`, `<samlp:StatusCode Value="${URN}RequestDenied"/>`),
      'saml_status_not_success',
    ],
    ['an unknown status', status('urn:example:fine'), 'saml_status_unknown'],
    ['success in capitals', status(`${URN}SUCCESS`), 'saml_status_unknown'],
    ['an empty status', '<samlp:Status/>', 'saml_status_missing'],
    ['no status', ' ', 'saml_status_missing'],
  ])('refuses %s', async (_name, text, code) => {
    expect(await responds({ status: text })).toBe(code);
  });
  it('names the failure that a provider reports without an assertion, signed or not', async () => {
    const xml = responseXml({ status: status(`${URN}Responder`) }, '');
    expect(await verdict(world, xml)).toBe('saml_status_not_success');
    expect(await verdict(world, signElement(xml, 'Response', { key: world.idp }))).toBe('saml_status_not_success');
  });
  it.each([undefined, '', 'https://other.example/acs', `${WORLD.acs}/`, WORLD.acs.toUpperCase(), `${WORLD.acs}?x`])(
    'refuses the destination %j',
    async (Destination) => {
      expect(await responds({ responseAttributes: { Destination } })).toBe('saml_destination');
    },
  );
  it.each(['https://other.example/entity', '', ` ${WORLD.idp}`, `${WORLD.idp}/`])(
    'refuses the issuer %j',
    async (name) => {
      const issuer = `<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">${name}</saml:Issuer>`;
      expect(await responds({ responseIssuer: issuer })).toBe('saml_issuer');
      expect(await says({ issuer })).toBe('saml_issuer');
    },
  );
  it('refuses a missing issuer and an issuer of another format', async () => {
    expect(await verdict(world, responseXml({ responseIssuer: ' ' }))).toBe('saml_issuer');
    const issuer = `<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">${WORLD.idp}</saml:Issuer>`;
    expect(await says({ issuer })).toBe('saml_issuer');
    const entity = issuer.replace('1.1:nameid-format:emailAddress', '2.0:nameid-format:entity');
    expect(await says({ issuer: entity })).toBe(ACCEPTED);
  });
});

describe('G26: instants of issue', () => {
  it.each([
    '2026-11-23T12:00:00',
    '2026-11-23T12:00:00+00:00',
    '2026-11-23 12:00:00Z',
    '23.11.2026',
    '2026-02-30T00:00:00Z',
    '2026-11-23T24:00:00Z',
    '',
  ])('refuses the form %j', async (IssueInstant) => {
    expect(await responds({ responseAttributes: { IssueInstant } })).toBe('saml_time_form');
    expect(await says({ attributes: { IssueInstant } })).toBe('saml_time_form');
  });
  it('refuses what was issued before the request or in the future, and takes a fraction of a second', async () => {
    for (const seconds of [-3600, 3600]) {
      expect(await responds({ responseAttributes: { IssueInstant: at(seconds) } })).toBe('saml_issue_instant');
      expect(await says({ attributes: { IssueInstant: at(seconds) } })).toBe('saml_issue_instant');
    }
    expect(await says({ attributes: { IssueInstant: at(-1).replace('Z', '.1234567Z') } })).toBe(ACCEPTED);
  });
});

describe('G27: one bearer confirmation', () => {
  const bearer = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"/>';
  it.each<[string, AssertionParts, string]>([
    ['no confirmation', { confirmation: '' }, 'saml_confirmation_count'],
    ['two confirmations', { confirmation: bearer + bearer }, 'saml_confirmation_count'],
    ['no subject', { subject: '' }, 'saml_confirmation_count'],
    [
      'holder of key',
      { confirmationMethod: 'urn:oasis:names:tc:SAML:2.0:cm:holder-of-key' },
      'saml_confirmation_method',
    ],
    [
      'sender vouches',
      { confirmationMethod: 'urn:oasis:names:tc:SAML:2.0:cm:sender-vouches' },
      'saml_confirmation_method',
    ],
    ['an empty method', { confirmationMethod: '' }, 'saml_confirmation_method'],
    ['no data', { confirmation: bearer }, 'saml_confirmation_data'],
    ['no end', { confirmationData: { NotOnOrAfter: undefined } }, 'saml_confirmation_data'],
    ['a NotBefore', { confirmationData: { NotBefore: at(-1) } }, 'saml_confirmation_data'],
    ['another recipient', { confirmationData: { Recipient: 'https://other.example/acs' } }, 'saml_recipient'],
    ['no recipient', { confirmationData: { Recipient: undefined } }, 'saml_recipient'],
    [
      'a recipient that begins like ours',
      { confirmationData: { Recipient: `${WORLD.acs}.attacker.example` } },
      'saml_recipient',
    ],
    ['an end in the past', { confirmationData: { NotOnOrAfter: at(-60) } }, 'saml_confirmation_expired'],
    ['an end in ten years', { confirmationData: { NotOnOrAfter: '2036-01-01T00:00:00Z' } }, 'saml_lifetime_excessive'],
    ['an end without zone', { confirmationData: { NotOnOrAfter: '2026-11-23T12:05:00' } }, 'saml_time_form'],
  ])('refuses %s', async (_name, parts, code) => {
    expect(await says(parts)).toBe(code);
  });
});

describe('G28 G29: conditions and audience', () => {
  const audience = (...names: string[]) =>
    `<saml:AudienceRestriction>${names.map((name) => `<saml:Audience>${name}</saml:Audience>`).join('')}</saml:AudienceRestriction>`;
  it.each<[string, AssertionParts, string]>([
    ['no conditions', { conditions: '' }, 'saml_conditions_missing'],
    ['a beginning in the future', { conditionsAttributes: { NotBefore: at(61) } }, 'saml_not_yet_valid'],
    ['an end in the past', { conditionsAttributes: { NotOnOrAfter: at(-60) } }, 'saml_expired'],
    [
      'an end in ten years',
      { conditionsAttributes: { NotOnOrAfter: '2036-01-01T00:00:00Z' } },
      'saml_lifetime_excessive',
    ],
    ['no restriction', { conditionsContent: '' }, 'saml_audience'],
    ['an empty restriction', { conditionsContent: audience() }, 'saml_audience'],
    ['another audience', { conditionsContent: audience('https://other.example') }, 'saml_audience'],
    ['another audience beside us', { conditionsContent: audience(WORLD.sp, 'https://other.example') }, 'saml_audience'],
    [
      'a second restriction',
      { conditionsContent: audience(WORLD.sp) + audience('https://other.example') },
      'saml_audience',
    ],
    [
      'an audience that begins like us',
      { conditionsContent: audience(`${WORLD.sp}.attacker.example`) },
      'saml_audience',
    ],
    ['a padded audience', { conditionsContent: audience(` ${WORLD.sp}`) }, 'saml_audience'],
  ])('refuses %s', async (_name, parts, code) => {
    expect(await says(parts)).toBe(code);
  });
  it('takes OneTimeUse, which every assertion is anyway', async () => {
    expect(await says({ conditionsContent: `${audience(WORLD.sp)}<saml:OneTimeUse/>` })).toBe(ACCEPTED);
  });
  it('gives clocks a minute and no second more', async () => {
    const end = { NotOnOrAfter: at(0) };
    expect(
      await says({ conditionsAttributes: end, confirmationData: end }, { now_ms: WORLD.now_ms + CLOCK_SKEW_MS - 1 }),
    ).toBe(ACCEPTED);
    expect(await says({ conditionsAttributes: end }, { now_ms: WORLD.now_ms + CLOCK_SKEW_MS })).toBe('saml_expired');
    expect(await says({ conditionsAttributes: { NotBefore: at(60) } })).toBe(ACCEPTED);
  });
});

describe('G30: the sign-in at the provider', () => {
  it.each<[string, AssertionParts, string]>([
    ['no statement', { authn: '' }, 'saml_authn_statement_count'],
    [
      'two statements',
      { authn: `<saml:AuthnStatement AuthnInstant="${at(0)}"/>`.repeat(2) },
      'saml_authn_statement_count',
    ],
    ['a sign-in of 2020', { authnAttributes: { AuthnInstant: '2020-01-01T00:00:00Z' } }, 'saml_authn_too_old'],
    ['a sign-in of tomorrow', { authnAttributes: { AuthnInstant: at(86_400) } }, 'saml_authn_instant_future'],
    ['no instant', { authnAttributes: { AuthnInstant: undefined } }, 'saml_time_form'],
    ['a session that is over', { authnAttributes: { SessionNotOnOrAfter: at(0) } }, 'saml_session_over'],
    ['an empty session index', { authnAttributes: { SessionIndex: '' } }, 'saml_session_index'],
    ['an overlong session index', { authnAttributes: { SessionIndex: 'x'.repeat(257) } }, 'saml_session_index'],
  ])('refuses %s', async (_name, parts, code) => {
    expect(await says(parts)).toBe(code);
  });
  it('with ForceAuthn takes only a sign-in after the request; the provider may have ignored it', async () => {
    const before = { authnAttributes: { AuthnInstant: at(-120) } };
    expect(await says(before, { request: { forceAuthn: true } })).toBe('saml_authn_too_old');
    expect(await says(before)).toBe(ACCEPTED);
    expect(await says({}, { request: { forceAuthn: true } })).toBe(ACCEPTED);
  });
  it('keeps to the age of the connection', async () => {
    const parts = { authnAttributes: { AuthnInstant: at(-7200) } };
    expect(await says(parts, { connection: { authnAge_seconds_max: 3600 } })).toBe('saml_authn_too_old');
    expect(await says(parts, { connection: { authnAge_seconds_max: 7200 } })).toBe(ACCEPTED);
  });
  it('knows no end of the session and no index where none is sent', async () => {
    const authnAttributes = { SessionNotOnOrAfter: undefined, SessionIndex: undefined };
    const result = await attempt(world, signedResponse({ key: world.idp }, { assertion: { authnAttributes } }));
    expect(result.sessionNotOnOrAfter_ms).toBeUndefined();
    expect(result.sessionIndex).toBeUndefined();
  });
});

describe('G31: the NameID', () => {
  it.each([
    ' admin',
    'admin ',
    'admin\n',
    '\tadmin',
    '',
    ' ',
    '\u00a0admin',
    'ad\u200bmin',
    'ad\u202emin',
    'ad\nmin',
    'x'.repeat(257),
  ])('refuses %j', async (name) => {
    expect(await says({ nameId: `<saml:NameID>${name}</saml:NameID>` })).toBe('saml_name_id_form');
  });
  it('refuses none, and one for another service', async () => {
    expect(await says({ nameId: '' })).toBe('saml_name_id_missing');
    expect(await says({ nameId: '<saml:NameID SPNameQualifier="https://other.example">a</saml:NameID>' })).toBe(
      'saml_name_id_qualifier',
    );
  });
  it('takes 256 characters and keeps the qualifiers', async () => {
    const nameId = `<saml:NameID NameQualifier="${WORLD.idp}" SPNameQualifier="${WORLD.sp}">${'x'.repeat(256)}</saml:NameID>`;
    const { subject } = await attempt(world, signedResponse({ key: world.idp }, { assertion: { nameId } }));
    expect(subject).toEqual({
      nameId: 'x'.repeat(256),
      format: undefined,
      nameQualifier: WORLD.idp,
      spNameQualifier: WORLD.sp,
    });
  });
});

describe('G32: attributes', () => {
  const statement = (...attributes: string[]) =>
    `<saml:AttributeStatement>${attributes.join('')}</saml:AttributeStatement>`;
  it.each<[string, string, string]>([
    ['one name twice', statement(attribute('role', 'user'), attribute('role', 'admin')), 'saml_attribute_duplicate'],
    [
      'one name in two statements',
      statement(attribute('role', 'user')) + statement(attribute('role', 'admin')),
      'saml_attribute_duplicate',
    ],
    [
      'no name',
      statement('<saml:Attribute><saml:AttributeValue>x</saml:AttributeValue></saml:Attribute>'),
      'saml_attribute_name',
    ],
    ['a blank name', statement(attribute(' ', 'x')), 'saml_attribute_name'],
    ['an overlong name', statement(attribute('n'.repeat(513), 'x')), 'saml_attribute_name'],
    [
      '257 attributes',
      statement(...Array.from({ length: 257 }, (_each, index) => attribute(`a${index}`, 'x'))),
      'saml_attribute_limit',
    ],
    [
      '1001 values',
      statement(
        `<saml:Attribute Name="a">${'<saml:AttributeValue>x</saml:AttributeValue>'.repeat(1001)}</saml:Attribute>`,
      ),
      'saml_attribute_limit',
    ],
    ['an overlong value', statement(attribute('a', 'x'.repeat(16_385))), 'saml_attribute_limit'],
  ])('refuses %s', async (_name, text, code) => {
    expect(await says({ statement: text })).toBe(code);
  });
  it('takes the names `__proto__`, `constructor` and `getAssertionXml` as names', async () => {
    const names = ['__proto__', 'constructor', 'getAssertionXml', 'nameID', 'issuer'];
    const xml = signedResponse(
      { key: world.idp, sign: 'both' },
      { assertion: { statement: statement(...names.map((name) => attribute(name, 'admin', 'x'))) } },
    );
    const result = await attempt(world, xml);
    expect([...result.attributes.keys()]).toEqual(names);
    expect(result.subject.nameId).toBe(NAME_ID);
    expect(result.issuer).toBe(WORLD.idp);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });
  it('takes a message without attributes', async () => {
    expect((await attempt(world, signedResponse({ key: world.idp }, { assertion: { statement: '' } }))).claims).toEqual(
      [],
    );
  });
});

describe('G33: once only', () => {
  it('refuses a replay, and remembers until nobody could use it any more', async () => {
    const used = new Map<string, number>();
    const once = (id: string, forget_ms: number) => {
      if (used.has(id)) return Promise.resolve(false);
      used.set(id, forget_ms);
      return Promise.resolve(true);
    };
    expect(await verdict(world, good(), { once })).toBe(ACCEPTED);
    expect(await verdict(world, good(), { once })).toBe('saml_replayed');
    expect([...used]).toEqual([[ASSERTION_ID, WORLD.now_ms + 300_000 + CLOCK_SKEW_MS]]);
    expect(await verdict(world, good(), { now_ms: WORLD.now_ms + 300_000 + CLOCK_SKEW_MS })).toMatch(/expired/);
  });
  it('refuses the same assertion in another response', async () => {
    const used = new Set<string>();
    const once = (id: string) => Promise.resolve(!used.has(id) && used.add(id) !== undefined);
    const assertion = signElement(assertionXml(), 'Assertion', { key: world.idp });
    expect(await verdict(world, responseXml({}, assertion), { once })).toBe(ACCEPTED);
    expect(await verdict(world, responseXml({ responseAttributes: { ID: '_again' } }, assertion), { once })).toBe(
      'saml_replayed',
    );
  });
  it('asks only for what has passed everything else', async () => {
    let asked = 0;
    const once = () => Promise.resolve((asked += 1) > 0);
    await says({ nameId: '' }, { once });
    await verdict(world, signedResponse({ key: world.attacker }), { once });
    expect(asked).toBe(0);
  });
  it('does not turn a store that fails into an acceptance', async () => {
    await expect(attempt(world, good(), { once: () => Promise.reject(new Error('down')) })).rejects.toThrow('down');
  });
});
