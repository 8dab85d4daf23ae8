import { AppError, type Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { placeFromUuid, placeToUuid } from '../../platform/http/list-place.ts';
import { routes } from './contract.ts';
import type { EngagementDeps } from './ports.ts';
import { engagementReader, type EngagementReader } from './reading.ts';
import { engagementService, type ContactInput } from './service.ts';

/** The room's handlers: request parts in, reply out; every rule is in the service and in the reader. */
export function engagementRoutes(deps: EngagementDeps): RoomRoutes {
  const service = engagementService(deps);
  const reader = engagementReader(deps);
  const { formatId } = deps;
  return bindRoutes(routes, {
    list: async (call) => {
      const { limit } = call.query;
      // The id gate leaves an absent place out.
      const before = call.ids['query.cursor'] as (typeof call.ids)['query.cursor'] | undefined;
      return { status: 200, body: await reader.list(call, { before, limit }) };
    },
    create: async (call) => {
      const made = await service.create(call, { ...call.body, notACard: call.body.notACard });
      return { status: 201, body: { ...made, id: formatId('eng', call.caller.tenant, made.id) } };
    },
    read: async (call) => ({ status: 200, body: await reader.read(call, call.ids['params.engagementId']) }),
    criteria: async (call) => ({ status: 200, body: await criteriaPage(deps, reader, call) }),
    criterion: async (call) => {
      const key = { engagementId: call.ids['params.engagementId'], criterionId: call.ids['params.criterionId'] };
      return { status: 200, body: await reader.criterion(call, key) };
    },
    recordResult: async (call) => {
      const { notACard, ...given } = call.body;
      const key = { engagementId: call.ids['params.engagementId'], criterionId: call.ids['params.criterionId'] };
      const recorded = await service.recordResult(call, { ...given, ...key, notACard });
      const { tenant, personId } = call.caller;
      return {
        status: 201,
        body: {
          id: formatId('res', tenant, recorded.id),
          outcome: given.outcome,
          note: given.note,
          observedOn: given.observedOn,
          recordedAt: recorded.recordedAt.toISOString(),
          recordedBy: formatId('mem', tenant, personId),
          revision: recorded.revision,
        },
      };
    },
    move: async (call) => ({
      status: 200,
      body: await service.move(call, { engagementId: call.ids['params.engagementId'], ...call.body }),
    }),
    finalise: async (call) => {
      const engagementId = call.ids['params.engagementId'];
      const engagementTag = formatId('eng', call.caller.tenant, engagementId);
      return {
        status: 200,
        body: await service.finalise(call, { engagementId, engagementTag, revision: call.body.revision }),
      };
    },
    assignContact: async (call) => ({
      status: 200,
      body: contactsReply(deps, call, await service.assignContact(call, contactInput(call))),
    }),
    removeContact: async (call) => ({
      status: 200,
      body: contactsReply(deps, call, await service.removeContact(call, contactInput(call))),
    }),
  });
}

type ContactCall = Call<typeof routes.assignContact> | Call<typeof routes.removeContact>;

function contactInput(call: ContactCall): ContactInput {
  return {
    engagementId: call.ids['params.engagementId'],
    personId: call.ids['body.memberId'],
    revision: call.body.revision,
  };
}

function contactsReply(
  { formatId }: Pick<EngagementDeps, 'formatId'>,
  call: ContactCall,
  changed: { contacts: readonly Uuid[]; revision: number },
): { contacts: string[]; revision: number } {
  const contacts = changed.contacts.map((id) => formatId('mem', call.caller.tenant, id));
  return { contacts, revision: changed.revision };
}

async function criteriaPage(deps: EngagementDeps, reader: EngagementReader, call: Call<typeof routes.criteria>) {
  const { limit, group, search } = call.query;
  const engagementId = call.ids['params.engagementId'];
  // The id gate leaves an absent place out.
  const cursor = call.ids['query.cursor'] as (typeof call.ids)['query.cursor'] | undefined;
  const place = cursor === undefined ? { minor: 0 } : placeFromUuid(engagementId, cursor);
  if (place === undefined) throw new AppError('not_found', 'cursor of another engagement');
  const page = await reader.criteria(call, { engagementId, from: place.minor, limit, group, search });
  const at = (minor: number) =>
    deps.formatId('ccu', call.caller.tenant, placeToUuid(engagementId, { major: 0, minor }));
  return { ...page, nextCursor: page.nextCursor === null ? null : at(page.nextCursor) };
}
