import type { Clock, Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { arrive, openSession } from '../../identity/index.ts';
import { knownAtConnection } from '../../identity/testing/known-at.ts';
import { startSsoHouse, type SsoHouse } from '../../sso/testing/sso-house.ts';
import type { OtherDatabases } from '../../tenants/testing/seeded-issuer.ts';
import { routes } from '../contract.ts';
import type { TransmitterDeps } from '../deps.ts';
import {
  createAccessSignals,
  createSender,
  signalStreamRoutes,
  transmitterProblems,
  transmitterRoutes,
} from '../index.ts';
import { receiverRoutes } from '../receiver-contract.ts';
import type { SenderDeps, SignalSender } from '../sender.ts';

export interface Somebody {
  readonly memberId: Uuid;
  readonly accountId: Uuid;
  readonly cookie: string;
  readonly name: string;
}

/** Gateway and issuer with this room, on a real database. */
export interface TransmitterHouse {
  readonly sso: SsoHouse;
  readonly deps: TransmitterDeps;
  readonly sending: SenderDeps;
  readonly sender: SignalSender;
  readonly failures: unknown[];
  /** A new member who came by a provider and is signed in. */
  somebody(context: TenantContext): Promise<Somebody>;
  stop(): Promise<void>;
}

/** `databases`: where there is more than one. */
export async function startTransmitterHouse(clock: Clock, databases?: OtherDatabases): Promise<TransmitterHouse> {
  const failures: unknown[] = [];
  let people = 0;
  const connections = new Map<Uuid, Uuid>();
  /** One of each tenant, past the commit guard. */
  const connectionOf = async (context: TenantContext): Promise<Uuid> => {
    const known = connections.get(context.tenantId);
    if (known !== undefined) return known;
    const [lead] = await sso.issuer.rows<{ id: Uuid }>(
      `select id from identity.member where tenant_id = $1 and role = 'lead' limit 1`,
      [context.tenantId],
    );
    const id = await knownAtConnection(sso.issuer, context, lead!.id);
    connections.set(context.tenantId, id);
    return id;
  };
  let made: Pick<TransmitterHouse, 'deps' | 'sending' | 'sender'> | undefined;
  const sso = await startSsoHouse(clock, {
    names: ['signal-transmitter'],
    ...(databases === undefined ? {} : { databases }),
    contracts: [...Object.values(routes), ...Object.values(receiverRoutes)],
    problems: [transmitterProblems],
    rooms: (given) => {
      const sending = { ...given, onFailure: (error: unknown) => void failures.push(error) };
      const sender = createSender(sending);
      const deps = { ...given, sender, refusals_perMinute_max: 1_000 };
      // The issuer's composition root does it the other way round: there they are there before any room is.
      Object.assign(given, { signals: createAccessSignals(deps) });
      made = { deps, sending, sender };
      return [transmitterRoutes(deps), signalStreamRoutes(deps)];
    },
  });
  const { signals } = sso.deps;
  Object.assign(sso.issuer.deps, { signals });
  return {
    sso,
    ...made!,
    failures,
    async somebody(context) {
      const { deps } = sso;
      const connectionId = await connectionOf(context);
      people += 1;
      return deps.tenant.transaction(context, async (tx) => {
        const { memberId, accountId } = await arrive(deps, tx, {
          connectionId,
          subject: `subject-${people}`,
          shown: `Person ${people}`,
          role: undefined,
          newRole: 'auditor',
          tenantKind: 'sample',
        });
        const { token } = await openSession(deps, tx, { memberId, door: 'edge', method: 'passkey' });
        return { memberId, accountId, cookie: token, name: `Person ${people}` };
      });
    },
    async stop() {
      await made!.sender.close();
      await sso.stop();
    },
  };
}
