import { isAppError, parseUuid, type Json, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import type { CallerFacts } from '../../platform/http/caller.ts';
import { isVouched, memberById } from '../identity/index.ts';
import { accessOf, least, SCOPES, type ApiAccess } from './access-words.ts';
import { agentsIn } from './agent-chain.ts';
import { textIn } from './artifacts.ts';
import { findClient, type Client } from './clients.ts';
import type { AuthorisationDeps } from './deps.ts';
import { tokenRefused } from './errors.ts';
import * as queries from './queries.ts';

/** Everything that an access token rests on, as it is at this moment. */
export interface Standing {
  readonly grant: queries.GrantRow;
  /** Whom the person allowed. */
  readonly client: Client;
  /** To whom it handed the work on, first to last. */
  readonly agents: readonly Uuid[];
  readonly role: CallerFacts['role'];
  /** The least of token, permission and every registration on the way. */
  readonly access: ApiAccess;
}

type Deps = Pick<AuthorisationDeps, 'tenant' | 'sealer' | 'clock'>;

/** The agents of a token, each still registered and named by the person. Throws `api_token_refused`. */
async function agentsOf(
  deps: Deps,
  context: TenantContext,
  { grant, payload }: { readonly grant: queries.GrantRow; readonly payload: Readonly<Record<string, Json>> },
): Promise<readonly Client[]> {
  const ids = agentsIn(payload['extra']);
  if (ids === undefined) throw tokenRefused('a chain that was not made here');
  if (textIn(payload, 'clientId') !== (ids.at(-1) ?? grant.client_id)) throw tokenRefused('of another program');
  const agents: Client[] = [];
  for (const id of ids) {
    const agent = grant.agents.includes(id) ? await findClient(deps, context, id) : undefined;
    if (agent?.kind !== 'agent') throw tokenRefused('agent removed, or not named by the person');
    agents.push(agent);
  }
  return agents;
}

/**
 * What a token rests on: permission, program, agents and person, each as it is now, so that the end of any of them is the end
 * of the token. Throws `api_token_refused`.
 */
export async function standingOf(
  deps: Deps,
  context: TenantContext,
  payload: Readonly<Record<string, Json>>,
): Promise<Standing> {
  const grantId = parseUuid(textIn(payload, 'grantId'));
  const now = new Date(deps.clock.nowMs());
  const [grant] =
    grantId === undefined ? [] : await deps.tenant.scoped(context, queries.openGrant(context, grantId, now));
  if (grant === undefined) throw tokenRefused('permission ended');
  const client = await findClient(deps, context, grant.client_id);
  if (client === undefined) throw tokenRefused('program removed');
  const agents = await agentsOf(deps, context, { grant, payload });
  const [member] = await deps.tenant.scoped(context, memberById(context.tenantId, grant.member_id));
  if (member?.state !== 'active') throw tokenRefused('person not active');
  const whose = { context, memberId: member.id };
  if (!(await isVouched(deps, (statement) => deps.tenant.scoped(context, statement), whose)))
    throw tokenRefused('nobody has vouched for the person for too long');
  const asked = accessOf(textIn(payload, 'scope'));
  if (asked === undefined) throw tokenRefused('without scope');
  const access = [grant, client, ...agents].reduce((sum, one) => least(sum, one.access), asked);
  return { grant, client, agents: agents.map(({ id }) => id), role: member.role, access };
}

async function isStanding(deps: Deps, context: TenantContext, grant: queries.GrantRow): Promise<boolean> {
  const payload = { grantId: grant.id, clientId: grant.client_id, scope: SCOPES.read };
  try {
    await standingOf(deps, context, payload);
    return true;
  } catch (error) {
    if (isAppError(error, 'api_token_refused')) return false;
    throw error;
  }
}

/** Whether a program that came now with a token of this permission would be let in; asked of what each call asks. */
export async function isProgramLetIn(deps: Deps, context: TenantContext, id: Uuid): Promise<boolean> {
  const [grant] = await deps.tenant.scoped(context, queries.grantEver(context, id));
  return grant !== undefined && isStanding(deps, context, grant);
}

/** Of all that somebody ever allowed programs, how much there is and by how much of it a program would be let in now. */
export async function programsLetIn(
  deps: Deps,
  context: TenantContext,
  memberId: Uuid,
): Promise<{ readonly programs: number; readonly minted: number }> {
  const grants = await deps.tenant.scoped(context, queries.grantsEverOf(context, memberId));
  let minted = 0;
  for (const grant of grants) minted += (await isStanding(deps, context, grant)) ? 1 : 0;
  return { programs: grants.length, minted };
}
