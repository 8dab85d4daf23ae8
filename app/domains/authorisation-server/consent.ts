import { parseUuid, type Uuid } from '@auditrax/base';
import { auditFromCall } from '../../platform/audit/index.ts';
import type { Caller } from '../../platform/http/handler.ts';
import type { StepUpSubjects } from '../access/index.ts';
import { findTenant } from '../identity/index.ts';
import { least, SCOPES } from './access-words.ts';
import { consumeArtifact } from './artifacts.ts';
import { findClient, liveAgents, type Approver, type Asker, type Client } from './clients.ts';
import { issuerOf, type AuthorisationDeps } from './deps.ts';
import { refuse } from './errors.ts';
import { endGrants, giveGrant } from './grants.ts';
import { GRANT_SECONDS } from './lifetimes.ts';
import { isRegistered } from './redirects.ts';
import { answerConsent } from './server.ts';
import { readPushed, type PushedRequest } from './store.ts';

/** RFC 9126: what pushed requests are called by. */
const REQUEST_URN = 'urn:ietf:params:oauth:request_uri:';
const SECONDS_PER_DAY = 86_400;

interface Asked {
  readonly clientId: Uuid;
  /** Of the request URI, what comes after its scheme. */
  readonly request: string;
}

/** What a person is asked, read again each time. Throws `api_request_unusable`. */
async function open(
  deps: AuthorisationDeps,
  { tenant: context }: Caller,
  asked: Asked,
): Promise<{ readonly pushed: PushedRequest; readonly client: Client }> {
  const pushed = await readPushed(deps, context, asked.request);
  // Somebody else's request under this client's name is nobody's.
  const client = pushed?.clientId === asked.clientId ? await findClient(deps, context, asked.clientId) : undefined;
  if (pushed === undefined || client === undefined)
    throw refuse('api_request_unusable', 'Go back to the program and start again.');
  // Pushed before the registration was changed: nothing goes where the program is not answered any more.
  if (!isRegistered(client.redirectUris, pushed.redirectUri) || (pushed.access === 'write' && client.access === 'read'))
    throw refuse('api_request_unusable', 'The program was changed meanwhile. Go back to it and start again.');
  return { pushed, client };
}

/** The words of the consent page. Throws `api_request_unusable`. */
export async function describeRequest(deps: AuthorisationDeps, who: Asker, asked: Asked) {
  const { pushed, client } = await open(deps, who.caller, asked);
  const tenant = await findTenant(deps, who.caller.tenant.tenantId, who.requestId);
  return {
    client: client.name,
    kind: client.kind,
    organisation: tenant?.displayName ?? '',
    access: least(pushed.access ?? 'read', client.access),
    agents: (await liveAgents(deps, who.caller.tenant, client.handsTo)).map(({ id, name }) => ({ clientId: id, name })),
    leadsTo: new URL(pushed.redirectUri).host,
    days: GRANT_SECONDS / SECONDS_PER_DAY,
  };
}

function refusal(deps: AuthorisationDeps, caller: Caller, { redirectUri, state }: PushedRequest): string {
  const url = new URL(redirectUri);
  url.searchParams.set('error', 'access_denied');
  if (state !== undefined) url.searchParams.set('state', state);
  url.searchParams.set('iss', issuerOf(deps, caller.tenant.tenantId));
  return url.href;
}

/**
 * What a person approves with their passkey beside the request's own name, which says nothing to them: read again when it is
 * carried out, so that nothing else is allowed than what was shown.
 */
export function consentSubjects(deps: AuthorisationDeps): StepUpSubjects {
  return {
    'authorisation-server.allow': async (question) => {
      const { clientId, request, agents } = question.input;
      const id = typeof clientId === 'string' ? parseUuid(clientId) : undefined;
      if (id === undefined || typeof request !== 'string' || !Array.isArray(agents))
        throw refuse('api_request_unusable', 'Go back to the program and start again.');
      const asked = await describeRequest(deps, question, { clientId: id, request });
      const named = asked.agents.filter((agent) => agents.includes(agent.clientId)).map(({ name }) => name);
      const { client: program, organisation, access, leadsTo, days } = asked;
      return { program, organisation, access, leadsTo, days, agents: named.join(', ') || 'none' };
    },
  };
}

/** The person says no: where their browser goes next. Throws `api_request_unusable`. */
export async function refuseRequest(deps: AuthorisationDeps, who: Asker, asked: Asked): Promise<string> {
  const { pushed } = await open(deps, who.caller, asked);
  const used = { tenantId: who.caller.tenant.tenantId, kind: 'request', value: asked.request } as const;
  if (!(await consumeArtifact(deps, used))) throw refuse('api_request_unusable', 'Go back to the program.');
  return refusal(deps, who.caller, pushed);
}

/**
 * The person says yes, once and with their passkey: where their browser goes next, with a code. Throws
 * `api_request_unusable`, `api_consent_refused`.
 */
export async function allowRequest(
  deps: AuthorisationDeps,
  who: Approver,
  asked: Asked & { readonly agents: readonly Uuid[] },
): Promise<string> {
  const { caller } = who;
  const { tenant: context, personId: memberId } = caller;
  const { pushed, client } = await open(deps, caller, asked);
  // The try-out door stands on the person's own machine, without TLS: what is allowed there would hold everywhere.
  if (caller.door !== 'edge') throw refuse('api_consent_refused', 'Open this page at the organisation’s own address.');
  const access = least(pushed.access ?? 'read', client.access);
  const chosen = client.handsTo.filter((id) => asked.agents.includes(id));
  const agents = (await liveAgents(deps, context, chosen)).map(({ id }) => id);
  if (agents.length < new Set(asked.agents).size)
    throw refuse('api_request_unusable', 'An agent that you chose is not registered any more.');
  const by = { ...auditFromCall(who), stepUpHash: who.stepUp.assertionHash };
  const grantId = await giveGrant(deps, context, { client, memberId, access, agents, by });
  const consent = { memberId, grantId, clientId: client.id, scope: SCOPES[access] };
  const answer = await answerConsent(deps, context, { consent, requestUri: `${REQUEST_URN}${asked.request}` });
  const location = answer.location;
  if (location !== undefined && URL.parse(location)?.searchParams.has('code')) return location;
  // No code went out: what was written down as allowed would stay open for nobody.
  await endGrants(deps, context, { ids: [grantId], reason: 'unused', by: auditFromCall(who) });
  throw refuse('api_request_unusable', 'Go back to the program and start again.');
}
