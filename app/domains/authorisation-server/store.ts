import { decodeJwt, UnsecuredJWT } from 'jose';
import { parseUuid, type Json, type Uuid } from '@auditrax/base';
import type { TenantContext } from '@auditrax/tenancy';
import { errors } from 'oidc-provider';
import { accessOf, SCOPES } from './access-words.ts';
import { consumeArtifact, deleteArtifact, findArtifact, keepArtifact, textIn } from './artifacts.ts';
import { findClient, type Client } from './clients.ts';
import { resourceOf, type AuthorisationDeps } from './deps.ts';
import { BY_SERVICE, endGrants, type By } from './grants.ts';
import { PROOF_KEPT_SECONDS, REQUEST_SECONDS } from './lifetimes.ts';
import * as queries from './queries.ts';
import { isLoopback } from './redirects.ts';
import { TOKEN_EXCHANGE } from './token-types.ts';

type Payload = Readonly<Record<string, Json>>;

/** What the library asks of its storage. */
interface Adapter {
  upsert(id: string, payload: Payload, seconds: number): Promise<void>;
  find(id: string): Promise<unknown>;
  consume(id: string): Promise<void>;
  destroy(id: string): Promise<void>;
  revokeByGrantId(grantId: string): Promise<void>;
}

/** For whom, and why, the library works at the moment. */
export interface Storing {
  readonly context: TenantContext;
  /** The person who decides, at their consent. */
  readonly by?: By;
  /** Why a grant ends when the library ends it. */
  readonly ending: queries.EndReason;
}

const KINDS: Readonly<Record<string, queries.ArtifactKind>> = {
  PushedAuthorizationRequest: 'request',
  AuthorizationCode: 'code',
  AccessToken: 'access',
  RefreshToken: 'refresh',
  ReplayDetection: 'proof',
};

function none(): never {
  throw new Error('the authorisation server asked for storage that this room does not keep');
}
const nothing: Adapter = {
  upsert: () => none(),
  find: () => none(),
  consume: () => none(),
  destroy: () => none(),
  revokeByGrantId: () => none(),
};

/** A session of the library lives for one answer: ours decides who somebody is. */
function inMemory(): Adapter {
  const kept = new Map<string, Payload>();
  return {
    ...nothing,
    upsert: (id, payload) => Promise.resolve(void kept.set(id, payload)),
    find: (id) => Promise.resolve(kept.get(id)),
    destroy: (id) => Promise.resolve(void kept.delete(id)),
  };
}

/** A program as the library reads it. */
export function metadataOf(client: Client) {
  const { key } = client;
  return {
    client_id: client.id,
    client_name: client.name,
    redirect_uris: client.redirectUris,
    application_type: client.redirectUris.some(isLoopback) ? 'native' : 'web',
    grant_types: ['authorization_code', 'refresh_token', ...(client.kind === 'agent' ? [TOKEN_EXCHANGE] : [])],
    response_types: ['code'],
    token_endpoint_auth_method: key === null ? 'none' : 'private_key_jwt',
    ...(key === null
      ? {}
      : { jwks: { keys: [key] }, token_endpoint_auth_signing_alg: key.kty === 'EC' ? 'ES256' : 'Ed25519' }),
    // None is ever made; the library wants an algorithm that it has a key for.
    id_token_signed_response_alg: 'ES256',
    dpop_bound_access_tokens: true,
    require_pushed_authorization_requests: true,
    scope: SCOPES[client.access],
  };
}

function clients(deps: AuthorisationDeps, { context }: Storing): Adapter {
  return {
    ...nothing,
    async find(id) {
      const clientId = parseUuid(id);
      const client = clientId === undefined ? undefined : await findClient(deps, context, clientId);
      return client === undefined ? undefined : metadataOf(client);
    },
  };
}

function grants(deps: AuthorisationDeps, { context, by, ending }: Storing): Adapter {
  const end = async (text: string) => {
    const id = parseUuid(text);
    if (id !== undefined) await endGrants(deps, context, { ids: [id], reason: ending, by: by ?? BY_SERVICE });
  };
  return {
    ...nothing,
    async find(text) {
      const id = parseUuid(text);
      const [row] =
        id === undefined
          ? []
          : await deps.tenant.scoped(context, queries.openGrant(context, id, new Date(deps.clock.nowMs())));
      if (row === undefined) return undefined;
      return {
        jti: row.id,
        kind: 'Grant',
        iat: Math.floor(row.given_at.getTime() / 1000),
        exp: Math.floor(row.expires_at.getTime() / 1000),
        accountId: row.member_id,
        clientId: row.client_id,
        resources: { [resourceOf(deps, context.tenantId)]: SCOPES[row.access] },
      };
    },
    destroy: end,
  };
}

