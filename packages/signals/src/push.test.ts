import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { answerPush, type PushOutcome, type PushRequest } from './index.ts';
import { TOKEN_CHARACTERS_MAX } from './limits.ts';
import {
  makeRsaKey,
  NOW_SECONDS,
  Receiver,
  signedSet,
  STREAM_ID,
  VERIFICATION,
  type SigningKey,
} from './testing/forger.ts';

let key: SigningKey;
let attacker: SigningKey;
beforeAll(() => {
  key = makeRsaKey('key-1');
  attacker = makeRsaKey('key-1');
});

const AUTHORIZATION = 'Bearer agreed-on-with-the-transmitter';
const HASH = createHash('sha256').update(AUTHORIZATION).digest();

function push(
  token: string,
  over: Partial<PushRequest> = {},
  receiver = new Receiver([key.jwk]),
): Promise<PushOutcome> {
  const request: PushRequest = {
    method: 'POST',
    contentType: 'application/secevent+jwt',
    authorization: AUTHORIZATION,
    body: Buffer.from(token, 'utf8'),
    ...over,
  };
  return answerPush({ request, stream: receiver.stream, keys: receiver.keys, authorizationHash: HASH }, receiver);
}

const told = ({ answer }: PushOutcome) =>
  answer.body === '' ? String(answer.status) : `${answer.status} ${(JSON.parse(answer.body) as { err: string }).err}`;

describe('E28 to E30: a pushed event', () => {
  it('E29: is taken only after it was kept', async () => {
    const receiver = new Receiver([key.jwk]);
    const outcome = await push(signedSet(key), {}, receiver);
    expect(told(outcome)).toBe('202');
    expect(outcome.received!.verdict).toBe('end_sessions');
    expect(receiver.kept.size).toBe(1);
    const broken = {
      ...receiver,
      clock: receiver.clock,
      store: { keep: () => Promise.reject(new Error('disk full')) },
    };
    await expect(
      push(signedSet(key, { jti: 'event-2' }), {}, Object.assign(new Receiver([key.jwk]), broken)),
    ).rejects.toThrow('disk full');
  });

  it('E29: replayed: it is taken again and does nothing', async () => {
    const receiver = new Receiver([key.jwk]);
    const token = signedSet(key);
    await push(token, {}, receiver);
    const again = await push(token, {}, receiver);
    expect([told(again), again.received, again.refused]).toEqual(['202', undefined, undefined]);
  });

  it('E28: is a POST of exactly one token of the right type and size', async () => {
    const token = signedSet(key);
    for (const over of [
      { method: 'GET' },
      { method: 'PUT' },
      { contentType: undefined },
      { contentType: 'application/json' },
      { contentType: 'application/jwt' },
      { contentType: 'application/secevent+jwt; charset=utf-8' },
      { body: Buffer.alloc(0) },
      { body: Buffer.alloc(TOKEN_CHARACTERS_MAX + 1, 0x61) },
      { body: Buffer.from(`${token}\n`) },
      { body: Buffer.from([0xff, 0xfe]) },
    ])
      expect(told(await push(token, over))).toBe('400 invalid_request');
    expect(told(await push(token, { contentType: 'Application/SecEvent+JWT' }))).toBe('202');
  });

  it('E28: has the authorization that was agreed on, and nothing is looked at without it', async () => {
    for (const authorization of [undefined, '', 'Bearer other', `${AUTHORIZATION} `, AUTHORIZATION.toLowerCase()]) {
      const receiver = new Receiver([key.jwk]);
      const outcome = await push(signedSet(key), { authorization }, receiver);
      expect(told(outcome)).toBe('400 authentication_failed');
      expect([receiver.asked.length, outcome.refused!.token]).toEqual([0, '']);
    }
  });

  it('E30: a refusal has a registered code and says no more', async () => {
    const receiver = new Receiver([key.jwk]);
    const cases = [
      [signedSet(key, { iss: 'https://evil.test' }), 'invalid_issuer', 'signals_issuer'],
      [signedSet(key, { aud: 'other' }), 'invalid_audience', 'signals_audience'],
      [signedSet(attacker), 'invalid_key', 'signals_signature_invalid'],
      [signedSet(key, {}, { alg: 'none' }), 'invalid_key', 'signals_algorithm_refused'],
      [signedSet(key, { exp: NOW_SECONDS }), 'invalid_request', 'signals_other_token'],
      [
        signedSet(key, { sub_id: { format: 'opaque', id: STREAM_ID }, events: { [VERIFICATION]: { state: 'x' } } }),
        'invalid_state',
        'signals_state',
      ],
    ] as const;
    for (const [token, err, code] of cases) {
      const outcome = await push(token, {}, receiver);
      expect(told(outcome)).toBe(`400 ${err}`);
      expect(outcome.refused).toMatchObject({ token, code });
      expect(outcome.answer.headers['content-type']).toBe('application/json');
      expect(outcome.answer.body).not.toMatch(/E\d|evil|other/);
    }
    expect(receiver.kept.size).toBe(0);
  });

  it('E30: what may be our own fault is asked for again', async () => {
    const receiver = new Receiver([key.jwk]);
    receiver.published = 'nonsense';
    const outcome = await push(signedSet(key), {}, receiver);
    expect([told(outcome), outcome.answer.headers['retry-after'], outcome.refused]).toEqual(['503', '30', undefined]);
    // A new key whose set may not be read again yet.
    const rotated = new Receiver([key.jwk]);
    await push(signedSet(key), {}, rotated);
    const early = await push(signedSet(makeRsaKey('key-2'), { jti: 'event-2' }), {}, rotated);
    expect(told(early)).toBe('503');
  });
});
