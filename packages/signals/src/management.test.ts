import { manualClock } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { configurationAddress, parseConfiguration } from './configuration.ts';
import { EVENT_RULES, manageStreams, readConfiguration, type SignalsFetch, type StreamOrder } from './index.ts';
import { codeOf, jsonAnswer, NOW_MS } from './testing/forger.ts';

const ISSUER = 'https://tr.example.test';
const STREAM_ID = 'f67e39a0a4d34d56b3aa1bc4cff0069f';
const AUTHORIZATION = 'Bearer secret-of-a-test';
const clock = manualClock(NOW_MS);

/** In the shape of the specification's example. */
const METADATA = {
  spec_version: '1_0',
  issuer: ISSUER,
  jwks_uri: `${ISSUER}/jwks.json`,
  delivery_methods_supported: ['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936'],
  configuration_endpoint: `${ISSUER}/ssf/mgmt/stream`,
  status_endpoint: `${ISSUER}/ssf/mgmt/status`,
  add_subject_endpoint: `${ISSUER}/ssf/mgmt/subject:add`,
  verification_endpoint: `${ISSUER}/ssf/mgmt/verification`,
  critical_subject_members: ['tenant', 'user'],
  authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
};

describe('E6 E7: the configuration document', () => {
  const parse = (over: Readonly<Record<string, unknown>>) =>
    codeOf(() => Promise.resolve(parseConfiguration({ ...METADATA, ...over }, ISSUER, { clock }).jwksUri));

  it('E7: is asked for between host and path', () => {
    expect(configurationAddress(ISSUER)).toBe(`${ISSUER}/.well-known/ssf-configuration`);
    for (const issuer of [`${ISSUER}/issuer1`, `${ISSUER}/issuer1/`])
      expect(configurationAddress(issuer)).toBe(`${ISSUER}/.well-known/ssf-configuration/issuer1`);
    expect(configurationAddress(ISSUER, 'risc-configuration')).toBe(`${ISSUER}/.well-known/risc-configuration`);
  });

  it('E6: names the issuer, text for text', async () => {
    expect(await parse({})).toBe(METADATA.jwks_uri);
    for (const issuer of [`${ISSUER}/`, 'https://evil.test', undefined, [ISSUER], ISSUER.toUpperCase()])
      expect(await parse({ issuer })).toBe('signals_metadata_issuer');
  });

  it('E7: its addresses are https, its lists are lists, and it delivers in a way we know', async () => {
    for (const name of ['jwks_uri', 'configuration_endpoint', 'status_endpoint', 'verification_endpoint']) {
      for (const value of [7, '', '/x', `${ISSUER}/#a`, `${ISSUER}/${'a'.repeat(2048)}`])
        expect(await parse({ [name]: value })).toBe('signals_metadata_invalid');
      for (const value of [
        'http://tr.example.test/x',
        'http://127.0.0.1/',
        'file:///etc/passwd',
        'https://a:b@c.test/',
      ])
        expect(await parse({ [name]: value })).toBe('signals_address_refused');
    }
    expect(await parse({ jwks_uri: undefined })).toBe('signals_metadata_invalid');
    expect(await parse({ status_endpoint: undefined })).toBe(METADATA.jwks_uri);
    expect(await parse({ delivery_methods_supported: undefined })).toBe(METADATA.jwks_uri);
    for (const delivery_methods_supported of [
      [],
      ['https://schemas.openid.net/secevent/risc/delivery-method/push'],
      'x',
      [7],
    ])
      expect(await parse({ delivery_methods_supported })).toBe('signals_metadata_invalid');
    expect(await parse({ critical_subject_members: 'user' })).toBe('signals_metadata_invalid');
  });

  it('E6 E7: is read over the handed-in fetch', async () => {
    const asked: string[] = [];
    const fetch: SignalsFetch = (url) => {
      asked.push(url);
      return Promise.resolve(jsonAnswer(METADATA));
    };
    const configuration = await readConfiguration(ISSUER, { fetch, clock });
    expect(configuration).toMatchObject({
      deliveryMethods: ['push', 'poll'],
      criticalMembers: ['tenant', 'user'],
      readAt_ms: NOW_MS,
    });
    expect(asked).toEqual([`${ISSUER}/.well-known/ssf-configuration`]);
  });
});

