import { globSync } from 'node:fs';
import { join } from 'node:path';
import { loadPolicies } from '@auditrax/policy';
import { describe, expect, it } from 'vitest';
import { readRoutePolicies } from './route-policy.ts';

/**
 * Who may do what, room by room, as a person would read it aloud. Letters: Lead, Auditor, Client contact, Operator in
 * the operator's own tenant; `-` is nobody. Columns: the function (the tenant as a whole), an engagement that names the
 * person as a contact, one that does not. A column that is missing does not exist for that action.
 */
const TABLES = `
access
  access.list-members              LAO
  access.list-invitations          LAO
  access.invite                    LO
  access.change-role               LO
  access.suspend-member            LO
  access.reinstate-member          LO
  access.erasure-preview           LO
  access.erase-member              LO
  access.list-recoveries           LACO
  access.list-departures           LO
  access.open-recovery             LO
  access.cancel-recovery           LO
  access.finish-recovery           LO
  access.step-up                   LACO
access-reviews
  access-reviews.list              LO
  access-reviews.read              LO
  access-reviews.snapshot          LO
  access-reviews.open              LO
  access-reviews.decide            LO
  access-reviews.set-quarterly     LO
api-access
  api-keys.list                    LACO
  api-keys.create                  LACO
  api-keys.end                     LACO
  api-keys.list-all                LO
  api-keys.end-any                 LO
audit-trail
  audit-trail.list                 LAO
  audit-trail.entry                LAO
  audit-trail.proof                LAO
  audit-trail.checkpoint           LAO
  audit-trail.consistency          LAO
  audit-trail.leaves               LAO
  audit-trail.range-proof          LAO
  audit-trail.preview              LAO
  audit-trail.export               LO
  audit-trail.export-lines         LO
authorisation-server
  authorisation-server.list-clients      L
  authorisation-server.register-client   L
  authorisation-server.change-client     L
  authorisation-server.remove-client     L
  authorisation-server.read-request      LACO
  authorisation-server.allow             LACO
  authorisation-server.refuse            LACO
  authorisation-server.list-grants       LACO
  authorisation-server.end-grant         LACO
connections
  connections.list                 L
  connections.read                 L
  connections.create               L
  connections.change               L
  connections.check                L
  connections.turn                 L
  connections.remove               L
  connections.map-groups           L
  connections.decide-certificate   L
  connections.own-keys             L
  connections.refresh              L
  connections.describe             L
  connections.read-change          L
  connections.begin-change         L
  connections.suggest-accounts     L
  connections.approve-accounts     L
  connections.finish-change        L
  connections.undo-change          L
engagements
  engagements.list                 LAC   LAC   LA
  engagements.read                 LAC   LAC   LA
  engagements.criteria             LAC   LAC   LA
  engagements.criterion            LAC   LAC   LA
  engagements.record-result        LA    LA    LA
  engagements.move                 LA    LA    LA
  engagements.create               L
  engagements.finalise             L     LA    LA
  engagements.assign-contact       L     LA    LA
  engagements.remove-contact       L     LA    LA
evidence
  evidence.start-upload            LAC   LAC   LA
  evidence.write-part              LAC   LAC   LA
  evidence.upload-position         LAC   LAC   LA
  evidence.complete-upload         LAC   LAC   LA
  evidence.abort-upload            LAC   LAC   LA
  evidence.list                    LAC   LAC   LA
  evidence.download                LAC   LAC   LA
identity
  identity.sign-out-everywhere     LACO
  identity.list-passkeys           LACO
  identity.add-passkey-options     LACO
  identity.add-passkey             LACO
keys
  keys.list                        LO
  keys.rotation                    LO
  keys.read-source                 LO
  keys.check-source                L
  keys.change-source               L
  keys.return-source               L
  keys.finish-source               L
  keys.import-parameters           L
  keys.import-material             L
  keys.list-key-rings              O
  keys.rotate                      L
  keys.suites                      LO
  keys.set-suites                  L
oncall
  oncall.list                      O
  oncall.acknowledge               O
  oncall.attempts                  O
privileged-access
  production-access.list           O
  production-access.ask            O
  production-access.break-glass    O
  production-access.confirm        O
  production-access.end            O
  production-access.review         O
provisioning
  provisioning.directory           L
  provisioning.issue-token         L
  provisioning.end-token           L
  provisioning.undo-wave           L
rules
  rules.read                       L
  rules.try                        L
  rules.effect                     L
  rules.save                       L
  rules.add-office                 L
  rules.place-person               L
  rules.place-engagement           L
siem
  siem.list                        LO
  siem.create                      LO
  siem.change                      LO
  siem.turn                        LO
  siem.remove                      LO
  siem.test                        LO
signal-receiver
  signal-receiver.read             L
  signal-receiver.begin            L
  signal-receiver.set-up           L
  signal-receiver.connect          L
  signal-receiver.renew            L
  signal-receiver.turn             L
  signal-receiver.verify           L
  signal-receiver.decide           L
signal-transmitter
  signals.list                     LO
  signals.create                   LO
  signals.turn                     LO
  signals.remove                   LO
  signals.renew-token              LO
  signals.test                     LO
  signals.letters                  LO
  signals.resend                   LO
  signals.prepare-key              LO
sso
  sso.connect                      LACO
  sso.confirm                      LACO
  sso.identities                   LACO
  sso.disconnect                   LACO
  sso.test                         LO
tenants
  tenants.list                     O
  tenants.deletion-preview         O
  tenants.deletions                O
  tenants.propose-deletion         O
  tenants.confirm-deletion         O
  tenants.cancel-deletion          O
  tenants.destruction-certificate  O
  tenants.places                   O
  tenants.create                   O
  tenants.cancel-move              O
  tenants.move                     O
  tenants.moves                    O
`;

