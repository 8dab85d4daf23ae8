import type { Json, Uuid } from '@auditrax/base';
import { bindRoutes, type Call, type RoomRoutes } from '../../platform/http/handler.ts';
import { confirmer } from '../access/index.ts';
import { connectionFacts } from '../connections/index.ts';
import { consoleRoutes } from './console-contract.ts';
import type { ProvisioningDeps } from './deps.ts';
import { endToken, issueToken, type Asker } from './tokens.ts';
import { readDirectory } from './view.ts';
import { undoWave } from './wave.ts';

interface ConfirmedCall extends Pick<Call, 'caller' | 'requestId' | 'stepUp'> {
  readonly params: object;
  readonly body: object | undefined;
  readonly ids: Readonly<Record<string, Uuid>>;
}

/** What stands in the database about the connection when somebody approves something of its directory. */
export function provisioningSubjects(deps: Parameters<typeof connectionFacts>[0]) {
  const connection = connectionFacts(deps);
  return {
    'provisioning.issue-token': connection,
    'provisioning.end-token': connection,
    'provisioning.undo-wave': connection,
  };
}

/** The administrator's side of directories, as routes of the issuer. */
export function provisioningConsole(deps: ProvisioningDeps): RoomRoutes {
  const confirm = confirmer({ subjects: provisioningSubjects(deps) });
  const confirmed = async (call: ConfirmedCall, operation: string): Promise<Asker> => {
    const input = { ...call.params, ...call.body } as Readonly<Record<string, Json>>;
    const ids = Object.fromEntries(Object.entries(call.ids).map(([place, id]) => [place.replace('params.', ''), id]));
    return confirm(call, operation, { input, ids });
  };
  return bindRoutes(consoleRoutes, {
    async directory({ caller, ids }) {
      return { status: 200 as const, body: await readDirectory(deps, caller.tenant, ids['params.connectionId']) };
    },
    async issueToken(call) {
      const who = await confirmed(call, 'provisioning.issue-token');
      const connectionId = call.ids['params.connectionId'];
      const { id, token, expiresAt } = await issueToken(deps, who, { connectionId, days: call.body.days });
      const body = { id: deps.formatId('stk', call.caller.tenant, id), token, expiresAt: expiresAt.toISOString() };
      return { status: 201 as const, body };
    },
    async endToken(call) {
      const who = await confirmed(call, 'provisioning.end-token');
      await endToken(deps, who, { connectionId: call.ids['params.connectionId'], id: call.ids['params.tokenId'] });
      return { status: 200 as const, body: { ended: true as const } };
    },
    async undo(call) {
      const who = await confirmed(call, 'provisioning.undo-wave');
      return { status: 200 as const, body: { people: await undoWave(deps, who, call.ids['params.connectionId']) } };
    },
  });
}
