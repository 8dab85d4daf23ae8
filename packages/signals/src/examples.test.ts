import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  answerPoll,
  answerPush,
  EMPTY_OUTBOX,
  EVENT_RULES,
  FIRST_POLL,
  pollRequest,
  SIGNALS_CHECKS,
  type EventName,
} from './index.ts';
import { parsePollAnswer } from './poll.ts';
import { readPushAnswer } from './send.ts';
import { codeOf, makeRsaKey, NOW_MS, NOW_SECONDS, Receiver, signedSet, type SigningKey } from './testing/forger.ts';

/** The situations that the specifications show as examples, with names of our own and today's times. */
let key: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
});

const IDP = 'https://idp.example.com/123456789/';
const TRANSMITTER = 'https://transmitter.example.com';
const event = (name: EventName, detail: object = {}) => ({ [EVENT_RULES[name].uri]: detail });

async function told(sub_id: object, events: object, more: object = {}): Promise<string> {
  const receiver = new Receiver([key.jwk], {
    issuer: TRANSMITTER,
    audience: 'receiver.example.com',
    subjectIssuers: [IDP, TRANSMITTER],
  });
  receiver.states.add('VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRlIHZhbHVlLgo=');
  const claims = {
    iss: TRANSMITTER,
    aud: 'receiver.example.com',
    jti: '756E69717565206964656E746966696572',
    sub_id,
    events,
  };
  return await receiver.verdict(signedSet(key, { ...claims, iat: NOW_SECONDS, txn: '8675309', ...more }));
}

describe('the situations of the specifications', () => {
  it('E23 E26: SSF: a verification with its state, and a paused stream', async () => {
    const stream = { format: 'opaque', id: 'f67e39a0a4d34d56b3aa1bc4cff0069f' };
    const state = 'VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRlIHZhbHVlLgo=';
    expect(await told(stream, event('verification', { state }))).toBe('nothing for the stream');
    const paused = event('stream-updated', { status: 'paused', reason: 'Internal error' });
    expect(await told(stream, paused)).toBe('alert for the stream');
    expect(await told(stream, event('stream-updated', { status: 'enabled' }))).toBe('nothing for the stream');
    // Two audiences are allowed to a transmitter, but not believed by this receiver.
    const aud = ['receiver.example.com/web', 'receiver.example.com/mobile'];
    expect(await told(stream, event('verification', { state }), { aud })).toBe('signals_audience');
  });

  it('E22 E23: CAEP: a revoked session, alone, by person, and by person, device and tenant', async () => {
    const revoked = event('session-revoked', {
      initiating_entity: 'policy',
      reason_admin: { en: 'Landspeed Policy Violation: C076E82F' },
      reason_user: {
        en: 'Access attempt from multiple regions.',
        'es-410': 'Intento de acceso desde varias regiones.',
      },
      event_timestamp: NOW_SECONDS - 60,
    });
    const session = { format: 'opaque', id: 'dMTlD|1600802906337.16|16008.16' };
    const user = { format: 'iss_sub', iss: IDP, sub: '99beb27c-c1c2-4955-882a-e0dc4996fcbc' };
    const device = { format: 'iss_sub', iss: IDP, sub: 'e9297990-14d2-42ec-a4a9-4036db86509a' };
    const tenant = { format: 'opaque', id: '123456789' };
    expect(await told(session, revoked)).toBe('alert for opaque');
    expect(await told({ format: 'complex', session }, revoked)).toBe(`end_sessions for ${session.id}`);
    expect(await told(user, revoked)).toBe(`end_sessions for ${user.sub}`);
    expect(await told({ format: 'complex', user, device, tenant }, revoked)).toBe(`end_sessions for ${user.sub}`);
  });

  it('E22 E23: CAEP: changed claims, a new authenticator, levels and a device', async () => {
    const user = { format: 'iss_sub', iss: IDP, sub: 'jane.smith' };
    const cases: readonly (readonly [EventName, object, string])[] = [
      ['token-claims-change', { claims: { trusted_network: 'false' } }, 'end_sessions'],
      [
        'credential-change',
        { credential_type: 'fido2-roaming', change_type: 'create', friendly_name: 'Jane' },
        'alert',
      ],
      [
        'assurance-level-change',
        {
          namespace: 'NIST-AAL',
          current_level: 'nist-aal2',
          previous_level: 'nist-aal1',
          change_direction: 'increase',
        },
        'nothing',
      ],
      // Without the previous level there is no direction.
      ['assurance-level-change', { namespace: 'Retinal Scan', current_level: 'hi-res-scan' }, 'end_sessions'],
      ['device-compliance-change', { current_status: 'not-compliant', previous_status: 'compliant' }, 'end_sessions'],
    ];
    for (const [name, detail, verdict] of cases)
      expect(await told(user, event(name, detail))).toBe(`${verdict} for jane.smith`);
    const device = { format: 'complex', device: { format: 'iss_sub', iss: IDP, sub: 'e9297990' } };
    expect(await told(device, event('device-compliance-change', cases[4]![1]))).toBe('alert for no_person');
    const assertion = { format: 'saml_assertion_id', issuer: IDP, assertion_id: '_a75adf55-01d7-dbd8372ebdfc' };
    expect(await told(assertion, event('token-claims-change', { claims: { role: 'ro-admin' } }))).toBe(
      'alert for format',
    );
  });

  it('E21 E23: RISC: accounts that are disabled, compromised, renamed', async () => {
    const account = { format: 'iss_sub', iss: TRANSMITTER, sub: '7375626A656374' };
    expect(await told(account, event('account-disabled', { reason: 'hijacking' }))).toBe('suspend for 7375626A656374');
    expect(await told(account, event('account-credential-change-required'))).toBe('end_sessions for 7375626A656374');
    expect(await told(account, event('credential-compromise', { credential_type: 'password' }))).toBe(
      'end_sessions for 7375626A656374',
    );
    const address = { format: 'email', email: 'john.doe@example.com' };
    expect(await told(address, event('identifier-changed', { 'new-value': 'john.roe@example.com' }))).toBe(
      'alert for email',
    );
    expect(await told(address, event('identifier-recycled'))).toBe('alert for email');
    expect(await told(address, event('account-disabled'))).toBe('alert for email');
  });

  it('E30 E43: RFC 8935: an error of one side is read by the other', async () => {
    const receiver = new Receiver([key.jwk]);
    const request = {
      method: 'POST',
      contentType: 'application/secevent+jwt',
      authorization: undefined,
      body: Buffer.from(signedSet(key, { aud: 'https://somebody.example' })),
    };
    const { answer } = await answerPush({ ...receiver, request, authorizationHash: undefined }, receiver);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'content-language': 'en' });
    const read = readPushAnswer({ status: answer.status, text: answer.body, retryAfter: undefined }, NOW_MS);
    expect(read).toEqual({ kind: 'refused', err: 'invalid_audience' });
  });

  it('E33 E42: RFC 8936: a first poll, one that acknowledges and reports, and an empty answer', () => {
    expect(pollRequest(FIRST_POLL)).toEqual({ maxEvents: 25, returnImmediately: true, ack: [] });
    const errors = { '4d3559ec': { err: 'invalid_audience', description: 'x' } } as const;
    const request = pollRequest({ ...FIRST_POLL, acks: ['3d0c3cf7'], errors });
    expect(request).toMatchObject({ ack: ['3d0c3cf7'], setErrs: errors });
    const { body } = answerPoll(JSON.stringify(request), EMPTY_OUTBOX, { nowMs: () => NOW_MS });
    expect(parsePollAnswer(body)).toEqual({ sets: [], isMore: false });
    expect(parsePollAnswer({ sets: { a: 'x.y.z' }, moreAvailable: true })).toEqual({
      sets: [['a', 'x.y.z']],
      isMore: true,
    });
  });
});

