import { isAppError, parseUuid, type Uuid } from '@auditrax/base';
import {
  entityTag,
  listAnswer,
  locationOf,
  matches,
  namesTag,
  planFilter,
  present,
  readListQuery,
  readSelection,
  refusal,
  resourceType,
  resourceTypes,
  SCIM_CHECKS,
  schema,
  schemas,
  scimError,
  serviceProviderConfig,
  withMeta,
  type LookupName,
  type Origin,
  type ResourceKind,
  type ScimError,
} from '@auditrax/scim';
import type { Readable } from 'node:stream';
import { bindRoutes, type RoomRoutes } from '../../platform/http/handler.ts';
import { CLIENT_HEADER, DOOR_HEADER } from '../../platform/http/headers.ts';
import { createAttemptLimit } from '../identity/index.ts';
import { routes, type DoorStatus } from './contract.ts';
import type { Place, ProvisioningDeps } from './deps.ts';
import { findResource, noteRefusal, readAll, resourceOf, type Kept } from './directory.ts';
import * as queries from './queries.ts';
import { recognise } from './tokens.ts';
import { change, create, remove, type Change } from './writing.ts';

export const SCIM_TYPE = 'application/scim+json';

/** Entra asks for room for 25 messages a second; this is as many over a minute, and half again. */
const MESSAGES_PER_MINUTE_MAX = 2_250;
/** A directory whose token has run out goes on asking; a script that guesses asks more. */
const REFUSALS_PER_MINUTE_MAX = 60;
const RETRY_SECONDS = 60;

interface Call {
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly requestId: string;
  readonly rawQuery: string;
  readonly params: { readonly connection: string; readonly resource?: string };
}

interface Answer {
  readonly status: DoorStatus;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

function answer(status: DoorStatus, body?: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    // As bytes: nothing appends a charset to SCIM's media type.
    body: body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(body)),
    headers: { ...(body === undefined ? {} : { 'content-type': SCIM_TYPE }), ...headers },
  };
}

