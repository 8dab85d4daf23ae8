import type { Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { REVOKE_HEADER } from '../../platform/http/headers.ts';
import { confirmer } from '../access/index.ts';
import type { Asker } from './asking.ts';
import { approveAccounts, beginChange, finishChange, readChange, suggestAccounts, undoChange } from './changeover.ts';
import { changeoverRoutes } from './changeover-contract.ts';
import type { ConnectionDeps } from './deps.ts';
import { activeConnections } from './read.ts';
import { connectionSubjects } from './subjects.ts';

interface ConfirmedCall extends Pick<Call, 'caller' | 'requestId' | 'stepUp'> {
  readonly body: object;
  readonly ids: Readonly<Record<string, Uuid>>;
}

const CHANGED = { status: 200, body: { changed: true } } as const;

/** A tenant's way from one provider to another, as routes of the issuer. */
export function connectionChangeRoutes(deps: ConnectionDeps): RoomRoutes {
  const confirm = confirmer({ subjects: connectionSubjects(deps) });
  const confirmed = (call: ConfirmedCall, operation: string): Promise<Asker> => {
    const ids = Object.fromEntries(Object.entries(call.ids).map(([place, id]) => [place.replace('body.', ''), id]));
    return confirm(call, operation, { input: { ...call.body }, ids });
  };
  return bindRoutes(changeoverRoutes, {
    async readChange({ caller: { tenant } }) {
      const connections = (await activeConnections(deps, tenant)).map(({ id, name }) => ({
        id: deps.formatId('con', tenant, id),
        name,
      }));
      return { status: 200 as const, body: { change: await readChange(deps, tenant), connections } };
    },
    async beginChange(call) {
      const who = await confirmed(call, 'connections.begin-change');
      await beginChange(deps, who, { from: call.ids['body.fromConnectionId'], to: call.ids['body.toConnectionId'] });
      return CHANGED;
    },
    async suggestAccounts({ caller, body }) {
      return { status: 200 as const, body: await suggestAccounts(deps, caller.tenant, body) };
    },
    async approveAccounts(call) {
      const who = await confirmed(call, 'connections.approve-accounts');
      await approveAccounts(deps, who, call.body.pairs);
      return CHANGED;
    },
    async finishChange(call) {
      const who = await confirmed(call, 'connections.finish-change');
      const out = await finishChange(deps, who);
      const headers: Record<string, string> = out.length === 0 ? {} : { [REVOKE_HEADER]: out.join(',') };
      return { ...CHANGED, headers };
    },
    async undoChange(call) {
      const who = await confirmed(call, 'connections.undo-change');
      await undoChange(deps, who);
      return CHANGED;
    },
  });
}
