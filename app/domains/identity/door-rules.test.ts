import { describe, expect, it } from 'vitest';
import type { EdgeDoor, SignInMethod } from '../../platform/http/handler.ts';
import { doorAdmits } from './door-rules.ts';
import { judgeSession, SESSION_IDLE_SECONDS_MAX } from './session-rules.ts';
import { readStepUpHeader } from './step-up-header.ts';

const KINDS = ['sample', 'canary', 'operator', 'customer'] as const;
const admitted = (door: EdgeDoor, method: SignInMethod) =>
  KINDS.filter((kind) => doorAdmits(door, method, kind)).join(' ');

describe('doors', () => {
  it('the try-out door carries sample data only', () => {
    expect(admitted('tryout', 'passkey')).toBe('sample operator');
    expect(admitted('tryout', 'link')).toBe('sample operator');
    expect(admitted('tryout', 'canary')).toBe('');
  });
  it('links open sample tenants, canary sessions canary tenants', () => {
    expect(admitted('edge', 'link')).toBe('sample');
    expect(admitted('edge', 'canary')).toBe('canary');
    expect(admitted('edge', 'passkey')).toBe('sample canary operator customer');
  });
});

describe('a session is live only when everything is', () => {
  const live = {
    door: 'edge',
    expiresAtMs: 10_000_000,
    lastSeenAtMs: 0,
    closed: false,
    memberState: 'active',
  } as const;
  it.each([
    ['live', {}, 1],
    ['closed', { closed: true }, 1],
    ['other-door', { door: 'tryout' }, 1],
    ['expired', {}, 10_000_000],
    ['idle', {}, SESSION_IDLE_SECONDS_MAX * 1000],
    ['member-not-active', { memberState: 'suspended' }, 1],
    ['member-not-active', { memberState: 'invited' }, 1],
  ] as const)('%s', (verdict, change, now) => {
    expect(judgeSession({ ...live, ...change }, 'edge', now)).toBe(verdict);
  });
});

describe('the step-up header', () => {
  it.each([
    '',
    'e30',
    '!!!',
    Buffer.from('[]').toString('base64url'),
    Buffer.from('{"challengeId":"x"}').toString('base64url'),
    'A'.repeat(9000),
  ])('is refused, not half read: %s', (header) => {
    expect(readStepUpHeader(header)).toBeUndefined();
  });
});