const ORDER: StreamOrder = {
  events: ['session-revoked', 'account-disabled'],
  delivery: { method: 'push', url: 'https://receiver.test/events', authorization: 'Bearer for-the-push' },
  description: 'people of acme',
};

const DESCRIPTION = {
  stream_id: STREAM_ID,
  iss: ISSUER,
  aud: ['https://receiver.test/web'],
  delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: 'https://receiver.test/events' },
  events_supported: [EVENT_RULES['session-revoked'].uri, 'urn:example:other'],
  events_requested: [EVENT_RULES['session-revoked'].uri, EVENT_RULES['account-disabled'].uri],
  events_delivered: [EVENT_RULES['session-revoked'].uri],
};

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

function manager(answer: () => Response, metadata: Readonly<Record<string, unknown>> = {}) {
  const asked: Asked[] = [];
  const fetch: SignalsFetch = (url, { method, headers, body }) => {
    asked.push({
      method,
      url,
      authorization: headers['authorization'],
      body: body === undefined ? undefined : JSON.parse(body),
    });
    return Promise.resolve(answer());
  };
  const configuration = parseConfiguration({ ...METADATA, ...metadata }, ISSUER, { clock });
  return { asked, streams: manageStreams(configuration, AUTHORIZATION, { fetch }) };
}

