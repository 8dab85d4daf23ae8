// Canned answers about production access: one's own in force, an emergency that waits, and what was before.
import type { ProductionAccess, ShownGrant } from '../app/shell/wire.ts';
import { at, id } from './gallery-data.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

function grant(number: number, change: Partial<ShownGrant>): ShownGrant {
  return {
    id: id('pgr', number),
    kind: 'grant',
    person: 'Operator',
    own: false,
    scopes: ['tenants'],
    minutes: 60,
    reason: 'Quay Lane Assurance asks for a database of its own',
    ticket: 'OPS-412',
    state: 'over',
    askedAt: at(-30 * HOUR),
    confirmBy: at(-30 * HOUR + 15 * MINUTE),
    vouched: 'operator',
    confirmedBy: 'Second operator',
    provedAt: at(-30 * HOUR + 4 * MINUTE),
    startsAt: at(-30 * HOUR + 4 * MINUTE),
    endsAt: at(-29 * HOUR + 4 * MINUTE),
    endedAt: at(-29 * HOUR + 4 * MINUTE),
    endedBecause: 'over',
    endedBy: null,
    review: null,
    judgeBy: null,
    mayConfirm: false,
    mayReview: false,
    ...change,
  };
}

const never = {
  vouched: null,
  confirmedBy: null,
  provedAt: null,
  startsAt: null,
  endsAt: null,
  endedAt: null,
  endedBecause: null,
} as const;
const EVERYTHING = ['tenants', 'deletions', 'keys', 'attempts'] as const;

export const waiting = grant(2, {
  ...never,
  kind: 'break-glass',
  person: 'Second operator',
  scopes: [...EVERYTHING],
  reason: 'The key store of three organisations does not answer, and they cannot read their evidence',
  ticket: null,
  state: 'waiting',
  askedAt: at(-3 * MINUTE),
  confirmBy: at(12 * MINUTE),
  mayConfirm: true,
});

export const productionAccess: ProductionAccess = {
  now: at(0),
  vouching: 'operator',
  grants: [
    waiting,
    grant(1, {
      own: true,
      scopes: ['tenants', 'keys'],
      state: 'live',
      askedAt: at(-25 * MINUTE),
      confirmBy: at(-10 * MINUTE),
      provedAt: at(-21 * MINUTE),
      startsAt: at(-21 * MINUTE),
      endsAt: at(39 * MINUTE),
      endedAt: null,
      endedBecause: null,
    }),
    grant(3, {
      kind: 'break-glass',
      person: 'Night operator',
      scopes: [...EVERYTHING],
      reason: 'The move of an organisation stood still and its people could not write',
      ticket: 'INC-31',
      state: 'ended',
      endedAt: at(-29.5 * HOUR),
      endedBecause: 'person',
      endedBy: 'Night operator',
      judgeBy: at(138 * HOUR),
      mayReview: true,
    }),
    grant(6, {
      kind: 'break-glass',
      own: true,
      scopes: [...EVERYTHING],
      reason: 'A gateway was gone and its successor did not start',
      ticket: 'INC-29',
      askedAt: at(-216 * HOUR),
      startsAt: at(-216 * HOUR),
      endsAt: at(-215 * HOUR),
      endedAt: at(-215 * HOUR),
      judgeBy: at(-48 * HOUR),
    }),
    grant(4, { ...never, own: true, reason: 'To look at a refused deletion', ticket: null, state: 'unanswered' }),
    grant(5, { own: true, vouched: 'nobody', confirmedBy: null, askedAt: at(-90 * 24 * HOUR) }),
  ],
};

export const nobody: ProductionAccess = { now: at(0), vouching: 'nobody', grants: [] };

/** What the step-up shows of the request that waits. */
export const waitingSubject = {
  person: waiting.person,
  kind: waiting.kind,
  scopes: waiting.scopes.join(', '),
  minutes: waiting.minutes,
  reason: waiting.reason,
  state: waiting.state,
  askedAt: waiting.askedAt,
};
export const askSubject = { 'vouched for by': 'another operator, who has to confirm it' };

/** As a service answers an operator whom nothing lets in. */
export const refused = {
  type: 'urn:auditrax:problem:production_access_required',
  title: 'This needs production access',
  status: 403,
  code: 'production_access_required',
  requestId: '01981f6e-7c1a-7b3e-9d54-2f6a8c0e4b17',
  detail: 'No production access of yours covers “tenants” now. Ask for it under Production access.',
  needs: 'tenants',
};
