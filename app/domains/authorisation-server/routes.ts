import { parseUuid, type Uuid } from '@auditrax/base';
import { auditFromCall } from '../../platform/audit/index.ts';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { CLIENT_HEADER, DOOR_HEADER, NONCE_HEADER, PROOF_HEADER } from '../../platform/http/headers.ts';
import { confirmer } from '../access/index.ts';
import { createAttemptLimit, findTenant, type KnownTenant } from '../identity/index.ts';
import { changeClient } from './changing.ts';
import { CLIENTS_MAX, listClients, registerClient, removeClient, type Asker } from './clients.ts';
import { allowRequest, describeRequest, refuseRequest } from './consent.ts';
import { routes } from './contract.ts';
import { issuerOf, type AuthorisationDeps } from './deps.ts';
import { notFound } from './errors.ts';
import { endGrants } from './grants.ts';
import * as queries from './queries.ts';
import { programSubjects } from './subjects.ts';
import { answerClient, serverMetadata, type Answer, type Endpoint } from './server.ts';

const JSON_TYPE = 'application/json';
const REQUEST_URI = /^urn:ietf:params:oauth:request_uri:([A-Za-z0-9_-]{21,64})$/;
/** Steps from one address: a service that renews the tokens of everybody in a firm needs a few a second. */
const STEPS_PER_MINUTE_MAX = 600;

/** Of the library's answers, what RFC 6749, 9126 and 9449 name. Descriptions stay here: they are for whoever attacks. */
const PASSED_ON = [
  'error',
  'access_token',
  'issued_token_type',
  'act',
  'token_type',
  'expires_in',
  'refresh_token',
  'scope',
  'request_uri',
] as const;

interface ForeignCall {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly requestId: string;
  readonly params: { readonly organisation: string };
}

/** Whose server an address names; of the gateway's edge alone. Throws `not_found`. */
async function placeOf(deps: AuthorisationDeps, call: ForeignCall): Promise<KnownTenant> {
  const tenantId = parseUuid(call.params.organisation);
  const isAtEdge = call.headers[DOOR_HEADER] === 'edge';
  const tenant = isAtEdge && tenantId !== undefined ? await findTenant(deps, tenantId, call.requestId) : undefined;
  if (tenant === undefined) throw notFound();
  return tenant;
}

function told({ status, body, nonce }: Answer) {
  const said = Object.fromEntries(PASSED_ON.flatMap((name) => (name in body ? [[name, body[name]] as const] : [])));
  const headers = { 'content-type': JSON_TYPE, ...(nonce === undefined ? {} : { [NONCE_HEADER]: nonce }) };
  const reply = (chosen: 200 | 201 | 400 | 401) => ({ status: chosen, body: JSON.stringify(said), headers }) as const;
  if (status === 200 || status === 201 || status === 401) return reply(status);
  if (status >= 400 && status < 500) return reply(400);
  throw new Error(`the authorisation server answered ${status}`);
}

