import type { Uuid } from '@auditrax/base';
import type { ScopedTransaction, TenantContext } from '@auditrax/tenancy';
import { auditFromCall, changesOf } from '../../platform/audit/index.ts';
import type { StepUpSubjects, SubjectFacts } from '../access/index.ts';
import type { ApiAccess } from './access-words.ts';
import {
  checkWords,
  findClient,
  liveAgents,
  requireAgents,
  sealClient,
  type Approver,
  type Client,
  type ClientContent,
  type ClientDeps,
} from './clients.ts';
import { notFound, refuse } from './errors.ts';
import { endGrantsIn, forgetTokens } from './grants.ts';
import * as queries from './queries.ts';

/** What a registration says that can be said anew. Kind and key are what the program is: with others it is another one. */
export interface ClientChange {
  readonly id: Uuid;
  /** Of the registration that was read. */
  readonly revision: number;
  readonly name: string;
  readonly access: ApiAccess;
  readonly redirectUris: readonly string[];
  readonly handsTo: readonly Uuid[];
}

type Described = Pick<Client, 'name' | 'access' | 'redirectUris' | 'handsTo'>;

interface Step {
  readonly client: Client;
  readonly access: ApiAccess;
  readonly content: ClientContent;
  /** Agents of the old registration that are there still, and not in the new one. */
  readonly withdrawn: readonly Uuid[];
}

const gone = <T>(before: readonly T[], after: readonly T[]): readonly T[] =>
  before.filter((one) => !after.includes(one));

/** Throws `not_found`, `api_client_changed`, `api_client_invalid`. */
async function prepare(deps: ClientDeps, context: TenantContext, change: ClientChange): Promise<Step> {
  const { id, revision, name, access } = change;
  const client = await findClient(deps, context, id);
  if (client === undefined) throw notFound();
  if (client.revision !== revision) throw refuse('api_client_changed', 'Look at what it is now and change that.');
  const handsTo = [...new Set(change.handsTo)];
  const content = { ...checkWords({ name, redirectUris: change.redirectUris }), key: client.key, handsTo };
  await requireAgents(deps, context, handsTo);
  // Its own work is nothing that it could hand on.
  if (handsTo.includes(id)) throw refuse('api_client_invalid', 'A program hands work on to others.', 'handsTo');
  const live = await liveAgents(deps, context, client.handsTo);
  const withdrawn = gone(
    live.map((agent) => agent.id),
    handsTo,
  );
  return { client, access, content, withdrawn };
}

/**
 * Whether a permission goes beyond the new registration. Through which address somebody gave it is kept nowhere: where one
 * is taken away, all could have come through it, and whoever holds that address now could hold their tokens.
 */
function isBeyond(grant: queries.GrantRow, { client, access, content, withdrawn }: Step): boolean {
  return (
    (grant.access === 'write' && access === 'read') ||
    gone(client.redirectUris, content.redirectUris).length > 0 ||
    grant.agents.some((agent) => withdrawn.includes(agent))
  );
}

const fieldsOf = ({ name, access, redirectUris, handsTo }: Described) => ({
  name,
  scope: access,
  redirects: redirectUris.join('\n'),
  handsTo: handsTo.join('\n'),
});

async function writeDown(
  deps: ClientDeps,
  tx: ScopedTransaction,
  of: Step & { readonly who: Approver; readonly sealed: Buffer },
): Promise<void> {
  const { client, access, content, who, sealed } = of;
  const { id, kind, revision } = client;
  const changed = await tx.query(queries.changeClient(tx.context, { id, revision, access, content: sealed }));
  if (changed.length === 0) throw refuse('api_client_changed', 'Somebody else has just changed or removed it.');
  await deps.recordAudit(tx, {
    ...auditFromCall(who),
    type: 'api-client.changed',
    resource: ['api-client', id],
    outcome: 'allowed',
    stepUpHash: who.stepUp.assertionHash,
    public: { kind, scope: access, revision: revision + 1 },
    disclosures: changesOf(fieldsOf(client), fieldsOf({ ...content, access })),
  });
}

/**
 * Gives a program another name, other addresses, another bound or other agents. What people have allowed beyond the new
 * registration ends in the same transaction, each with its entry; what was allowed within it goes on, and becomes no wider.
 * Returns how many permissions ended. Throws `not_found`, `api_client_changed`, `api_client_invalid`.
 */
export async function changeClient(deps: ClientDeps, who: Approver, change: ClientChange): Promise<number> {
  const context = who.caller.tenant;
  const step = await prepare(deps, context, change);
  const { client, content } = step;
  if (Object.keys(changesOf(fieldsOf(client), fieldsOf({ ...content, access: step.access }))).length === 0)
    throw refuse('api_client_invalid', 'Nothing is different.', 'name');
  const sealed = await sealClient(deps, context, { id: client.id, content });
  const { ids } = await deps.tenant.transaction(context, async (tx) => {
    await writeDown(deps, tx, { ...step, who, sealed });
    // The row is locked by now: who allows it at this moment has read the new registration, or is refused.
    const open = await tx.query(queries.openGrantsOfClient(context, client.id));
    const beyond = open.filter((grant) => isBeyond(grant, step)).map(({ id }) => id);
    await endGrantsIn(deps, tx, { ids: beyond, reason: 'client-narrowed', by: auditFromCall(who) });
    return { ids: beyond };
  });
  await forgetTokens(deps, context, ids);
  return ids.length;
}

const uuidsOf = (value: unknown): readonly Uuid[] => (Array.isArray(value) ? (value as Uuid[]) : []);
const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

/** What the program is now, and how many permissions the change ends: shown with the approval, and read again before it is done. */
async function describe(deps: ClientDeps, context: TenantContext, change: ClientChange): Promise<SubjectFacts> {
  const step = await prepare(deps, context, change);
  const { client } = step;
  const open = await deps.tenant.scoped(context, queries.openGrantsOfClient(context, client.id));
  const agents = (await liveAgents(deps, context, client.handsTo)).map(({ name }) => name);
  return {
    name: client.name,
    access: client.access,
    redirectUris: client.redirectUris.join(', '),
    handsTo: agents.join(', ') || 'nobody',
    permissionsThatEnd: open.filter((grant) => isBeyond(grant, step)).length,
  };
}

export function changeSubjects(deps: ClientDeps): StepUpSubjects {
  return {
    'authorisation-server.change-client': async ({ caller, ids, input }) => {
      const id = ids['apiClientId'];
      // The same answer as for a foreign or forged id.
      if (id === undefined) throw notFound();
      const { name, access, revision, redirectUris, handsTo } = input;
      return describe(deps, caller.tenant, {
        id,
        revision: Number(revision),
        name: typeof name === 'string' ? name : '',
        access: access === 'write' ? 'write' : 'read',
        redirectUris: textsOf(redirectUris),
        handsTo: uuidsOf(handsTo),
      });
    },
  };
}