describe('whatever comes', () => {
  it('E28 E30: no bytes that are posted are taken, and none break the answer', async () => {
    const receiver = new Receiver([key.jwk]);
    const authorizationHash = createHash('sha256').update('agreed').digest();
    const genuine = Buffer.from(signedSet(key));
    const cut = fc.nat(genuine.length - 1).map((at) => genuine.subarray(0, at));
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.string().map((text) => Buffer.from(text)),
      cut,
    );
    await fc.assert(
      fc.asyncProperty(body, async (bytes) => {
        const request = {
          method: 'POST',
          contentType: 'application/secevent+jwt',
          authorization: 'agreed',
          body: bytes,
        };
        const { answer, received } = await answerPush({ ...receiver, request, authorizationHash }, receiver);
        expect([answer.status, received]).toEqual([400, undefined]);
      }),
      { numRuns: 150 },
    );
    expect(receiver.kept.size).toBe(0);
  });

  it('E42: no request for events breaks the answer', async () => {
    const names = fc.constantFrom('ack', 'setErrs', 'maxEvents', 'returnImmediately', '__proto__');
    const request = fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.dictionary(names, fc.jsonValue({ maxDepth: 2 })).map((value) => JSON.stringify(value)),
    );
    await fc.assert(
      fc.asyncProperty(request, async (text) => {
        const code = await codeOf(() =>
          Promise.resolve(answerPoll(text, EMPTY_OUTBOX, { nowMs: () => NOW_MS }).body['moreAvailable']),
        );
        expect(['false', 'signals_request_form']).toContain(code);
      }),
      { numRuns: 300 },
    );
  });

  it('each refusal names a check that is written down', () => {
    const spec = readFileSync(new URL('../SPEC.md', import.meta.url), 'utf8');
    for (const [check, sentence] of Object.values(SIGNALS_CHECKS)) {
      expect(spec).toContain(`- **${check}** `);
      expect(sentence).toMatch(/\.$/);
    }
  });
});
