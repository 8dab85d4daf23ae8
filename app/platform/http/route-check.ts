import type { RouteContract, ServiceName } from '@auditrax/base';
import { ZodObject, type ZodType } from 'zod';
import type { RoomRoutes } from './handler.ts';
import type { RoutePolicy } from './policy-gate.ts';

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

/** What keeps a route from being served; empty when nothing does. */
export function routeFaults(
  contract: RouteContract,
  rules: { readonly service: ServiceName; readonly policy: RoutePolicy },
): string[] {
  const faults = idFaults(contract);
  const { access, path } = contract;
  if (contract.service !== rules.service) faults.push(`belongs to ${contract.service}`);
  if (!path.startsWith(access.kind === 'internal' ? '/internal/' : '/api/'))
    faults.push(`path ${path} does not suit ${access.kind} access`);
  if (access.kind === 'session' && !rules.policy.has(contract.operation)) faults.push('no policy names this operation');
  if (access.kind === 'internal' && access.callers.length === 0) faults.push('nobody may call it');
  if (
    access.kind !== 'session' &&
    Object.keys(contract.ids).length > 0 &&
    !(access.kind === 'internal' && access.token)
  ) {
    faults.push('ids cannot be checked without a token');
  }
  if (contract.body === 'stream' && contract.bodyBytesMax === undefined) faults.push('a stream needs bodyBytesMax');
  if (contract.body !== undefined && contract.method === 'GET') faults.push('GET has no body');
  const statuses = Object.keys(contract.replies).map(Number);
  if (statuses.length === 0) faults.push('declares no reply');
  if (statuses.some((status) => !(status >= 200 && status < 400))) faults.push('declares an error among its replies');
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

/**
 * The routes of `rooms`, each with its handler. Throws, naming every fault, on a contract without handler or the
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
  if (faults.length > 0) throw new Error(`${rules.service} does not start:\n  ${faults.join('\n  ')}`);
  return served;
}
