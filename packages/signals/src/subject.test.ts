import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  describeSubject,
  EVENT_RULES,
  parseSubject,
  strongest,
  VERDICTS,
  type EventName,
  type Verdict,
} from './index.ts';
import {
  codeOf,
  ISSUER,
  makeRsaKey,
  Receiver,
  SESSION_REVOKED,
  signedSet,
  SUBJECT,
  type SigningKey,
} from './testing/forger.ts';
import type { ReceiverStreamInput } from './stream.ts';

let key: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
});

const about = (sub_id: unknown, input: Partial<ReceiverStreamInput> = {}, events?: Readonly<Record<string, unknown>>) =>
  new Receiver([key.jwk], input).verdict(signedSet(key, { sub_id, ...(events === undefined ? {} : { events }) }));

const EMAIL = { format: 'email', email: 'ada@acme.test' } as const;
const DEVICE = { format: 'iss_sub', iss: 'https://devices.test', sub: 'd-1' } as const;

describe('subjects', () => {
  it('E20: are there and have exactly what their format has', async () => {
    for (const wrong of [
      undefined,
      null,
      'f1d2c3b4',
      [SUBJECT],
      {},
      { format: '' },
      { format: 7, iss: ISSUER, sub: 'a' },
      { format: 'iss_sub' },
      { format: 'iss_sub', iss: ISSUER },
      { format: 'iss_sub', iss: ISSUER, sub: '' },
      { format: 'iss_sub', iss: ISSUER, sub: 7 },
      { format: 'iss_sub', iss: ISSUER, sub: ' padded' },
      { format: 'iss_sub', iss: ISSUER, sub: 'padded ' },
      { format: 'iss_sub', iss: ISSUER, sub: 'a\u0000' },
      { format: 'iss_sub', iss: ISSUER, sub: 'a'.repeat(1025) },
      { format: 'iss_sub', iss: ISSUER, sub: ['f1d2c3b4'] },
      { ...SUBJECT, email: 'ada@acme.test' },
      { format: 'email', email: 'no address' },
      { format: 'email', email: 'a@b@c' },
      { format: 'email', email: 'ada@acme.test', id: 'x' },
      { format: 'account', uri: 'https://acme.test/ada' },
      { format: 'phone_number', phone_number: '030 1234' },
      { format: 'did', url: 'https://acme.test' },
      { format: 'uri', uri: 'no scheme' },
      { format: 'opaque' },
      { format: 'jwt_id', iss: ISSUER },
      { format: 'saml_assertion_id', issuer: ISSUER },
    ])
      expect(await about(wrong)).toBe('signals_subject_form');
  });

  it('E20: the examples of RFC 9493 and SSF are read', () => {
    for (const [subject, form] of [
      [{ format: 'account', uri: 'acct:example.user@service.example.com' }, 'account'],
      [{ format: 'email', email: 'user@example.com' }, 'email'],
      [{ format: 'iss_sub', iss: 'https://issuer.example.com/', sub: '145234573' }, 'iss_sub'],
      [{ format: 'opaque', id: '11112222333344445555' }, 'opaque'],
      [{ format: 'phone_number', phone_number: '+12065550100' }, 'phone_number'],
      [{ format: 'did', url: 'did:example:123456' }, 'did'],
      [{ format: 'uri', uri: 'urn:uuid:4e851e98-83c4-4743-a5da-150ecb53042f' }, 'uri'],
      [
        { format: 'jwt_id', iss: 'https://idp.example.com/123456789/', jti: 'B70BA622-9515-4353-A866-823539EECBC8' },
        'jwt_id',
      ],
      [
        {
          format: 'saml_assertion_id',
          issuer: 'https://idp.example.com/123456789/',
          assertion_id: '_8e8dc5f69a98cc4c1f',
        },
        'saml_assertion_id',
      ],
      [{ format: 'aliases', identifiers: [EMAIL, SUBJECT] }, 'aliases of 2'],
      [{ format: 'ip-addresses', 'ip-addresses': ['10.29.37.75'] }, 'format "ip-addresses"'],
      [{ format: 'complex', user: EMAIL, tenant: SUBJECT }, 'complex of "user" "tenant"'],
    ] as const)
      expect(describeSubject(parseSubject(subject))).toBe(form);
  });

  it('E21: only issuer and subject find an account; an e-mail never does', async () => {
    expect(await about(SUBJECT)).toBe('end_sessions for f1d2c3b4');
    for (const [subject, reason] of [
      [EMAIL, 'email'],
      [{ format: 'account', uri: 'acct:ada@acme.test' }, 'email'],
      [{ format: 'phone_number', phone_number: '+12065550100' }, 'email'],
      [{ format: 'uri', uri: 'urn:user:1' }, 'format'],
      [{ format: 'did', url: 'did:example:1' }, 'format'],
      [{ format: 'jwt_id', iss: ISSUER, jti: '1' }, 'format'],
      [{ format: 'vendor-thing', anything: [1, 2] }, 'format'],
      [{ format: 'opaque', id: 'f1d2c3b4' }, 'opaque'],
    ] as const)
      expect(await about(subject)).toBe(`alert for ${reason}`);
    expect(await about({ format: 'opaque', id: 'f1d2c3b4' }, { opaqueSubjects: 'account' })).toBe(
      'end_sessions for f1d2c3b4',
    );
    // Not even where both sides agreed on opaque ids, and the e-mail is somebody's subject elsewhere.
    expect(await about(EMAIL, { opaqueSubjects: 'account' })).toBe('alert for email');
  });

  it('E21: a transmitter cannot speak of another provider’s people', async () => {
    const other = { ...SUBJECT, iss: 'https://login.other.test' };
    expect(await about(other)).toBe('alert for foreign_issuer');
    expect(await about({ ...SUBJECT, iss: `${ISSUER}/` })).toBe('alert for foreign_issuer');
    expect(await about(other, { subjectIssuers: ['https://login.other.test'] })).toBe('end_sessions for f1d2c3b4');
    expect(await about(SUBJECT, { subjectIssuers: ['https://login.other.test'] })).toBe('alert for foreign_issuer');
    const session = { format: 'opaque', id: 's-1' };
    expect(await about({ format: 'complex', user: other, session })).toBe('alert for foreign_issuer');
  });

  it('E22: aliases are names of one person', async () => {
    const aliases = (...identifiers: readonly unknown[]) => about({ format: 'aliases', identifiers });
    expect(await aliases(EMAIL, SUBJECT)).toBe('end_sessions for f1d2c3b4');
    expect(await aliases(EMAIL)).toBe('alert for email');
    expect(await aliases(SUBJECT, { ...SUBJECT, sub: 'somebody else' })).toBe('alert for contradiction');
    for (const wrong of [[], [{ format: 'aliases', identifiers: [SUBJECT] }], [{ format: 'complex', user: SUBJECT }]])
      expect(await aliases(...wrong)).toBe('signals_subject_form');
    expect(await aliases(...Array.from({ length: 17 }, () => SUBJECT))).toBe('signals_subject_form');
    expect(await about({ format: 'aliases', identifiers: [SUBJECT], id: 'x' })).toBe('signals_subject_form');
  });

  it('E22: a complex subject is a person, a session, or one session of a person', async () => {
    const session = { format: 'opaque', id: 's-1' };
    const complex = (members: object, input?: Partial<ReceiverStreamInput>, events?: Record<string, unknown>) =>
      about({ format: 'complex', ...members }, input, events);
    expect(await complex({ user: SUBJECT })).toBe('end_sessions for f1d2c3b4');
    expect(await complex({ user: SUBJECT, device: DEVICE, tenant: { format: 'opaque', id: 't' } })).toBe(
      'end_sessions for f1d2c3b4',
    );
    expect(await complex({ user: SUBJECT, session })).toBe('end_sessions for f1d2c3b4 in s-1');
    expect(await complex({ user: EMAIL, session })).toBe('end_sessions for s-1');
    expect(await complex({ session })).toBe('end_sessions for s-1');
    expect(await complex({ user: EMAIL })).toBe('alert for email');
    for (const members of [{ device: DEVICE }, { tenant: SUBJECT }, { group: SUBJECT }, { session: SUBJECT }])
      expect(await complex(members)).toBe('alert for no_person');
    expect(await complex({ user: SUBJECT, device: DEVICE }, { criticalMembers: ['device'] })).toBe(
      'alert for critical_member',
    );
    expect(await complex({ user: SUBJECT }, { criticalMembers: ['user', 'session'] })).toBe(
      'end_sessions for f1d2c3b4',
    );
    for (const wrong of [
      {},
      { user: 'ada' },
      { user: { format: 'complex', user: SUBJECT } },
      { user: SUBJECT, device: 7 },
    ])
      expect(await complex(wrong)).toBe('signals_subject_form');
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`member-${index}`, SUBJECT]));
    expect(await complex(many)).toBe('signals_subject_form');
    // A session narrows what is said of sessions, and nothing else; and a session alone is nobody to suspend.
    const disabled = { [EVENT_RULES['account-disabled'].uri]: {} };
    expect(await complex({ user: SUBJECT, session }, {}, disabled)).toBe('suspend for f1d2c3b4');
    expect(await complex({ session }, {}, disabled)).toBe('end_sessions for s-1');
  });

  it('E20: no JSON makes the reader do anything but accept or refuse', async () => {
    const formats = ['iss_sub', 'opaque', 'email', 'aliases', 'complex', 'constructor', '__proto__', 'unknown'];
    const member = fc.oneof(fc.string(), fc.jsonValue({ maxDepth: 2 }), fc.constant(SUBJECT));
    const names = fc.constantFrom('iss', 'sub', 'id', 'email', 'identifiers', 'user', 'session', '__proto__');
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...formats), fc.dictionary(names, member), async (format, members) => {
        const code = await codeOf(() => Promise.resolve(parseSubject({ ...members, format }).kind));
        expect(code).toMatch(/^(simple|aliases|complex|unknown|signals_subject_form)$/);
      }),
      { numRuns: 500 },
    );
  });
});