describe('E35 E36: streams at a transmitter', () => {
  it('E35: are created, read, changed, switched, verified and removed as SSF has it', async () => {
    const { asked, streams } = manager(() => jsonAnswer(DESCRIPTION, asked.length === 1 ? 201 : 200));
    expect(await streams.create(ORDER)).toEqual({
      streamId: STREAM_ID,
      audience: 'https://receiver.test/web',
      delivery: { method: 'push', url: 'https://receiver.test/events' },
      eventsDelivered: [EVENT_RULES['session-revoked'].uri],
      eventsMissing: ['account-disabled'],
    });
    await streams.read(STREAM_ID, ORDER);
    await streams.update(STREAM_ID, ORDER);
    const body = {
      events_requested: DESCRIPTION.events_requested,
      delivery: { ...DESCRIPTION.delivery, authorization_header: 'Bearer for-the-push' },
      description: 'people of acme',
    };
    const url = METADATA.configuration_endpoint;
    expect(asked).toEqual([
      { method: 'POST', url, authorization: AUTHORIZATION, body },
      { method: 'GET', url: `${url}?stream_id=${STREAM_ID}`, authorization: AUTHORIZATION, body: undefined },
      { method: 'PATCH', url, authorization: AUTHORIZATION, body: { stream_id: STREAM_ID, ...body } },
    ]);
    const empty = manager(() => new Response(null, { status: 204 }));
    await empty.streams.remove(STREAM_ID);
    await empty.streams.verify(STREAM_ID, 'a state');
    expect(empty.asked.map(({ method, url: where, body: sent }) => [method, where, sent])).toEqual([
      ['DELETE', `${url}?stream_id=${STREAM_ID}`, undefined],
      ['POST', METADATA.verification_endpoint, { stream_id: STREAM_ID, state: 'a state' }],
    ]);
    const status = manager(() => jsonAnswer({ stream_id: STREAM_ID, status: 'paused', reason: 'x' }));
    expect(await status.streams.status(STREAM_ID)).toBe('paused');
    expect(await status.streams.setStatus(STREAM_ID, 'paused')).toBe('paused');
    expect(
      await manager(() => new Response(null, { status: 202 })).streams.setStatus(STREAM_ID, 'paused'),
    ).toBeUndefined();
  });

  it('E35: an answer is about the stream that was ordered, for us, to our address', async () => {
    const created = (over: Readonly<Record<string, unknown>>, order: Partial<StreamOrder> = {}) =>
      codeOf(async () => {
        const { streams } = manager(() => jsonAnswer({ ...DESCRIPTION, ...over }, 201));
        return (await streams.create({ ...ORDER, ...order })).streamId;
      });
    expect(await created({})).toBe(STREAM_ID);
    expect(await created({ aud: 'https://receiver.test/web' }, { audience: 'https://receiver.test/web' })).toBe(
      STREAM_ID,
    );
    for (const over of [
      { stream_id: undefined },
      { stream_id: '' },
      { iss: `${ISSUER}/` },
      { iss: undefined },
      { aud: [] },
      { aud: ['https://receiver.test/web', 'https://receiver.test/mobile'] },
      { aud: undefined },
      { events_delivered: undefined },
      { events_delivered: [7] },
      { events_delivered: Array.from({ length: 257 }, () => 'urn:x') },
      { delivery: undefined },
      { delivery: { ...DESCRIPTION.delivery, method: 'urn:ietf:rfc:8936' } },
      { delivery: { ...DESCRIPTION.delivery, endpoint_url: 'https://evil.test/events' } },
    ])
      expect([over, await created(over)]).toEqual([over, 'signals_stream_form']);
    expect(await created({}, { audience: 'https://receiver.test/another' })).toBe('signals_stream_form');
    const poll = { delivery: { method: 'poll' } } as const;
    const polled = (endpoint_url: string) => ({ delivery: { method: 'urn:ietf:rfc:8936', endpoint_url } });
    expect(await created(polled(`${ISSUER}/poll/1`), poll)).toBe(STREAM_ID);
    expect(await created(polled('http://tr.example.test/poll'), poll)).toBe('signals_stream_form');
    const another = manager(() => jsonAnswer({ ...DESCRIPTION, stream_id: 'another' }));
    expect(await codeOf(() => another.streams.read(STREAM_ID, ORDER))).toBe('signals_stream_form');
    for (const value of [
      { stream_id: 'another', status: 'paused' },
      { stream_id: STREAM_ID, status: 'off' },
      { stream_id: STREAM_ID },
    ])
      expect(await codeOf(() => manager(() => jsonAnswer(value)).streams.status(STREAM_ID))).toBe(
        'signals_stream_form',
      );
  });

  it('E1: nothing is asked for that cannot be had', async () => {
    const { asked, streams } = manager(() => jsonAnswer(DESCRIPTION, 201));
    for (const over of [
      { events: [] },
      { description: '' },
      { delivery: { method: 'push', url: 'http://receiver.test/' } },
      { delivery: { method: 'push', url: 'https://receiver.test/', authorization: 'a\r\nb' } },
    ] as const)
      expect(await codeOf(() => streams.create({ ...ORDER, ...over }))).toBe('signals_setting_invalid');
    expect(await codeOf(() => streams.verify(STREAM_ID, ''))).toBe('signals_setting_invalid');
    expect(asked).toEqual([]);
    const bare = manager(() => jsonAnswer({}), { verification_endpoint: undefined });
    expect(await codeOf(() => bare.streams.verify(STREAM_ID, 'a'))).toBe('signals_metadata_invalid');
  });

  it('E36: the authorization is in no error, and a refusal of it has a code of its own', async () => {
    for (const status of [400, 401, 403, 404, 409, 429, 500]) {
      const { streams } = manager(() => jsonAnswer({ error: AUTHORIZATION }, status));
      const error: unknown = await streams.create(ORDER).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        code: status === 401 || status === 403 ? 'signals_denied' : 'signals_answer_form',
      });
      expect(`${String(error)} ${(error as Error).stack}`).not.toContain('secret-of-a-test');
    }
  });
});