function ownForm(body: Readonly<Record<string, unknown>>, known: readonly string[]): Record<string, string> {
  const pairs = known.flatMap((name) => {
    const value = body[name];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return Object.fromEntries(pairs);
}

const known = (endpoint: 'push' | 'token' | 'revoke'): readonly string[] => Object.keys(routes[endpoint].body.shape);

async function endOwn(deps: AuthorisationDeps, who: Asker, id: Uuid): Promise<void> {
  const { tenant: context, personId } = who.caller;
  const now = new Date(deps.clock.nowMs());
  const own = await deps.tenant.scoped(context, queries.openGrantsOfMember(context, personId, now));
  if (!own.some((grant) => grant.id === id)) throw notFound();
  await endGrants(deps, context, { ids: [id], reason: 'person', by: auditFromCall(who) });
}

async function grantsOf(deps: AuthorisationDeps, { caller }: Asker) {
  const { tenant: context, personId } = caller;
  const open = await deps.tenant.scoped(
    context,
    queries.openGrantsOfMember(context, personId, new Date(deps.clock.nowMs())),
  );
  const uses = await deps.tenant.scoped(context, queries.agentUses(context, personId));
  const names = new Map((await listClients(deps, context)).map(({ id, name }) => [id, name]));
  const agentsOf = ({ id, agents }: queries.GrantRow) =>
    agents.flatMap((agent) => {
      const name = names.get(agent);
      const use = uses.find((one) => one.grant_id === id && one.client_id === agent);
      return name === undefined ? [] : [{ name, lastActedAt: use?.last_acted_at.toISOString() ?? null }];
    });
  return open.flatMap((grant) => {
    const client = names.get(grant.client_id);
    return client === undefined
      ? []
      : [
          {
            id: deps.formatId('agr', context, grant.id),
            client,
            access: grant.access,
            agents: agentsOf(grant),
            givenAt: grant.given_at.toISOString(),
            expiresAt: grant.expires_at.toISOString(),
          },
        ];
  });
}

async function clientsOf(deps: AuthorisationDeps, { caller }: Asker) {
  const { tenant: context } = caller;
  const clients = await listClients(deps, context);
  return clients.map(({ id, name, kind, access, redirectUris, handsTo, registered_at, revision }) => ({
    id: deps.formatId('cli', context, id),
    clientId: id,
    name,
    kind,
    access,
    redirectUris,
    handsTo: clients
      .filter((agent) => handsTo.includes(agent.id))
      .map((agent) => ({ clientId: agent.id, name: agent.name })),
    registeredAt: registered_at.toISOString(),
    revision,
  }));
}

/** The contract has looked at their form; whom they name is looked up. */
const uuids = (texts: readonly string[]): readonly Uuid[] => texts.flatMap((text) => parseUuid(text) ?? []);

/** The server's own addresses, which programs reach. */
function serverRoutes(deps: AuthorisationDeps) {
  const limit = createAttemptLimit(deps.clock, STEPS_PER_MINUTE_MAX);
  const ask =
    (endpoint: Endpoint, names: readonly string[]) =>
    async (call: ForeignCall & { readonly body: Readonly<Record<string, unknown>> }) => {
      limit(call.headers[CLIENT_HEADER] ?? 'unknown');
      const { context } = await placeOf(deps, call);
      const form = ownForm(call.body, names);
      return told(await answerClient(deps, context, { endpoint, form, proof: call.headers[PROOF_HEADER] }));
    };
  return {
    push: ask('pushed_authorization_request', known('push')),
    token: ask('token', known('token')),
    revoke: ask('revocation', known('revoke')),
    async metadata(call: ForeignCall) {
      const { context } = await placeOf(deps, call);
      const body = JSON.stringify(serverMetadata(deps, context.tenantId));
      return { status: 200 as const, body, headers: { 'content-type': JSON_TYPE } };
    },
    async authorize(
      call: ForeignCall & { readonly query: { readonly client_id: string; readonly request_uri: string } },
    ) {
      limit(call.headers[CLIENT_HEADER] ?? 'unknown');
      await placeOf(deps, call);
      const request = REQUEST_URI.exec(call.query.request_uri)?.[1];
      if (request === undefined) throw notFound();
      // To a page of ours, whatever else was asked: whether anything is true of it, that page finds out in a session.
      const location = `/app/authorise/${call.query.client_id}/${request}`;
      return { status: 303 as const, body: undefined, headers: { location } };
    },
  };
}

/** The authorisation server of each tenant, and where its people decide, as routes of the issuer. */
export function authorisationServerRoutes(deps: AuthorisationDeps): RoomRoutes {
  const asked = ({ clientId, request }: { clientId: string; request: string }) => {
    const id = parseUuid(clientId);
    if (id === undefined) throw notFound();
    return { clientId: id, request };
  };
  const confirm = confirmer({ subjects: programSubjects(deps) });
  return bindRoutes(routes, {
    ...serverRoutes(deps),
    async readRequest(call) {
      return { status: 200 as const, body: await describeRequest(deps, call, asked(call.body)) };
    },
    async allow(call) {
      const who = await confirm(call, 'authorisation-server.allow', { input: call.body });
      const url = await allowRequest(deps, who, { ...asked(call.body), agents: uuids(call.body.agents) });
      return { status: 200 as const, body: { url } };
    },
    async refuse(call) {
      return { status: 200 as const, body: { url: await refuseRequest(deps, call, asked(call.body)) } };
    },
    async listClients(call) {
      const issuer = issuerOf(deps, call.caller.tenant.tenantId);
      return {
        status: 200 as const,
        body: { issuer, clients: await clientsOf(deps, call), clientsMax: CLIENTS_MAX },
      };
    },
    async registerClient(call) {
      const who = await confirm(call, 'authorisation-server.register-client', { input: call.body });
      const id = await registerClient(deps, who, { ...call.body, handsTo: uuids(call.body.handsTo) });
      return { status: 201 as const, body: { id: deps.formatId('cli', call.caller.tenant, id), clientId: id } };
    },
    async changeClient(call) {
      const id = call.ids['params.apiClientId'];
      const asked = { input: { ...call.params, ...call.body }, ids: { apiClientId: id } };
      const who = await confirm(call, 'authorisation-server.change-client', asked);
      const ended = await changeClient(deps, who, { ...call.body, id, handsTo: uuids(call.body.handsTo) });
      return { status: 200 as const, body: { ended } };
    },
    async removeClient(call) {
      await removeClient(deps, call, call.ids['params.apiClientId']);
      return { status: 200 as const, body: { removed: true as const } };
    },
    async listGrants(call) {
      return { status: 200 as const, body: { grants: await grantsOf(deps, call) } };
    },
    async endGrant(call) {
      await endOwn(deps, call, call.ids['params.grantId']);
      return { status: 200 as const, body: { ended: true as const } };
    },
  });
}
