import type { Json, Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { REVOKE_HEADER } from '../../platform/http/headers.ts';
import { confirmer } from '../access/index.ts';
import type { Asker } from './asking.ts';
import { decideCertificate } from './certificates.ts';
import { routes } from './contract.ts';
import { stepOwnKeys } from './own-key-steps.ts';
import { lookAtConnection, type RefreshDeps } from './refresh.ts';
import {
  changeSettings,
  checkSettings,
  CONNECTIONS_MAX,
  createConnection,
  deleteDraft,
  mapGroups,
  turnConnection,
} from './service.ts';
import { connectionSubjects } from './subjects.ts';
import { describeMetadata, listConnections, readConnection } from './view.ts';

interface ConfirmedCall extends Pick<Call, 'caller' | 'requestId' | 'stepUp'> {
  readonly params: object;
  readonly body: object | undefined;
  readonly ids: Readonly<Record<string, Uuid>>;
}

/** Verifies the confirmation of exactly this operation with exactly this input, before anything is looked at. */
function confirming(deps: RefreshDeps) {
  const confirm = confirmer({ subjects: connectionSubjects(deps) });
  return async (call: ConfirmedCall, operation: string): Promise<Asker> => {
    const input = { ...call.params, ...call.body } as Readonly<Record<string, Json>>;
    const ids = Object.fromEntries(Object.entries(call.ids).map(([place, id]) => [place.replace('params.', ''), id]));
    return confirm(call, operation, { input, ids });
  };
}

/** The administrator's side of identity providers, as routes of the issuer. */
export function connectionsRoutes(deps: RefreshDeps): RoomRoutes {
  const confirmed = confirming(deps);
  return bindRoutes(routes, {
    async list({ caller }) {
      const connections = await listConnections(deps, caller.tenant);
      return { status: 200 as const, body: { connections, connectionsMax: CONNECTIONS_MAX } };
    },
    async read({ caller, ids }) {
      return { status: 200 as const, body: await readConnection(deps, caller.tenant, ids['params.connectionId']) };
    },
    async create(call) {
      const who = await confirmed(call, 'connections.create');
      const id = await createConnection(deps, who, call.body);
      return { status: 201 as const, body: { id: deps.formatId('con', call.caller.tenant, id) } };
    },
    async change(call) {
      // The action holds the client secret, which is in nobody's copy of the log.
      const who = await confirmed(call, 'connections.change');
      await changeSettings(deps, who, { ...call.body, id: call.ids['params.connectionId'] });
      return { status: 200 as const, body: { id: call.params.connectionId } };
    },
    async check({ caller, ids, body }) {
      await checkSettings(deps, caller.tenant, { ...body, id: ids['params.connectionId'] });
      return { status: 200 as const, body: { ok: true as const } };
    },
    async turn(call) {
      const who = await confirmed(call, 'connections.turn');
      const out = await turnConnection(deps, who, { id: call.ids['params.connectionId'], to: call.body.to });
      const headers: Record<string, string> = out.length === 0 ? {} : { [REVOKE_HEADER]: out.join(',') };
      return { status: 200 as const, body: { id: call.params.connectionId }, headers };
    },
    async remove(call) {
      const who = await confirmed(call, 'connections.remove');
      await deleteDraft(deps, who, call.ids['params.connectionId']);
      return { status: 200 as const, body: { removed: true as const } };
    },
    async mapGroups(call) {
      const who = await confirmed(call, 'connections.map-groups');
      await mapGroups(deps, who, { id: call.ids['params.connectionId'], groups: call.body.groups });
      return { status: 200 as const, body: { id: call.params.connectionId } };
    },
    async decide(call) {
      const who = await confirmed(call, 'connections.decide-certificate');
      const at = { connectionId: call.ids['params.connectionId'], id: call.ids['params.certificateId'] };
      await decideCertificate(deps, who, { ...at, to: call.body.to });
      return { status: 200 as const, body: { id: call.params.certificateId } };
    },
    async ownKeys(call) {
      const who = await confirmed(call, 'connections.own-keys');
      await stepOwnKeys(deps, who, { id: call.ids['params.connectionId'], step: call.body.step });
      return { status: 200 as const, body: { id: call.params.connectionId } };
    },
    async refresh({ caller, ids }) {
      return { status: 200 as const, body: await lookAtConnection(deps, caller.tenant, ids['params.connectionId']) };
    },
    describe: ({ body }) => Promise.resolve({ status: 200 as const, body: describeMetadata(deps, body.document) }),
  });
}
