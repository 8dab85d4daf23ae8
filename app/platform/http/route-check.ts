import { PRODUCTION_SCOPES, type RouteContract, type ServiceName } from '@auditrax/base/route';
import { ZodObject, type ZodType } from 'zod';
import type { RoomRoutes } from './handler.ts';
import { idShapes } from './id-shapes.ts';
import type { RoutePolicy } from './policy-gate.ts';

const SSO_PATHS = ['/sso/'] as const;
const SCIM_PATHS = ['/scim/v2/'] as const;
/** The second is where RFC 8414 has clients look. */
const OAUTH_PATHS = ['/oauth/', '/.well-known/oauth-authorization-server/oauth/'] as const;
/** The second is where SSF 1.0 has receivers look. */
const SSF_PATHS = ['/ssf/', '/.well-known/ssf-configuration/ssf/'] as const;
/** Where routes lie that others than our own pages reach. */
export const FOREIGN_PATHS: readonly string[] = [...SSO_PATHS, ...SCIM_PATHS, ...OAUTH_PATHS, ...SSF_PATHS];

/** Under what the edge serves a route. */
export function outwardPaths({ foreign }: Pick<RouteContract, 'foreign'>): readonly string[] {
  if (foreign === undefined) return ['/api/'];
  if (foreign.protocol === 'scim') return SCIM_PATHS;
  if (foreign.protocol === 'ssf') return SSF_PATHS;
  return foreign.protocol === 'oauth' ? OAUTH_PATHS : SSO_PATHS;
}

/** JSON bodies that name no limit of their own. */
export const BODY_BYTES_MAX = 256 * 1024;

/** The names of the path's parameters. */
export function pathParams(path: string): string[] {
  return [...path.matchAll(/:([A-Za-z][A-Za-z0-9]*)/g)].map((match) => match[1]!);
}

interface SchemaDef {
  readonly type: string;
  readonly innerType?: ZodType;
  readonly in?: ZodType;
  readonly options?: readonly ZodType[];
  readonly left?: ZodType;
  readonly right?: ZodType;
  readonly valueType?: ZodType;
}

/** Does an object at `names` exist in some form that `schema` accepts? Looks through optional, unions, pipes. */
function hasPlace(schema: ZodType, names: readonly string[]): boolean {
  const [name, ...rest] = names;
  if (name === undefined) return true;
  if (schema instanceof ZodObject) {
    const member = (schema.shape as Record<string, ZodType>)[name];
    return member !== undefined && hasPlace(member, rest);
  }
  const def = schema._zod.def as unknown as SchemaDef;
  // Under a name of the sender's choice stands whatever the value may be; JSON values hold anything.
  if (def.type === 'record') return rest.length === 0 || hasPlace(def.valueType!, rest);
  return [def.innerType, def.in, def.left, def.right, ...(def.options ?? [])].some(
    (inner) => inner !== undefined && hasPlace(inner, names),
  );
}

/** Unknown members are refused, not dropped, also where a contract forgot to say so. */
export function strictly(schema: ZodType): ZodType {
  return schema instanceof ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
}

function idFaults(contract: RouteContract): string[] {
  const faults: string[] = [];
  const params = pathParams(contract.path);
  for (const place of Object.keys(contract.ids)) {
    const [part, ...names] = place.split('.');
    const name = names[0];
    if (name === undefined) faults.push(`id place ${place} names no member`);
    else if (part === 'params') {
      if (!params.includes(name) || names.length > 1) faults.push(`id place ${place} is not in the path`);
      if (contract.params !== undefined && !hasPlace(contract.params, names))
        faults.push(`id place ${place} is not in the params schema`);
    } else if (part === 'query' || part === 'body') {
      const schema = contract[part];
      if (schema === undefined || schema === 'stream' || !hasPlace(schema, names))
        faults.push(`id place ${place} is not in the ${part} schema`);
    } else faults.push(`id place ${place} is in no known part`);
  }
  for (const name of params) {
    const declared = Object.hasOwn(contract.ids, `params.${name}`);
    if (name.endsWith('Id') && !declared) faults.push(`path parameter ${name} ends in Id and has no ids entry`);
    if (contract.params === undefined && !declared)
      faults.push(`path parameter ${name} has neither schema nor ids entry`);
  }
  return faults;
}

/**
 * Ids that a client's request may carry and nobody would look at. Whoever adds a route forgets such a thing easily, and
 * it stays unseen: the service answers, only the wall is not there. Calls of our own processes are left out, unless they
 * speak for a person: they carry ids that a gate has read.
 */
export function unreadIds(contract: RouteContract): string[] {
  const { access, ids, untagged = {} } = contract;
  if (access.kind === 'internal' && access.token === false) return [];
  const shapes = (['params', 'query', 'body'] as const).flatMap((part) => {
    const schema = contract[part];
    return schema === undefined || schema === 'stream' ? [] : idShapes(schema, part);
  });
  const faults = shapes.flatMap(({ place, what, kind }) => {
    const declared = Object.hasOwn(ids, place) ? ids[place] : undefined;
    if (declared !== undefined && Object.hasOwn(untagged, place)) return [`${place} is both tagged and untagged`];
    if (declared !== undefined && kind !== undefined && declared !== kind)
      return [`${place} takes an id of kind ${kind} and is checked as ${declared}`];
    if (declared !== undefined || Object.hasOwn(untagged, place)) return [];
    return what === 'id'
      ? [`${place} looks like an id and is in neither ids nor untagged`]
      : [`${place} takes anything, an id too, and is not in untagged`];
  });
  const gone = Object.keys(untagged).filter((place) => !shapes.some((shape) => shape.place === place));
  return [...faults, ...gone.map((place) => `untagged place ${place} is in no schema`)];
}

