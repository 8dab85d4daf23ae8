import type { SignalLettersAnswer, SignalsAnswer } from '../app/shell/wire.ts';
import { at, id } from './gallery-data.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;
const ISSUER = 'https://auditrax.harbour.example/ssf/issuer/5b1c0f62-3a77-4c65-8f0f-3a4c0e6b9d21';
const NIGHT = '01981f6e-7c1a-7b3e-9d54-2f6a8c0e4b17';
const DESK = '01981f70-11aa-7d02-8c41-9b2f6a7e3c55';
const CHART = '01981f71-5e0c-7f10-a1d2-6c0e4b179d54';

const topics = { sessions: true, accounts: true, passkeys: false };
const resting = { waiting: 0, waitingSince: null, dead: 0, failures: 0, trouble: null, nextTryAt: null };

export const signals: SignalsAnswer = {
  issuer: ISSUER,
  configuration: ISSUER.replace('/ssf/', '/.well-known/ssf-configuration/ssf/'),
  streamsMax: 10,
  streams: [
    {
      ...resting,
      id: id('sgs', 1),
      streamId: NIGHT,
      name: 'Night watch SIEM',
      audience: `${ISSUER}/streams/${NIGHT}`,
      method: 'push',
      address: 'https://siem.harbour.example/events',
      topics: { ...topics, passkeys: true },
      subjects: 'own',
      status: 'enabled',
      settled: true,
      createdAt: at(-40 * DAY),
      taken: 1284,
      takenAt: at(-3 * MINUTE),
    },
    {
      ...resting,
      id: id('sgs', 2),
      streamId: DESK,
      name: 'Harbour people',
      audience: 'https://id.harbour.example/receivers/auditrax',
      method: 'push',
      address: 'https://id.harbour.example/ssf/events',
      topics,
      subjects: 'provider',
      status: 'enabled',
      settled: true,
      createdAt: at(-12 * DAY),
      waiting: 3,
      waitingSince: at(-95 * MINUTE),
      dead: 2,
      taken: 71,
      takenAt: at(-2 * DAY),
      failures: 9,
      trouble: { code: 'status 401', sentence: 'The receiver does not accept the token that we send (401).' },
      nextTryAt: at(6 * MINUTE),
    },
    {
      ...resting,
      id: id('sgs', 3),
      streamId: CHART,
      name: 'Chart room',
      audience: `${ISSUER}/streams/${CHART}`,
      method: 'poll',
      address: `${ISSUER}/streams/${CHART}/poll`,
      topics,
      subjects: 'provider',
      status: 'paused',
      settled: false,
      createdAt: at(-2 * DAY),
      waiting: 1,
      waitingSince: at(-MINUTE),
      taken: 0,
      takenAt: null,
    },
  ],
  keys: [
    {
      kid: 'f4b0a1de-6e0b-4d56-9a53-6f5b2f3f7a11',
      state: 'next',
      madeAt: at(-DAY),
      usedAt: null,
      replacedAt: null,
    },
    {
      kid: '7c0e2a54-1d1b-4f0e-9f0a-2b6f4f6a9d11',
      state: 'now',
      madeAt: at(-91 * DAY),
      usedAt: at(-91 * DAY),
      replacedAt: null,
    },
  ],
};

export const noSignals: SignalsAnswer = { ...signals, streams: [], keys: [] };

export const letters: SignalLettersAnswer = {
  lettersMax: 200,
  letters: [
    {
      id: id('sgl', 1),
      event: 'session-revoked',
      cause: 'Signed out everywhere.',
      memberId: id('mem', 3),
      member: 'Auditor, night shift',
      happenedAt: at(-2 * DAY),
      reason: 'refused',
      error: 'invalid_audience',
      attempts: 1,
      at: at(-2 * DAY),
    },
    {
      id: id('sgl', 2),
      event: 'account-disabled',
      cause: 'The directory said so.',
      memberId: id('mem', 4),
      member: 'Auditor, harbour office',
      happenedAt: at(-6 * DAY),
      reason: 'age',
      error: null,
      attempts: 180,
      at: at(-3 * DAY),
    },
  ],
};