describe('events', () => {
  const of = (name: EventName, detail: Readonly<Record<string, unknown>> = {}) =>
    about(SUBJECT, {}, { [EVENT_RULES[name].uri]: detail });

  it('E23: each leads to one verdict of the table', async () => {
    const expected: readonly (readonly [EventName, Readonly<Record<string, unknown>>, Verdict])[] = [
      ['session-revoked', {}, 'end_sessions'],
      ['token-claims-change', { claims: { role: 'ro-admin' } }, 'end_sessions'],
      ['credential-change', { credential_type: 'fido2-roaming', change_type: 'create' }, 'alert'],
      ['credential-change', { credential_type: 'password', change_type: 'update' }, 'end_sessions'],
      ['credential-change', { credential_type: 'x509', change_type: 'revoke' }, 'end_sessions'],
      ['credential-change', { credential_type: 'pin', change_type: 'delete' }, 'end_sessions'],
      ['assurance-level-change', { current_level: 'nist-aal2', change_direction: 'increase' }, 'nothing'],
      ['assurance-level-change', { current_level: 'nist-aal1', change_direction: 'decrease' }, 'end_sessions'],
      ['device-compliance-change', { previous_status: 'not-compliant', current_status: 'compliant' }, 'nothing'],
      ['device-compliance-change', { previous_status: 'compliant', current_status: 'not-compliant' }, 'end_sessions'],
      ['risk-level-change', { principal: 'USER', current_level: 'LOW' }, 'nothing'],
      ['risk-level-change', { principal: 'USER', current_level: 'HIGH' }, 'end_sessions'],
      ['session-established', {}, 'nothing'],
      ['account-disabled', { reason: 'hijacking' }, 'suspend'],
      ['account-purged', {}, 'suspend'],
      ['account-credential-change-required', {}, 'end_sessions'],
      ['credential-compromise', { credential_type: 'password' }, 'end_sessions'],
      ['identifier-changed', { 'new-value': 'john.roe@example.com' }, 'alert'],
      ['identifier-recycled', {}, 'alert'],
      ['sessions-revoked', {}, 'end_sessions'],
    ];
    for (const [name, detail, verdict] of expected)
      expect([name, await of(name, detail)]).toEqual([name, `${verdict} for f1d2c3b4`]);
  });

  it('E23: a detail that cannot be read counts as the worst it can be', async () => {
    for (const detail of [{}, { change_type: 'CREATE' }, { change_type: ['create'] }, { change_type: 'constructor' }]) {
      expect(await of('credential-change', detail)).toBe('end_sessions for f1d2c3b4');
      const events = { [EVENT_RULES['credential-change'].uri]: detail };
      const set = await new Receiver([key.jwk]).verify(signedSet(key, { events }));
      expect(set.events[0]!.isUnreadable).toBe(true);
    }
    expect(await of('assurance-level-change', { current_level: 'x' })).toBe('end_sessions for f1d2c3b4');
    expect(await of('device-compliance-change', { current_status: 'unknown' })).toBe('end_sessions for f1d2c3b4');
  });

  it('E23: the strongest of several counts', async () => {
    const events = { [SESSION_REVOKED]: {}, [EVENT_RULES['account-disabled'].uri]: {}, 'urn:other': {} };
    expect(await about(SUBJECT, {}, events)).toBe('suspend for f1d2c3b4');
    expect(strongest([])).toBe('nothing');
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...VERDICTS), { minLength: 1 }), (verdicts) => {
        expect(verdicts).toContain(strongest(verdicts));
        for (const one of verdicts)
          expect(VERDICTS.indexOf(strongest(verdicts))).toBeGreaterThanOrEqual(VERDICTS.indexOf(one));
      }),
    );
  });

  it('E24: an unknown event is kept and somebody is told', async () => {
    for (const uri of ['https://vendor.test/event/odd', '__proto__', `${SESSION_REVOKED}/`, 'session-revoked']) {
      const set = await new Receiver([key.jwk]).verify(
        signedSet(key, { events: JSON.parse(`{${JSON.stringify(uri)}:{"a":1}}`) as object }),
      );
      expect(set.verdict).toBe('alert');
      expect(set.events[0]).toMatchObject({ uri, name: undefined, detail: { a: 1 } });
    }
  });

  it('E25: nothing gives anything back', async () => {
    expect(VERDICTS).toEqual(['nothing', 'alert', 'end_sessions', 'suspend']);
    expect(await of('account-enabled')).toBe('alert for f1d2c3b4');
    expect(await of('recovery-activated')).toBe('alert for f1d2c3b4');
    for (const rule of Object.values(EVENT_RULES)) expect(VERDICTS).toContain(rule.verdict);
  });
});
