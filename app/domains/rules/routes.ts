import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { routes } from './contract.ts';
import { effectOf } from './effect.ts';
import { addOffice, placeEngagement, placePerson, readAll, saveRules, tryRules, type RulesDeps } from './service.ts';

/** The room's handlers: request parts in, reply out. */
export function rulesRoutes(deps: RulesDeps): RoomRoutes {
  const tag = deps.formatId;
  return bindRoutes(routes, {
    read: async (call) => ({ status: 200, body: await readAll(deps, call) }),
    attempt: async (call) => {
      const { text, role } = call.body;
      return { status: 200, body: await tryRules(deps, call, { text, role, personId: call.ids['body.memberId'] }) };
    },
    effect: async (call) => {
      const { text, role } = call.body;
      return { status: 200, body: await effectOf(deps, call, { text, role, personId: call.ids['body.memberId'] }) };
    },
    save: async (call) => ({ status: 201, body: await saveRules(deps, call, call.body) }),
    addOffice: async (call) => {
      const { id } = await addOffice(deps, call, call.body.label);
      return { status: 201, body: { id: tag('off', call.caller.tenant, id), label: call.body.label } };
    },
    placePerson: async (call) => {
      const input = { personId: call.ids['body.memberId'], officeId: call.ids['params.officeId'] };
      const office = await placePerson(deps, call, { ...input, belongs: call.body.belongs });
      const officeId = office === null ? null : tag('off', call.caller.tenant, office);
      return { status: 200, body: { memberId: call.body.memberId, officeId } };
    },
    placeEngagement: async (call) => {
      const input = { engagementId: call.ids['body.engagementId'], officeId: call.ids['params.officeId'] };
      const office = await placeEngagement(deps, call, { ...input, belongs: call.body.belongs });
      const officeId = office === null ? null : tag('off', call.caller.tenant, office);
      return { status: 200, body: { engagementId: call.body.engagementId, officeId } };
    },
  });
}
