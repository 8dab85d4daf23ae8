import type { AskedForLife, BegunStream, ProviderEvent, ProviderSignals, ProviderStream } from '../app/shell/wire.ts';
import { connections } from './gallery-connections.ts';
import { at, id } from './gallery-data.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const BASE = 'https://schemas.openid.net/secevent';
const PUSH = 'https://auditrax.harbour.example/ssf/0b8c1f0e-52c1-4d0a-9a7e-3c1d5e7f9a20/events';
const REQUEST = '7e1b4a52-0d3c-4a8e-9b61-2f5a6c7d8e9f';

const [first] = connections.connections;
export const path = `/connections/${first!.id}/signals`;

const said = (name: string, family: 'caep' | 'risc' | 'ssf', isUnreadable = false) => ({
  name,
  uri: `${BASE}/${family}/event-type/${name}`,
  isUnreadable,
});
/** Of an event that came `came_ms` from now. */
const ended = (came_ms: number, holder: string, [count, after_ms]: readonly [number, number]) => ({
  holder,
  ended: count,
  at: at(came_ms + after_ms),
  after_ms,
});

const event: ProviderEvent = {
  id: id('sev', 1),
  at: at(-4 * MINUTE),
  events: [said('session-revoked', 'caep')],
  subject: 'iss_sub',
  unusable: null,
  verdict: 'end_sessions',
  state: 'done',
  outcome: 'sessions-ended',
  person: { id: id('mem', 2), label: 'Auditor, night shift' },
  effects: [ended(-4 * MINUTE, 'sessions', [2, 180]), ended(-4 * MINUTE, 'gateways', [2, 210])],
};
const suspended: ProviderEvent = {
  ...event,
  id: id('sev', 2),
  at: at(-3 * HOUR),
  events: [said('account-disabled', 'risc')],
  verdict: 'suspend',
  outcome: 'suspended',
  person: { id: id('mem', 6), label: 'Auditor, day shift' },
  effects: [ended(-3 * HOUR, 'sessions', [1, 150]), ended(-3 * HOUR, 'api-keys', [1, 390])],
};
const held = (seed: number, label: string): ProviderEvent => ({
  ...suspended,
  id: id('sev', seed),
  at: at(-seed * MINUTE),
  state: 'held',
  outcome: null,
  person: { id: id('mem', seed), label },
  effects: [ended(-seed * MINUTE, 'sessions', [1, 140])],
});
const sign: ProviderEvent = {
  ...event,
  id: id('sev', 3),
  at: at(-2 * HOUR),
  events: [said('verification', 'ssf')],
  subject: 'opaque',
  verdict: 'nothing',
  outcome: 'nothing',
  person: null,
  effects: [],
};

const stream: ProviderStream = {
  id: id('sst', 1),
  delivery: 'push',
  state: 'on',
  createdAt: at(-40 * DAY),
  address: PUSH,
  settings: {
    issuer: 'https://sts.harbour.example',
    audience: 'https://auditrax.harbour.example/receivers/harbour',
    theirStream: 'f67e39a0a4d34d56b3aa1bc4cff0069f',
    jwksUri: 'https://sts.harbour.example/keys.json',
    algorithm: 'RS256',
    opaqueSubjects: false,
    pollUrl: null,
    isManaged: true,
    mayVerify: true,
    eventsMissing: ['identifier-recycled', 'recovery-activated'],
  },
  heardAt: event.at,
  eventsCount: 1_284,
  refusedCount: 0,
  askedAt: at(-2 * HOUR),
  answeredAt: sign.at,
  silentSince: null,
  trouble: null,
  held: [],
  recent: [
    event,
    sign,
    suspended,
    {
      ...event,
      id: id('sev', 4),
      at: at(-5 * HOUR),
      events: [said('credential-change', 'caep', true)],
      outcome: 'nobody',
      person: null,
      effects: [],
    },
    {
      ...event,
      id: id('sev', 5),
      at: at(-2 * DAY),
      events: [said('account-disabled', 'risc')],
      subject: 'email',
      unusable: 'email',
      verdict: 'alert',
      outcome: 'alerted',
      person: null,
      effects: [],
    },
    {
      ...event,
      id: id('sev', 6),
      at: at(-3 * DAY),
      events: [{ name: null, uri: 'https://sts.harbour.example/events/badge-returned', isUnreadable: false }],
      verdict: 'alert',
      outcome: 'alerted',
      person: null,
      effects: [],
    },
  ],
  refusals: [],
};

/** One stream that is well, with a wave of suspensions that it was not let do by itself. */
export const active: ProviderSignals = {
  streamsMax: 2,
  suspensionsPerHourMax: 10,
  streams: [
    {
      ...stream,
      held: [held(7, 'Front desk'), held(8, 'Lead of the harbour')],
      recent: [held(7, 'Front desk'), held(8, 'Lead of the harbour'), ...stream.recent],
    },
  ],
};

export const empty: ProviderSignals = { ...active, streams: [] };

/** One that is fetched and has fallen silent, with what was refused before; and one that was ended. */
export const silent: ProviderSignals = {
  ...active,
  streams: [
    {
      ...stream,
      delivery: 'poll',
      address: null,
      settings: { ...stream.settings!, pollUrl: 'https://sts.harbour.example/ssf/poll', eventsMissing: [] },
      heardAt: at(-9 * HOUR),
      answeredAt: at(-9 * HOUR),
      askedAt: at(-HOUR),
      silentSince: at(-9 * HOUR),
      trouble: {
        code: 'signals_unreachable',
        check: 'E4',
        sentence: 'The other side cannot be reached.',
        at: at(-2 * HOUR),
      },
      refusedCount: 2,
      recent: [suspended],
      refusals: [
        {
          at: at(-9 * HOUR),
          code: 'signals_signature_invalid',
          check: 'E13',
          sentence: 'The signature of a token does not hold.',
          detail: 'E13: The signature of a token does not hold.',
          requestId: REQUEST,
        },
        {
          at: at(-10 * HOUR),
          code: 'signals_audience',
          check: 'E15',
          sentence: 'The audience is not exactly this receiver.',
          detail: 'E15: The audience is not exactly this receiver. ("https://other.example/receiver")',
          requestId: REQUEST.replace('7e', '1c'),
        },
      ],
    },
    {
      ...stream,
      id: id('sst', 2),
      state: 'off',
      settings: { ...stream.settings!, isManaged: false, mayVerify: false, eventsMissing: [] },
      askedAt: null,
      answeredAt: null,
      recent: [],
    },
  ],
};

/** A stream that was begun and has no values yet. */
export const draft: ProviderSignals = {
  ...active,
  streams: [
    {
      ...stream,
      state: 'draft',
      createdAt: at(-MINUTE),
      settings: null,
      heardAt: null,
      eventsCount: 0,
      askedAt: null,
      answeredAt: null,
      recent: [],
    },
  ],
};

/** What “Verify now” is answered; `answered` is how the page reads afterwards. */
export const asked: AskedForLife = { id: id('sst', 1), askedAt: at(-4 * SECOND) };
export const answered: ProviderSignals = {
  ...active,
  streams: [{ ...stream, askedAt: asked.askedAt, answeredAt: at(-2 * SECOND), heardAt: at(-2 * SECOND) }],
};

export const begun: BegunStream = { id: id('sst', 1), address: PUSH, authorization: `Bearer ${'k'.repeat(43)}` };
