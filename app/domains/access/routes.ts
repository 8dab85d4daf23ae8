import type { Json, Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { REVOKE_HEADER, setSession } from '../../platform/http/headers.ts';
import { routes } from './contract.ts';
import type { AccessDeps, Asker, Invitation, Person } from './service.ts';
import * as service from './service.ts';
import { stepUpAction } from './step-up-action.ts';

type StepUpCall = Pick<Call, 'caller' | 'requestId' | 'stepUp'>;

/** Verifies the confirmation of exactly this operation with exactly this input, before anything is looked at. */
async function confirmed(
  call: StepUpCall,
  operation: string,
  input: Readonly<Record<string, Json | undefined>>,
): Promise<Asker> {
  const stepUp = await call.stepUp(stepUpAction(call.caller, operation, input));
  return { caller: call.caller, requestId: call.requestId, stepUp };
}

/** Members, invitations and confirmations, as routes of the issuer. */
export function accessRoutes(deps: AccessDeps): RoomRoutes {
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
  return bindRoutes(routes, {
    async listMembers(call) {
      const members = await service.listMembers(deps, call.caller);
      return { status: 200 as const, body: { members: members.map((member) => person(call, member)) } };
    },
    async listInvitations(call) {
      const invitations = await service.listInvitations(deps, call.caller);
      return { status: 200 as const, body: { invitations: invitations.map((found) => invitation(call, found)) } };
    },
    async invite(call) {
      const who = await confirmed(call, 'access.invite', call.body);
      const made = await service.invite(deps, who, call.body);
      return {
        status: 201 as const,
        body: { invitation: invitation(call, made.invitation), enrolmentUrl: made.enrolmentPath },
      };
    },
    async changeRole(call) {
      const who = await confirmed(call, 'access.change-role', { ...call.params, ...call.body });
      const memberId = call.ids['params.memberId'];
      const member = await service.changeRole(deps, who, { memberId, role: call.body.role });
      return { status: 200 as const, body: { member: person(call, member) }, headers: { [REVOKE_HEADER]: memberId } };
    },
    async suspend(call) {
      const who = await confirmed(call, 'access.suspend-member', { ...call.params });
      const memberId = call.ids['params.memberId'];
      const { person: suspended, sessionsClosed } = await service.suspendMember(deps, who, memberId);
      return {
        status: 200 as const,
        body: { member: person(call, suspended), sessionsClosed },
        headers: { [REVOKE_HEADER]: memberId },
      };
    },
    async stepUp(call) {
      const { challengeId, options, action, opened } = await service.beginStepUp(deps, call.caller, call.body);
      const headers = opened === undefined ? {} : setSession(opened.token, opened.maxAgeSeconds);
      return { status: 200 as const, body: { challengeId, options: { ...options }, action }, headers };
    },
  });
}