/** What is open to other sites is open to anybody: it must stand apart, and never act for a session. */
function foreignFaults({ access, foreign, bodyForm, body, method }: RouteContract): string[] {
  const faults: string[] = [];
  if (foreign !== undefined) {
    if (access.kind !== 'public') faults.push('is reached from elsewhere and must be public');
    if (foreign.reason.trim() === '') faults.push('does not say why it is reached from elsewhere');
    if (foreign.protocol === 'scim' || foreign.protocol === 'ssf') {
      if (foreign.caller !== 'server') faults.push('directories and transmitters are servers');
      if (body !== undefined && body !== 'stream') faults.push('what such a server sends is read by its room');
    } else if (body !== undefined && bodyForm === undefined) faults.push('what others send is a form');
  }
  if (bodyForm !== undefined && (foreign === undefined || body === undefined || body === 'stream' || method !== 'POST'))
    faults.push('only a POST from elsewhere takes a form');
  return faults;
}

/** An operator's route without a scope, or without a reason for none, would be open to the role alone. */
function operatorFaults({ access }: RouteContract): string[] {
  const needed: unknown = access.kind === 'session' ? access.operatorOnly : undefined;
  if (needed === undefined) return [];
  const { scope, withoutGrant } = Object(needed) as { scope?: unknown; withoutGrant?: unknown };
  const isScope = PRODUCTION_SCOPES.some((known) => known === scope);
  const isReason = typeof withoutGrant === 'string' && withoutGrant.trim() !== '';
  return isScope !== isReason ? [] : ['says neither which production access it needs nor why none'];
}

/** What keeps a route from being served; empty when nothing does. */
export function routeFaults(
  contract: RouteContract,
  rules: { readonly service: ServiceName; readonly policy: RoutePolicy },
): string[] {
  const faults = [...idFaults(contract), ...unreadIds(contract), ...operatorFaults(contract)];
  const { access, path } = contract;
  if (contract.service !== rules.service) faults.push(`belongs to ${contract.service}`);
  const paths = contract.foreign === undefined && access.kind === 'internal' ? ['/internal/'] : outwardPaths(contract);
  if (!paths.some((under) => path.startsWith(under))) faults.push(`path ${path} does not suit ${access.kind} access`);
  faults.push(...foreignFaults(contract));
  if (access.kind === 'session' && !rules.policy.has(contract.operation)) faults.push('no policy names this operation');
  if (access.kind === 'internal' && access.callers.length === 0) faults.push('nobody may call it');
  if (
    access.kind !== 'session' &&
    Object.keys(contract.ids).length > 0 &&
    !(access.kind === 'internal' && access.token !== false)
  ) {
    faults.push('ids cannot be checked without a token');
  }
  if (contract.body === 'stream' && contract.bodyBytesMax === undefined) faults.push('a stream needs bodyBytesMax');
  if (contract.body !== undefined && contract.method === 'GET') faults.push('GET has no body');
  const statuses = Object.keys(contract.replies).map(Number);
  if (statuses.length === 0) faults.push('declares no reply');
  const status_max = contract.foreign?.protocol === undefined ? 400 : 600;
  if (statuses.some((status) => !(status >= 200 && status < status_max)))
    faults.push('declares an error among its replies');
  return faults;
}

export interface ServedRoute {
  readonly contract: RouteContract;
  readonly handler: (call: never) => Promise<{
    readonly status: number;
    readonly body: unknown;
    readonly headers?: Readonly<Record<string, string>>;
  }>;
}

/** Keeps a process from starting. */
export class RouteDeclarationError extends Error {
  readonly code = 'routes_not_declared';
  /** Operation, or address, and what is wrong with it. */
  readonly faults: readonly string[];
  constructor(who: string, faults: readonly string[]) {
    super(`${who} does not start:\n  ${faults.join('\n  ')}`);
    this.name = 'RouteDeclarationError';
    this.faults = faults;
  }
}

/**
 * The routes of `rooms`, each with its handler. Throws RouteDeclarationError, naming every fault, on a contract without handler or the
 * reverse, an operation or address used twice, and whatever `routeFaults` finds: such a process does not start.
 */
export function servedRoutes(
  rooms: readonly RoomRoutes[],
  rules: { readonly service: ServiceName; readonly policy: RoutePolicy },
): ServedRoute[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  const served: ServedRoute[] = [];
  for (const room of rooms) {
    for (const name of Object.keys(room.handlers)) {
      if (!Object.hasOwn(room.contract, name)) faults.push(`handler ${name} has no contract`);
    }
    for (const [name, contract] of Object.entries(room.contract)) {
      const handler = Object.hasOwn(room.handlers, name) ? room.handlers[name] : undefined;
      if (typeof handler !== 'function') faults.push(`${contract.operation}: no handler`);
      else served.push({ contract, handler });
      for (const mark of [contract.operation, `${contract.method} ${contract.path}`]) {
        if (seen.has(mark)) faults.push(`${mark} is declared twice`);
        seen.add(mark);
      }
      faults.push(...routeFaults(contract, rules).map((fault) => `${contract.operation}: ${fault}`));
    }
  }
  if (faults.length > 0) throw new RouteDeclarationError(rules.service, faults);
  return served;
}