/** The library gives a pushed request a minute, and a person has to sign in meanwhile: ours decides how long it lives. */
function withTime(payload: Payload): Payload {
  const claims = decodeJwt(textIn(payload, 'request'));
  const exp = Number(payload['iat']) + REQUEST_SECONDS;
  return { ...payload, exp, request: new UnsecuredJWT({ ...claims, exp }).encode() };
}

function artifacts(deps: AuthorisationDeps, storing: Storing, kind: queries.ArtifactKind): Adapter {
  const { tenantId } = storing.context;
  const named = (value: string) => ({ tenantId, kind, value });
  const ended = grants(deps, storing);
  return {
    async upsert(value, payload, seconds) {
      const grantId = typeof payload['grantId'] === 'string' ? parseUuid(payload['grantId']) : undefined;
      const isRequest = kind === 'request';
      const fresh = await keepArtifact(deps, named(value), {
        payload: isRequest ? withTime(payload) : payload,
        seconds: isRequest ? REQUEST_SECONDS : kind === 'proof' ? Math.max(seconds, PROOF_KEPT_SECONDS) : seconds,
        grantId,
      });
      // Two at the same moment have both found nothing before: the database says which one was first.
      if (!fresh) throw new errors.InvalidDpopProof('used before');
    },
    async find(value) {
      const found = await findArtifact(deps, named(value));
      if (found === undefined) return undefined;
      const consumed = found.consumedAt === null ? undefined : Math.floor(found.consumedAt.getTime() / 1000);
      return { ...found.payload, ...(consumed === undefined ? {} : { consumed }) };
    },
    async consume(value) {
      if (await consumeArtifact(deps, named(value))) return;
      if (kind === 'request') throw new errors.InvalidRequestUri('used before');
      // Used twice at the same moment: one of the two is not the client.
      const found = await findArtifact(deps, named(value));
      await ended.destroy(textIn(found?.payload ?? {}, 'grantId'));
      throw new errors.InvalidGrant('used before');
    },
    destroy: (value) => deleteArtifact(deps, named(value)),
    revokeByGrantId: (grantId) => ended.destroy(grantId),
  };
}

/** Where the library keeps what of it, for one tenant and one request. */
export function storageFor(deps: AuthorisationDeps, storing: Storing): (model: string) => Adapter {
  const sessions = inMemory();
  return (model) => {
    if (model === 'Session') return sessions;
    if (model === 'Client') return clients(deps, storing);
    if (model === 'Grant') return { ...grants(deps, storing), upsert: () => Promise.resolve() };
    const kind = KINDS[model];
    return kind === undefined ? nothing : artifacts(deps, storing, kind);
  };
}

/** A pushed request as a person is asked about it. */
export interface PushedRequest {
  readonly clientId: Uuid;
  readonly redirectUri: string;
  readonly state: string | undefined;
  readonly access: 'read' | 'write' | undefined;
}

/** Reads a pushed request that nobody has answered yet; undefined: unknown, over, or answered. */
export async function readPushed(
  deps: AuthorisationDeps,
  context: TenantContext,
  id: string,
): Promise<PushedRequest | undefined> {
  const found = await findArtifact(deps, { tenantId: context.tenantId, kind: 'request', value: id });
  if (found === undefined || found.consumedAt !== null || found.expiresAt.getTime() <= deps.clock.nowMs())
    return undefined;
  const { client_id, redirect_uri, state, scope } = decodeJwt(textIn(found.payload, 'request'));
  const clientId = parseUuid(String(client_id));
  if (clientId === undefined || typeof redirect_uri !== 'string') return undefined;
  return {
    clientId,
    redirectUri: redirect_uri,
    state: typeof state === 'string' ? state : undefined,
    access: accessOf(typeof scope === 'string' ? scope : undefined),
  };
}
