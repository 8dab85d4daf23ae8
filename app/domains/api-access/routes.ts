import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer } from '../access/index.ts';
import { API_KEY_DAYS_MAX, API_KEYS_MAX, routes } from './contract.ts';
import { createKey, endByPerson, listAll, listOwn, type ApiAccessDeps } from './service.ts';

/** Routes of the issuer. */
export function apiAccessRoutes(deps: ApiAccessDeps): RoomRoutes {
  const confirm = confirmer({ subjects: {} });
  return bindRoutes(routes, {
    async list({ caller }) {
      const keys = await listOwn(deps, caller);
      return { status: 200 as const, body: { keys, keysMax: API_KEYS_MAX, daysMax: API_KEY_DAYS_MAX } };
    },
    async create(call) {
      const who = await confirm(call, 'api-keys.create', { input: call.body });
      return { status: 201 as const, body: await createKey(deps, who, call.body) };
    },
    async end(call) {
      const ended = await endByPerson(deps, call, { id: call.ids['params.keyId'], whose: 'own' });
      return { status: 200 as const, body: { ended } };
    },
    async listAll({ caller }) {
      return { status: 200 as const, body: { keys: await listAll(deps, caller) } };
    },
    async endAny(call) {
      const ended = await endByPerson(deps, call, { id: call.ids['params.keyId'], whose: 'anybody' });
      return { status: 200 as const, body: { ended } };
    },
  });
}