async function bytesOf(body: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

const originOf = ({ base }: Place, { row }: Kept): Origin => ({
  kind: row.kind,
  base,
  created: row.created_at.toISOString(),
  lastModified: row.modified_at.toISOString(),
});

function shown(place: Place, call: Call, kept: Kept): Answer {
  const { kind } = kept.row;
  const isNew = call.params.resource === undefined;
  const selection = readSelection(call.rawQuery, { kind, dialect: place.dialect });
  return answer(isNew ? 201 : 200, present(kept.resource, originOf(place, kept), selection), {
    etag: entityTag(kept.resource),
    ...(isNew ? { location: locationOf(kind, place.base, kept.row.id) } : {}),
  });
}

const INDEXED: ReadonlySet<LookupName> = new Set(['id']);

async function list(
  deps: ProvisioningDeps,
  place: Place,
  call: Call & { readonly kind: ResourceKind },
): Promise<Answer> {
  const { kind } = call;
  const query = readListQuery(call.rawQuery, { kind, dialect: place.dialect });
  const { filter } = query;
  const plan = filter === undefined ? undefined : planFilter(filter, INDEXED);
  const id = plan?.kind === 'lookup' ? plan.lookup.key : undefined;
  const one = id === undefined ? undefined : await findResource(deps, place, { kind, id });
  const found = id === undefined ? await readAll(deps, place, kind) : one === undefined ? [] : [one];
  const selected = found.filter(
    (kept) => filter === undefined || matches(filter, withMeta(kept.resource, originOf(place, kept))),
  );
  const page = selected.slice(query.startIndex - 1, query.startIndex - 1 + query.count);
  const resources = page.map((kept) => present(kept.resource, originOf(place, kept), query.selection));
  return answer(200, listAnswer(resources, { total: selected.length, query }));
}

async function read(
  deps: ProvisioningDeps,
  place: Place,
  call: Call & { readonly kind: ResourceKind },
): Promise<Answer> {
  const kept = await resourceOf(deps, place, { kind: call.kind, id: call.params.resource ?? '' });
  const known = call.headers['if-none-match'];
  if (known !== undefined && namesTag(known, entityTag(kept.resource)))
    return answer(304, undefined, { etag: entityTag(kept.resource) });
  return shown(place, call, kept);
}

function isScimError(error: unknown): error is ScimError {
  return isAppError(error) && Object.hasOwn(SCIM_CHECKS, error.code);
}

/** What is not SCIM's own and still is somebody's fault, in its words. */
function asScim(error: unknown): ScimError | undefined {
  if (isScimError(error)) return error;
  if (isAppError(error, 'body_too_large')) return refusal('scim_message_too_large', { cause: error });
  if (isAppError(error, 'too_many_sign_in_attempts')) return refusal('scim_rate', { cause: error });
  return undefined;
}

function refused(error: ScimError): Answer {
  const { status, body } = scimError(error);
  const later = status === 429 ? { 'retry-after': String(RETRY_SECONDS) } : {};
  return answer(status as DoorStatus, body, later);
}

async function hear(deps: ProvisioningDeps, place: Place, id: Uuid): Promise<void> {
  const of = { id, connectionId: place.connection.id, at: new Date(deps.clock.nowMs()) };
  await deps.tenant.scoped(place.context, queries.hear(place.context, of));
}

type Work = (place: Place, call: Call) => Promise<Answer>;

/** A message from its token to its answer; what refuses it is kept for the connection's administrators. */
function openDoor(deps: ProvisioningDeps) {
  const limit = createAttemptLimit(deps.clock, deps.messages_perMinute_max ?? MESSAGES_PER_MINUTE_MAX);
  const limitRefused = createAttemptLimit(deps.clock, deps.refusals_perMinute_max ?? REFUSALS_PER_MINUTE_MAX);
  const enter = async (call: Call) => {
    // Of the gateway's edge, which alone reaches this service with these headers (mutual TLS).
    if (call.headers[DOOR_HEADER] !== 'edge') throw refusal('scim_token');
    try {
      const connectionId = parseUuid(call.params.connection);
      const { authorization } = call.headers;
      return await recognise(deps, { connectionId, authorization, requestId: call.requestId });
    } catch (error) {
      if (!isAppError(error, 'scim_token')) throw error;
      deps.counter.count('directory.token-unknown', 'directory');
      limitRefused(call.headers[CLIENT_HEADER] ?? 'unknown');
      throw error;
    }
  };
  return (work: Work, message?: string) =>
    async (call: Call): Promise<Answer> => {
      let place: Place | undefined;
      try {
        const found = await enter(call);
        place = found;
        limit(found.connection.id);
        await hear(deps, found, found.tokenId);
        const done = await work(found, call);
        if (found.unended.length === 0) return done;
        throw found.unended[0];
      } catch (error) {
        const [unended] = place?.unended ?? [];
        const scim = asScim(unended ?? error);
        if (scim === undefined) throw unended ?? error;
        if (place !== undefined && message !== undefined) await noteRefusal(deps, place, { error: scim, message });
        return refused(scim);
      }
    };
}

/** Users or Groups. */
function resourceHandlers(deps: ProvisioningDeps, door: ReturnType<typeof openDoor>, kind: ResourceKind) {
  const alter = (by: Change['by']) => async (call: Call & { readonly body: Readable }) => {
    const work: Work = async (place) => {
      const id = call.params.resource ?? '';
      const order = { kind, by, id, body: await bytesOf(call.body), ifMatch: call.headers['if-match'] };
      const kept = await change(deps, place, order);
      await hear(deps, place, kept.row.id);
      return shown(place, call, kept);
    };
    return door(work, `${by} ${kind}`)(call);
  };
  return {
    list: door((place, call) => list(deps, place, { ...call, kind })),
    read: door((place, call) => read(deps, place, { ...call, kind })),
    add: (call: Call & { readonly body: Readable }) =>
      door(async (place) => {
        const kept = await create(deps, place, { kind, body: await bytesOf(call.body) });
        await hear(deps, place, kept.row.id);
        return shown(place, call, kept);
      }, `POST ${kind}`)(call),
    replace: alter('PUT'),
    change: alter('PATCH'),
    remove: door(async (place, call) => {
      await remove(deps, place, { kind, id: call.params.resource ?? '' });
      return answer(204);
    }, `DELETE ${kind}`),
  };
}

function documentOf(found: object | undefined): Answer {
  if (found === undefined) throw refusal('scim_not_found');
  return answer(200, found);
}

const KINDS: readonly string[] = ['User', 'Group'] satisfies ResourceKind[];

/** The door of directories, as routes of the issuer. */
export function provisioningRoutes(deps: ProvisioningDeps): RoomRoutes {
  const door = openDoor(deps);
  const people = resourceHandlers(deps, door, 'User');
  const groups = resourceHandlers(deps, door, 'Group');
  const all = (documents: readonly object[]) =>
    answer(200, listAnswer(documents, { total: documents.length, query: { startIndex: 1, count: documents.length } }));
  return bindRoutes(routes, {
    config: door(({ base }) => Promise.resolve(documentOf(serviceProviderConfig(base)))),
    types: door(({ base }) => Promise.resolve(all(resourceTypes(base)))),
    type: door(async ({ base }, { params }) =>
      documentOf(
        KINDS.includes(params.resource ?? '') ? resourceType(base, params.resource as ResourceKind) : undefined,
      ),
    ),
    schemas: door(({ base }) => Promise.resolve(all(schemas(base)))),
    schema: door(async ({ base }, { params }) => documentOf(schema(base, params.resource ?? ''))),
    bulk: door(() => Promise.reject(refusal('scim_bulk'))),
    people: people.list,
    addPerson: people.add,
    person: people.read,
    replacePerson: people.replace,
    changePerson: people.change,
    removePerson: people.remove,
    groups: groups.list,
    addGroup: groups.add,
    group: groups.read,
    replaceGroup: groups.replace,
    changeGroup: groups.change,
    removeGroup: groups.remove,
  });
}
