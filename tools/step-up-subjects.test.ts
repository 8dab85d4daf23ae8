// What a passkey approves is about something that stands somewhere: every operation that asks for one says how it is kept
// from being done to something else by the time it is done.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RouteContract } from '@auditrax/base';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { EDGE_ROUTES } from '../app/bin/rooms.ts';

/**
 * - `subject`: the issuer shows and signs what the database says of the row, and the service reads it again; the file that
 *   reads it.
 * - `seen`: the issuer cannot read the row. The action holds what the person saw of it, in these places of the body, and the
 *   service compares where it changes the row; the test that shows it, as `file › name`.
 * - `nothing`: no row is changed, or none that was there before; why.
 */
type Bound =
  | { readonly subject: string }
  | { readonly seen: readonly string[]; readonly test: string }
  | { readonly nothing: string };

const MEMBER = { subject: 'app/domains/access/step-up-subject.ts' } as const;
const RECOVERY = { subject: 'app/domains/access/recovery.ts' } as const;
const CONNECTION = { subject: 'app/domains/connections/subjects.ts' } as const;
const DIRECTORY = { subject: 'app/domains/provisioning/console-routes.ts' } as const;
const DELETION = { subject: 'app/domains/tenants/step-up-subjects.ts' } as const;
const SIGNALS = { subject: 'app/domains/signal-transmitter/view.ts' } as const;
const STREAM = { subject: 'app/domains/signal-receiver/console-routes.ts' } as const;
const NEW = { nothing: 'makes something new; what stood before is not touched' } as const;
const READS = { nothing: 'reads what there is up to a moment, and changes no row' } as const;
const STREAMS = 'app/domains/siem/siem.db.test.ts';
const SOURCE_TEST =
  'app/domains/keys/key-sources.db.test.ts › replaces the source that was approved to be replaced, or nothing';

const BOUND: Readonly<Record<string, Bound>> = {
  'access-reviews.decide': { subject: 'app/domains/access-reviews/deciding.ts' },
  'access-reviews.open': NEW,
  'access-reviews.set-quarterly': { nothing: 'sets one switch to the value that the action names, whatever it was' },
  'access.cancel-recovery': RECOVERY,
  'access.change-role': MEMBER,
  'access.erase-member': MEMBER,
  'access.finish-recovery': RECOVERY,
  'access.invite': NEW,
  'access.open-recovery': MEMBER,
  'access.suspend-member': MEMBER,
  'access.reinstate-member': MEMBER,
  'api-keys.create': NEW,
  'audit-trail.export': READS,
  'audit-trail.export-lines': READS,
  'authorisation-server.allow': { subject: 'app/domains/authorisation-server/consent.ts' },
  'authorisation-server.change-client': { subject: 'app/domains/authorisation-server/changing.ts' },
  'authorisation-server.register-client': NEW,
  'connections.approve-accounts': CONNECTION,
  'connections.begin-change': CONNECTION,
  'connections.change': {
    seen: ['version'],
    test: 'app/domains/connections/connections.db.test.ts › are not changed by whoever has read older ones',
  },
  'connections.create': NEW,
  'connections.decide-certificate': CONNECTION,
  'connections.finish-change': CONNECTION,
  'connections.map-groups': CONNECTION,
  'connections.own-keys': CONNECTION,
  'connections.remove': CONNECTION,
  'connections.turn': CONNECTION,
  'connections.undo-change': CONNECTION,
  'engagements.finalise': {
    seen: ['revision'],
    test: 'app/domains/engagements/engagements.db.test.ts › is finalised as it was approved, also when somebody changes it while the passkey is touched',
  },
  'keys.change-source': { seen: ['from'], test: SOURCE_TEST },
  'keys.import-material': {
    nothing: 'goes to the tenant’s own key store, whose key the action names; no row of ours is changed',
  },
  'keys.return-source': { seen: ['from'], test: SOURCE_TEST },
  'keys.rotate': { nothing: 'makes new data keys beside those that are there, however many those are' },
  'keys.set-suites': {
    seen: ['from'],
    test: 'app/domains/keys/sealer.db.test.ts › a lead pins the list over the route: confirmed, on record, obeyed at once; what cannot be obeyed is refused',
  },
  'production-access.ask': { subject: 'app/domains/privileged-access/showing.ts' },
  'production-access.break-glass': NEW,
  'production-access.confirm': { subject: 'app/domains/privileged-access/showing.ts' },
  'provisioning.end-token': DIRECTORY,
  'provisioning.issue-token': DIRECTORY,
  'provisioning.undo-wave': DIRECTORY,
  'rules.save': {
    seen: ['version'],
    test: 'app/domains/rules/rules.db.test.ts › refuses what is not valid, and what was decided on another version, before a passkey is asked',
  },
  'siem.change': {
    seen: ['version'],
    test: `${STREAMS} › goes on where it stood under new settings, not under old ones, and is gone when it is removed`,
  },
  'siem.create': NEW,
  'siem.remove': {
    seen: ['on', 'version'],
    test: `${STREAMS} › is switched or removed only as it was approved: the same settings, in the same state`,
  },
  'siem.turn': {
    seen: ['on', 'version'],
    test: `${STREAMS} › is switched or removed only as it was approved: the same settings, in the same state`,
  },
  'signal-receiver.begin': NEW,
  'signal-receiver.connect': STREAM,
  'signal-receiver.decide': STREAM,
  'signal-receiver.renew': STREAM,
  'signal-receiver.set-up': STREAM,
  'signal-receiver.turn': STREAM,
  'signals.create': NEW,
  'signals.prepare-key': { nothing: 'makes the next key beside the current one, and none where one is there already' },
  'signals.remove': SIGNALS,
  'signals.renew-token': SIGNALS,
  'signals.turn': SIGNALS,
  'sso.disconnect': { subject: 'app/domains/sso/identities.ts' },
  'tenants.confirm-deletion': DELETION,
  'tenants.create': NEW,
  'tenants.move': DELETION,
  'tenants.propose-deletion': DELETION,
};

const steppingUp = EDGE_ROUTES.filter(({ access }) => access.kind === 'session' && access.stepUp === true);
const textOf = (file: string) => readFileSync(join(import.meta.dirname, '..', file), 'utf8');

/** Whether a body without this place is refused: what the page may leave out, nobody compares. */
function isRequired(body: RouteContract['body'], place: string): boolean {
  if (!(body instanceof z.ZodObject)) return false;
  const field = (body.shape as Record<string, z.ZodType>)[place];
  return field !== undefined && !field.safeParse(undefined).success;
}

describe('what is approved with a passkey', () => {
  it('says of every operation how it stays about the row that was shown', () => {
    expect(steppingUp.length).toBeGreaterThan(30);
    expect(Object.keys(BOUND).sort()).toEqual(steppingUp.map(({ operation }) => operation).sort());
  });

  it.each(steppingUp.map(({ operation, service, body }) => [operation, service, body] as const))(
    '%s',
    (operation, service, body) => {
      const bound = BOUND[operation];
      if (bound === undefined || 'nothing' in bound) return;
      if ('subject' in bound) {
        // The workspace's rows are not the issuer's to read.
        expect(service).toBe('issuer');
        expect(textOf(bound.subject)).toContain(`'${operation}'`);
        return;
      }
      for (const place of bound.seen) expect(isRequired(body, place), place).toBe(true);
      const [file, name] = bound.test.split(' › ');
      expect(textOf(file!)).toContain(`'${name}'`);
    },
  );
});
