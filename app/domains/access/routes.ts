import type { Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { REVOKE_HEADER, setSession } from '../../platform/http/headers.ts';
import type { RevocationCause } from '../identity/index.ts';
import { routes } from './contract.ts';
import { departuresOf, type Departure } from './departures.ts';
import { eraseMember, previewErasure } from './erasing.ts';
import {
  cancelRecovery,
  finishRecovery,
  listRecoveries,
  memberOfRecovery,
  openRecovery,
  type Recovery,
} from './recovery.ts';
import type { AccessDeps, Invitation, Person } from './service.ts';
import * as service from './service.ts';
import { confirmer } from './step-up-confirm.ts';

const INPUT = 'body.input.';

/** Ids by their name in the input. */
function idsOf(ids: Readonly<Record<string, Uuid | undefined>>): Record<string, Uuid | undefined> {
  return Object.fromEntries(Object.entries(ids).map(([place, id]) => [place.slice(INPUT.length), id]));
}

/** How people and invitations are told. */
function presenters(deps: AccessDeps) {
  const tag = (call: Pick<Call, 'caller'>, kind: string, id: Uuid) => deps.formatId(kind, call.caller.tenant, id);
  const person = (call: Pick<Call, 'caller'>, { id, label, role, state }: Person) => ({
    id: tag(call, 'mem', id),
    label,
    role,
    state,
    self: id === call.caller.personId,
  });
  const invitation = (call: Pick<Call, 'caller'>, found: Invitation) => ({
    id: tag(call, 'inv', found.id),
    memberId: tag(call, 'mem', found.member_id),
    label: found.label,
    name: found.name,
    role: found.role,
    state: found.state,
    createdAt: found.created_at.toISOString(),
    expiresAt: found.expires_at.toISOString(),
  });
  const recovery = (call: Pick<Call, 'caller'>, found: Recovery) => ({
    id: tag(call, 'rec', found.id),
    memberId: tag(call, 'mem', found.member_id),
    label: found.label,
    openedBy: found.openedByLabel,
    openedAt: found.opened_at.toISOString(),
    dueAt: found.due_at.toISOString(),
    endedAt: found.ended_at?.toISOString() ?? null,
    state: found.state,
  });
  const departure = (call: Pick<Call, 'caller'>, found: Departure) => ({
    id: tag(call, 'rev', found.id),
    memberId: tag(call, 'mem', found.member_id),
    label: found.label,
    cause: found.cause,
    by: found.byLabel,
    causedAt: found.caused_at.toISOString(),
    completedAt: found.completed_at?.toISOString() ?? null,
    effects: [...found.effects],
  });
  return { person, invitation, recovery, departure };
}

/** Ways back in for whoever lost every passkey. */
function recoveryHandlers(deps: AccessDeps) {
  const confirmed = confirmer(deps);
  const { recovery } = presenters(deps);
  type About<Place extends string> = Pick<Call, 'caller' | 'requestId' | 'stepUp'> & {
    readonly ids: Readonly<Record<Place, Uuid>>;
    readonly params: Readonly<Record<string, string>>;
  };
  const confirmedAbout = async (call: About<'params.recoveryId'>, operation: string) => {
    const recoveryId = call.ids['params.recoveryId'];
    const about = await memberOfRecovery(deps, call.caller, recoveryId);
    return confirmed(call, operation, { input: { ...call.params }, ids: { recoveryId }, about });
  };
  return {
    async listRecoveries(call: Pick<Call, 'caller'>) {
      const found = await listRecoveries(deps, call.caller);
      return { status: 200 as const, body: { recoveries: found.map((one) => recovery(call, one)) } };
    },
    async openRecovery(call: About<'params.memberId'>) {
      const memberId = call.ids['params.memberId'];
      const asked = { input: { ...call.params }, ids: { memberId }, about: memberId };
      const who = await confirmed(call, 'access.open-recovery', asked);
      return { status: 201 as const, body: { recovery: recovery(call, await openRecovery(deps, who, memberId)) } };
    },
    async cancelRecovery(call: About<'params.recoveryId'>) {
      const who = await confirmedAbout(call, 'access.cancel-recovery');
      const changed = await cancelRecovery(deps, who, call.ids['params.recoveryId']);
      return { status: 200 as const, body: { recovery: recovery(call, changed) } };
    },
    async finishRecovery(call: About<'params.recoveryId'>) {
      const who = await confirmedAbout(call, 'access.finish-recovery');
      const done = await finishRecovery(deps, who, call.ids['params.recoveryId']);
      const body = { recovery: recovery(call, done.recovery), enrolmentUrl: done.enrolmentPath };
      return { status: 200 as const, body, headers: { [REVOKE_HEADER]: done.memberId } };
    },
  };
}

/** Whose access ended. */
function departureHandlers(deps: AccessDeps) {
  const { departure } = presenters(deps);
  type Asked = Pick<Call, 'caller'> & {
    readonly query: { readonly cause?: RevocationCause | undefined; readonly until?: string | undefined };
  };
  return {
    async listDepartures(call: Asked) {
      const { cause, until } = call.query;
      const asked = { cause, until: until === undefined ? undefined : new Date(until) };
      const { departures, older } = await departuresOf(deps, call.caller, asked);
      const told = departures.map((found) => departure(call, found));
      return { status: 200 as const, body: { departures: told, older: older?.toISOString() ?? null } };
    },
  };
}

/** Erasure by law. */
function erasureHandlers(deps: AccessDeps) {
  const confirmed = confirmer(deps);
  const { person } = presenters(deps);
  type About = Pick<Call, 'caller' | 'requestId' | 'stepUp'> & { readonly ids: { readonly 'params.memberId': Uuid } };
  type Asked = About & {
    readonly params: { readonly memberId: string };
    readonly body: { readonly name: string; readonly ground: 'request' | 'retention-over' | 'unlawful' };
  };
  return {
    async erasurePreview(call: Pick<About, 'caller' | 'ids'>) {
      const { person: found, ...rest } = await previewErasure(deps, call.caller, call.ids['params.memberId']);
      return { status: 200 as const, body: { member: person(call, found), ...rest } };
    },
    async erase(call: Asked) {
      // It repeats the name that is being erased, and nothing can be kept under that person's key any more.
      const input = { ...call.params, ...call.body };
      const memberId = call.ids['params.memberId'];
      const who = await confirmed(call, 'access.erase-member', { input, ids: { memberId }, hashOnly: true });
      const { person: found, ...rest } = await eraseMember(deps, who, { memberId, ...call.body });
      return { status: 200 as const, body: { member: person(call, found), ...rest } };
    },
  };
}

/** Members, invitations and confirmations, as routes of the issuer. */
export function accessRoutes(deps: AccessDeps): RoomRoutes {
  const confirmed = confirmer(deps);
  const { person, invitation } = presenters(deps);
  return bindRoutes(routes, {
    ...recoveryHandlers(deps),
    ...departureHandlers(deps),
    ...erasureHandlers(deps),
    async listMembers(call) {
      const members = await service.listMembers(deps, call.caller);
      return { status: 200 as const, body: { members: members.map((member) => person(call, member)) } };
    },
    async listInvitations(call) {
      const invitations = await service.listInvitations(deps, call.caller);
      return { status: 200 as const, body: { invitations: invitations.map((found) => invitation(call, found)) } };
    },
    async invite(call) {
      const who = await confirmed(call, 'access.invite', { input: call.body });
      const made = await service.invite(deps, who, call.body);
      return {
        status: 201 as const,
        body: { invitation: invitation(call, made.invitation), enrolmentUrl: made.enrolmentPath },
      };
    },
    async changeRole(call) {
      const memberId = call.ids['params.memberId'];
      const input = { ...call.params, ...call.body };
      const who = await confirmed(call, 'access.change-role', { input, ids: { memberId }, about: memberId });
      const member = await service.changeRole(deps, who, { memberId, role: call.body.role });
      return { status: 200 as const, body: { member: person(call, member) }, headers: { [REVOKE_HEADER]: memberId } };
    },
    async suspend(call) {
      const memberId = call.ids['params.memberId'];
      const input = { ...call.params };
      const keeping = { about: memberId };
      const who = await confirmed(call, 'access.suspend-member', { input, ids: { memberId }, ...keeping });
      const { person: suspended, sessionsClosed } = await service.suspendMember(deps, who, memberId);
      return {
        status: 200 as const,
        body: { member: person(call, suspended), sessionsClosed },
        headers: { [REVOKE_HEADER]: memberId },
      };
    },
    async reinstate(call) {
      const memberId = call.ids['params.memberId'];
      const asked = { input: { ...call.params }, ids: { memberId }, about: memberId };
      const who = await confirmed(call, 'access.reinstate-member', asked);
      const member = await service.reinstateMember(deps, who, memberId);
      return { status: 200 as const, body: { member: person(call, member) } };
    },
    async stepUp(call) {
      const { challengeId, options, shown, opened } = await service.beginStepUp(deps, call.caller, {
        ...call.body,
        ids: idsOf(call.ids),
      });
      const headers = opened === undefined ? {} : setSession(opened.token, opened.maxAgeSeconds);
      return {
        status: 200 as const,
        body: { challengeId, options: { ...options }, ...shown },
        headers,
      };
    },
  });
}
