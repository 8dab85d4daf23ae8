import type { Clock, Json, Random, Uuid } from '@auditrax/base';
import { uuidV7 } from '@auditrax/base';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import type { AddressGuard } from './address-guard.ts';
import { materialRoutes, routes, STREAMS_MAX, tryRoutes } from './contract.ts';
import { tryTarget } from './delivery.ts';
import {
  changeStream,
  createStream,
  listAll,
  materialOf,
  removeStream,
  testStream,
  turnStream,
  type SiemDeps,
} from './service.ts';

/** What the workspace serves: the screen's routes, and the settings for the process that dials. */
export function siemRooms(deps: SiemDeps): readonly RoomRoutes[] {
  const tag = deps.formatId;
  /** Path parameters and body in one object, as the browser showed them to be confirmed. */
  const asked = (params: object, body: object) => ({ ...params, ...body }) as Record<string, Json>;
  const screen = bindRoutes(routes, {
    list: async (call) => ({ status: 200, body: { streams: await listAll(deps, call), streamsMax: STREAMS_MAX } }),
    create: async (call) => {
      const id = await createStream(deps, call, call.body);
      return { status: 201, body: { id: tag('str', call.caller.tenant, id) } };
    },
    change: async (call) => {
      const input = { id: call.ids['params.streamId'], asked: asked(call.params, call.body), ...call.body };
      await changeStream(deps, call, input);
      return { status: 200, body: { id: call.params.streamId } };
    },
    turn: async (call) => {
      const input = { id: call.ids['params.streamId'], asked: asked(call.params, call.body), ...call.body };
      await turnStream(deps, call, input);
      return { status: 200, body: { id: call.params.streamId } };
    },
    remove: async (call) => {
      await removeStream(deps, call, {
        id: call.ids['params.streamId'],
        asked: asked(call.params, call.body),
        ...call.body,
      });
      return { status: 200, body: { removed: true as const } };
    },
    test: async (call) => ({ status: 200, body: await testStream(deps, call, call.ids['params.streamId']) }),
  });
  const material = bindRoutes(materialRoutes, {
    material: async ({ body, requestId }) => {
      const { tenantId, streamId, version } = body;
      const ids = { tenantId: tenantId as Uuid, streamId: streamId as Uuid };
      return { status: 200, body: { target: await materialOf(deps, { ...ids, version, requestId }) } };
    },
  });
  return [screen, material];
}

/** What the process that dials serves: one event to a destination, for whoever wants to know whether it works. */
export function siemTryRoutes(deps: { guard: AddressGuard; clock: Clock; random: Random }): RoomRoutes {
  return bindRoutes(tryRoutes, {
    attempt: async ({ body }) => {
      const event = {
        origin: 'connection test',
        index: 0,
        time_ms: deps.clock.nowMs(),
        type: 'stream.test',
        outcome: 'allowed',
        entryId: uuidV7(deps.clock, deps.random),
        body: { message: 'Auditrax tries this connection. This is no entry of the audit log.', stream: body.streamId },
      };
      return { status: 200, body: { steps: await tryTarget(body.target, event, deps.guard) } };
    },
  });
}