const LETTERS = { lead: 'L', auditor: 'A', client: 'C', operator: 'O' } as const;
const PERSON = '11111111-1111-4111-8111-111111111111';
const ROWS = [
  (role: string) => ({ type: 'Tenant', id: 't', attributes: { kind: role === 'operator' ? 'operator' : 'sample' } }),
  () => ({ type: 'Engagement', id: 'e', attributes: { state: 'fieldwork', contacts: ['x', PERSON] } }),
  () => ({ type: 'Engagement', id: 'e', attributes: { state: 'fieldwork', contacts: ['x'] } }),
];

const files = globSync('*/policy.cedar', { cwd: join(import.meta.dirname, '..') });
const set = loadPolicies(readRoutePolicies(files.map((file) => join(import.meta.dirname, '..', file))));
const table = TABLES.split('\n')
  .filter((line) => line.startsWith('  '))
  .map((line) => line.trim().split(/ +/u));

/** The letters of the roles that may, by Cedar; the compiled decision must say the same. */
function mayDo(action: string, row: (typeof ROWS)[number]): string {
  const allowed = Object.entries(LETTERS).filter(([role]) => {
    const tenantKind = role === 'operator' ? 'operator' : 'sample';
    const attributes = { role, tenant: 't', tenantKind, method: 'passkey', door: 'edge' };
    const request = {
      principal: { type: 'Person', id: PERSON, attributes },
      action,
      resource: row(role),
      context: {},
    };
    const decision = set.decide(request);
    expect(set.judge(request), `${action} as ${role}`).toBe(decision.allowed);
    return decision.allowed;
  });
  return allowed.map(([, letter]) => letter).join('') || '-';
}

describe('who may do what', () => {
  it('every action of every room stands in the table once, under its room', () => {
    expect(table.map(([action]) => action).toSorted()).toEqual([...set.schema.actions.keys()].toSorted());
    const rooms = TABLES.split('\n').filter((line) => /^\S/u.test(line));
    expect(rooms).toEqual(files.map((file) => file.split('/')[0]).toSorted());
  });

  it.each(table)('%s', (action, ...columns) => {
    const types = set.schema.actions.get(action!)!.resourceTypes;
    expect(columns).toHaveLength(types.includes('Engagement') ? ROWS.length : 1);
    expect(ROWS.slice(0, columns.length).map((row) => mayDo(action!, row))).toEqual(columns);
  });
});
