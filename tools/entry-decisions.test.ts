// Which rules let a person do what an entry says: in every entry of a call that rules were asked about.
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findEntryDecisions } from './reference/entry-decisions.ts';

const found = findEntryDecisions(join(import.meta.dirname, '..'));
const SERVICE = 'written by a process in its own name; no rule was asked';
const ENTRANCE = 'before there is a session: a passkey, a link or a provider decides, not a rule';
const DIRECTORY = 'a directory of the organisation says so, by its token; no rule was asked';
const SIGNAL = 'a provider of the organisation says so, signed; no rule was asked';
const BY_CALLER = 'goes into whatever the caller hands in, decision included';

/** Types of entries that name no rule, each with the reason. */
const WITHOUT: Readonly<Record<string, string>> = {
  'access.decision-differed': 'says that two engines disagree about rules; neither decided anything',
  'access-review.carried-out': SERVICE,
  'access-review.closed': SERVICE,
  'access-review.deadline-passed': SERVICE,
  'access-review.drill-abandoned': SERVICE,
  'access-review.item-ended': SERVICE,
  'access-review.item-reopened': SERVICE,
  'access-review.overdue': SERVICE,
  'access-review.reminded': SERVICE,
  'access-review.removing': SERVICE,
  'account.added': ENTRANCE,
  'ai.prompt.submitted': BY_CALLER,
  'ai.response.received': BY_CALLER,
  'ai.suggestion.accepted': BY_CALLER,
  'ai.suggestion.overridden': BY_CALLER,
  'api-client.canary-registered': SERVICE,
  'api-client.canary-removed': SERVICE,
  'api-grant.ended':
    'by the person’s own call with its rule, or by the issuer: a repeated token, a program that gives it back, somebody who leaves',
  'api-grant.given': BY_CALLER,
  'api-grant.handed-on': SERVICE,
  'audit.mint.mismatch': SERVICE,

  'canary.attempt.announced': SERVICE,
  'canary.attempt.checked': SERVICE,
  'canary.departure.announced': SERVICE,
  'canary.departure.checked': SERVICE,
  'claim.observed': SERVICE,
  'connection.canary-made': SERVICE,
  'connection.canary-set': SERVICE,
  'connection.canary-token-issued': SERVICE,
  'connection.certificate-ending': SERVICE,
  'connection.certificate-found': SERVICE,
  'connection.own-certificate-ending': SERVICE,
  'connection.tested': 'of a sign-in that comes back from a provider; the rule was asked when it was begun',
  'directory.group-changed': DIRECTORY,
  'directory.group-created': DIRECTORY,
  'directory.group-deleted': DIRECTORY,
  'directory.person-changed': DIRECTORY,
  'directory.person-created': DIRECTORY,
  'directory.person-deleted': DIRECTORY,
  'directory.person-forgotten': DIRECTORY,
  'directory.person-joined': DIRECTORY,
  'directory.person-reinstated': DIRECTORY,
  'directory.person-suspended': DIRECTORY,
  'directory.wave': DIRECTORY,
  'invitation.accepted': ENTRANCE,
  'key.closed': 'a rotation that somebody ordered brings its decision along; one by the clock was asked of nobody',
  'key.created': 'as `key.closed`',
  'key.destroyed': SERVICE,
  'key.foreign-refused': SERVICE,
  'key.resealed': SERVICE,
  'key.restored': SERVICE,
  'key.rewrapped': SERVICE,
  'key.withdrawn': SERVICE,
  'link.used': ENTRANCE,
  'recovery.cancelled': ENTRANCE,
  'signal-key.forgotten': 'by the clock, when nothing that it signed is believed any more, or with its organisation',
  'signal-stream.removed': 'as `signal-stream.turned`',
  'signal-stream.turned':
    'by a person with the rule, or by the issuer where nobody reads a stream and it is full, or its organisation ends',
  'member.arrived': ENTRANCE,
  'member.created': SERVICE,
  'member.role-mapped': ENTRANCE,
  'page.published': SERVICE,
  'passkey.clone-suspected': ENTRANCE,
  'passkey.removed': SERVICE,
  'production-access.glass-unjudged': SERVICE,
  'session.confirmed': 'of a sign-in that comes back from a provider; the rule was asked when it was begun',
  'session.opened': ENTRANCE,
  'sign-in.refused': ENTRANCE,
  'signals.alert': SIGNAL,
  'signals.canary-set': SERVICE,
  'signals.carried-out': SIGNAL,
  'signals.forgotten': SIGNAL,
  'signals.heard-again': SIGNAL,
  'signals.held': SIGNAL,
  'signals.received': SIGNAL,
  'signals.silent': SIGNAL,
  'signals.suspending': SIGNAL,
  'step-up.refused': 'the issuer refuses a confirmation before any rule is asked',
  'stream.failing': SERVICE,
  'stream.test': 'no entry: an event that is sent to try a connection',
  'tenant.created': SERVICE,
  'tenant.destroyed': SERVICE,
  'tenant.destruction-begun': SERVICE,
  'tenant.destruction-failed': SERVICE,
  'tenant.destruction-resumed': SERVICE,
  'tenant.id-key-retired': SERVICE,
  'tenant.id-key-rotated': SERVICE,
  'tenant.keys-destroyed': SERVICE,
  'tenant.move-begun': SERVICE,
  'tenant.move-failed': SERVICE,
  'tenant.move-stopped': SERVICE,
  'tenant.moved': SERVICE,
};

describe('entries of the house', () => {
  it('name the rules that let the call through, or stand in a list with a reason', () => {
    expect(found.length).toBeGreaterThan(60);
    const without = found.filter(({ hasDecision }) => !hasDecision);
    expect([...new Set(without.map(({ type }) => type))].sort()).toEqual(Object.keys(WITHOUT).sort());
  });

  it('of a person’s own privileged deeds all name them', () => {
    const types = [
      'member.invited',
      'member.role-changed',
      'audit-trail.exported',
      'key-source.registered',
      'session.closed',
    ];
    for (const type of types)
      expect(
        found.filter((one) => one.type === type).map(({ hasDecision }) => hasDecision),
        type,
      ).toEqual([true]);
  });
});
